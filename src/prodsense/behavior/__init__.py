"""Behaviour: methods over any event table that has a user, a time and perhaps an event column.

Each module is one method; `events.EventTable` is how all of them see their data. Names load when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "EventTable": "prodsense.behavior.events",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
