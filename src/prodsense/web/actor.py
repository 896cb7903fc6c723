"""Who asks, and which doors are open to them. What they see behind a door is the role's policy (`privacy`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: What a route may ask for. ``public`` needs nobody, ``read`` anybody signed in.
Permission = Literal["public", "read", "save", "act", "data", "admin"]

_READER = frozenset({"public", "read", "save"})

#: Doors by role. A role that a project adds is a reader's until it is named here.
DOORS: Mapping[str, frozenset[str]] = {
    "executive": _READER,
    "partner": _READER,
    # `act`: close alerts, annotate. `data`: loads, contracts, lineage, freshness.
    "operations": _READER | {"act", "data"},
    "analyst": _READER | {"act", "data"},
    "admin": _READER | {"act", "data", "admin"},
}

#: The roles that every site knows, from the most restricted to the least.
ROLES = tuple(DOORS)


@dataclass(frozen=True)
class Actor:
    """Somebody who asks: `attributes` are bound into the role's row policies (``{"restaurant_id": "7"}``,
    several values as a list).

    `via` says how they came: ``session`` (a cookie, so that a change needs a CSRF token), ``token``, or ``nobody``.
    """

    name: str = ""
    role: str = ""
    attributes: Mapping[str, str | list[str]] = field(default_factory=dict)
    via: Literal["session", "token", "nobody"] = "nobody"

    @property
    def known(self) -> bool:
        """Whether anybody is signed in."""
        return self.via != "nobody"

    @property
    def owner(self) -> str:
        """The user: a token is named after the one whom it belongs to."""
        return self.name.partition(" (")[0] if self.via == "token" else self.name

    @property
    def doors(self) -> frozenset[str]:
        """The permissions that they have."""
        return DOORS.get(self.role, _READER) if self.known else frozenset({"public"})

    def may(self, permission: str) -> bool:
        """Whether this door is open to them."""
        return permission in self.doors


NOBODY = Actor()
