"""Roles: those that every pack has, a pack's own form of them, and what a project adds to make them tighter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prodsense.contracts.vocabulary import ALL, Param, Role
from prodsense.engines.base import SYSTEM_SCHEMA
from prodsense.errors import UsageError, did_you_mean

#: Kinds that `Role.may` names, and what is refused without them.
KINDS = (
    "metrics", "queries", "analyses", "experiments", "detectors", "policies", "dashboards", "questions", "explain",
    "methods", "rows", "findings", "system",
)  # fmt: skip
_EVERYTHING = dict.fromkeys(KINDS, ALL)

#: The roles of every pack, unless the pack declares its own form. A partner sees nothing until a pack says what.
STANDARD = {
    role.name: role
    for role in (
        Role("admin", "Runs the warehouse: sees and does everything.", rows=None, may=_EVERYTHING, raw_sql=True),
        Role(
            "analyst", "Asks any question of any row, by SQL too; personal data stay hidden.",
            rows=None, may=_EVERYTHING, raw_sql=True,
        ),
        Role(
            "operations", "Works with single orders, drivers or users by their number; no SQL, no personal data.",
            rows=None, may=_EVERYTHING,
        ),
        Role(
            "executive", "Sees the whole, in groups of five people or more; no single row.",
            rows=None, may=dict.fromkeys(("metrics", "dashboards", "questions", "experiments", "policies"), ALL), k=5,
        ),
        Role("partner", "Sees what is its own.", k=5),
    )
}

#: Columns that hold personal data whatever their table: names, addresses, exact places, free text.
_PERSONAL = re.compile(
    r"(full|first|last|middle|user|display|nick|screen|contact|sender|recipient)_?name|surname|username|nickname"
    r"|(.*_)?e?_?mail(_address)?|(.*_)?(phone|mobile|telephone)(_number)?"
    r"|(.*_)?(street|postal|home|billing|shipping)?_?address(_line\d?)?|(.*_)?ip(_address|_addr)?"
    r"|(date_of_birth|birth_?date|birthday|dob)|(.*_)?(lat|lng|lon|latitude|longitude)"
    r"|(.*_)?(ssid|bssid|imei|idfa|gaid|advertising_id)"
    r"|(.*_)?instructions|text|body|message_text|comment_text|review_text|free_text|remarks?"
)
#: A column called just ``name`` is personal where the table is one of people.
_PEOPLE = re.compile(r"(dim_)?(users?|customers?|drivers?|riders?|members?|people|persons?|contacts?|employees?|staff)")
#: The project's own records that kind ``system`` opens, and their columns that hold what stood in a file.
_SYSTEM = frozenset({"loads", "files", "quarantine", "partitions", "counter", "builds", "findings", "exposures"})
_SYSTEM_HIDDEN = frozenset({"original", "cells", "reason"})

@dataclass(frozen=True)
class PackRole:
    """A role in one pack: its declaration, the pack's word on what is personal, and a project's further conditions."""

    pack: str
    role: Role
    personal: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)

    def condition(self, relation: str) -> str | None:
        """SQL that a row of `relation` (bare name) must meet, empty for every row; None where it is closed."""
        if self.role.rows is not None and relation not in self.role.rows:
            return None
        parts = [(self.role.rows or {}).get(relation, ""), self.also.get(relation, "")]
        return " AND ".join(f"({part})" for part in parts if part.strip())

    def hides(self, relation: str, column: str) -> bool:
        """Whether a column of `relation` (bare name) is hidden."""
        names = {column.lower(), f"{relation}.{column}".lower()}
        if names & set(self.role.hide):
            return True
        if names & set(self.role.see) or self.role.name == "admin":
            return False
        if names & set(self.personal):
            return True
        if names & set(self.public):
            return False
        return is_personal(relation, column)


def is_personal(relation: str, column: str) -> bool:
    """Whether a column is personal by its name; packs add to this (PERSONAL) and take from it (PUBLIC)."""
    name = column.lower()
    return is_of_people(relation) if name == "name" else bool(_PERSONAL.fullmatch(name))


def is_of_people(relation: str) -> bool:
    """Whether a relation's name says that its rows are people."""
    return bool(_PEOPLE.fullmatch(relation))


@dataclass(frozen=True)
class Grants:
    """A role in force: its form in each pack, and what is known of who asks (attribute → value or values)."""

    name: str
    packs: Mapping[str, PackRole]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raw_sql(self) -> bool:
        return all(one.role.raw_sql for one in self.packs.values())

    def of(self, pack: str) -> PackRole | None:
        """The role's form in a pack; None where it has none there, and so no rights."""
        return self.packs.get(pack)

    def k(self, pack: str) -> int:
        found = self.packs.get(pack)
        return found.role.k if found else 0

    def may(self, kind: str, pack: str, name: str = "*") -> bool:
        """Whether an artefact may be asked for; for a kind as a whole, leave out its name."""
        found = self.packs.get(pack)
        allowed = found.role.may.get(kind, ()) if found else ()
        return "*" in allowed or name in allowed

    def condition(self, relation: str) -> str | None:
        """As `PackRole.condition`, for a full name; the project's own records are open to kind ``system``."""
        schema, _, name = relation.rpartition(".")
        if schema == SYSTEM_SCHEMA:
            return "" if name in _SYSTEM and any(self.may("system", pack) for pack in self.packs) else None
        found = self.packs.get(schema)
        return found.condition(name) if found else None

    def hides(self, relation: str, column: str) -> bool:
        schema, _, name = relation.rpartition(".")
        if schema == SYSTEM_SCHEMA:
            return column.lower() in _SYSTEM_HIDDEN and self.name != "admin"
        found = self.packs.get(schema)
        return found is None or found.hides(name, column)

    @property
    def restricted(self) -> bool:
        """Whether some rows of some relation are out of sight."""
        return any(one.role.rows is not None or one.also for one in self.packs.values())


# -- finding a role ----------------------------------------------------------------------------------


def grant(
    name: str, packs: Iterable[Any], attributes: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> Grants:
    """The role `name` for someone with `attributes`, in `packs` (`prodsense.packs.pack.Pack`).

    `settings` is ``[roles]`` of a project. Raises UsageError for an unknown role, for attributes that it does not
    know, and where it needs some that are missing; a pack that has no form of the role gives no rights.
    """
    loaded = list(packs)
    known = [*STANDARD, *dict.fromkeys(role for pack in loaded for role in pack.roles), *(settings or {})]
    if name not in known:
        raise UsageError(f"no role named {name}.{did_you_mean(name, known)} Known: {', '.join(dict.fromkeys(known))}")
    found: dict[str, PackRole] = {}
    values: dict[str, Any] = {}
    lacking: dict[str, Param] = {}
    declared: dict[str, Param] = {}
    for pack in loaded:
        role, also = _form(name, pack, settings or {})
        if role is None:
            continue
        declared |= {param.name: param for param in role.attributes}
        missing = [param for param in role.attributes if attributes.get(param.name) in (None, "", [], ())]
        lacking |= {param.name: param for param in missing}
        if missing:
            continue
        values |= {param.name: _value(param, attributes[param.name], name) for param in role.attributes}
        found[pack.name] = PackRole(
            pack.name, role, tuple(pack.privacy("PERSONAL", ())), tuple(pack.privacy("PUBLIC", ())), also
        )
    for given in attributes:
        if given not in declared:
            hint = did_you_mean(given, list(declared)) or f" It knows: {', '.join(declared) or 'none'}"
            raise UsageError(f"role {name} has no attribute {given}.{hint}")
    if lacking and not found:
        first = next(iter(lacking.values()))
        raise UsageError(
            f"role {name} needs to know the {first.name} of who asks ({first.type}): --actor {first.name}=..."
        )
    return Grants(name, found, values)


def _form(name: str, pack: Any, settings: Mapping[str, Any]) -> tuple[Role | None, dict[str, str]]:
    """The role `name` in a pack, with a project's settings applied, and the conditions that these add."""
    own = settings.get(name, {})
    base = own.get("like", name)
    role = pack.roles.get(base) or STANDARD.get(base)
    if role is not None and role.name != name:
        role = replace(role, name=name)
    if role is None:
        if not own:
            return None, {}
        role = Role(name, k=STANDARD["partner"].k)
    return _tightened(role, own, pack.name) if own else (role, {})


_SETTINGS: dict[str, type] = {
    "like": str, "says": str, "k": int, "hide": list, "raw_sql": bool, "rows": dict, "may": dict, "attributes": dict,
}  # fmt: skip


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise UsageError for a ``[roles]`` that cannot be read."""
    for name, own in settings.items():
        if not isinstance(own, Mapping):
            raise UsageError(f"roles.{name} should be a table: [roles.{name}]")
        for key, value in own.items():
            if key not in _SETTINGS:
                raise UsageError(f"roles.{name} has no setting {key}.{did_you_mean(key, list(_SETTINGS))}")
            wrong = not isinstance(value, _SETTINGS[key]) or (isinstance(value, bool) and key != "raw_sql")
            if wrong or (isinstance(value, int) and value < 0):
                raise UsageError(f"roles.{name}.{key} should be a {_SETTINGS[key].__name__}, not {value!r}")
        for kind in own.get("may", {}):
            if kind not in KINDS:
                raise UsageError(f"roles.{name}.may has no kind {kind}.{did_you_mean(kind, KINDS)}")
        if own.get("like") == "admin":
            raise UsageError(f"roles.{name} cannot be like admin: name what it may do")


def _tightened(role: Role, own: Mapping[str, Any], pack: str) -> tuple[Role, dict[str, str]]:
    """`role` with a project's settings: they take away from a role that is there, and only add to a new one."""
    check_settings({role.name: own})
    new = role.name not in STANDARD and "like" not in own
    rows = {key.removeprefix(f"{pack}."): str(value) for key, value in own.get("rows", {}).items() if _mine(key, pack)}
    hide = tuple(key.removeprefix(f"{pack}.").lower() for key in own.get("hide", ()) if _mine(key, pack))
    may = {kind: tuple(names) for kind, names in own.get("may", {}).items()}
    types = own.get("attributes", {})
    attributes = (*role.attributes, *(Param(key, kind) for key, kind in types.items()))
    if new:
        role = replace(role, rows=rows or None if own.get("rows") else {}, may=may)
        rows = {}
    else:
        role = replace(role, may={kind: _both(role.may[kind], may.get(kind, ALL)) for kind in role.may})
    return replace(
        role, k=max(role.k, own.get("k", 0)), hide=(*role.hide, *hide), attributes=attributes,
        says=own.get("says", role.says), raw_sql=role.raw_sql and own.get("raw_sql", True),
    ), rows


def _mine(key: str, pack: str) -> bool:
    """Whether a name of the settings is about this pack: written with it, or with none."""
    first, *rest = key.split(".")
    return first == pack or len(rest) < 2


def _both(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    if "*" in one:
        return tuple(other)
    return tuple(one) if "*" in other else tuple(name for name in one if name in other)


def _value(param: Param, given: Any, role: str) -> Any:
    """An attribute's value in its type; several as a tuple."""
    from prodsense.metrics.queries import coerce

    several = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
    values = tuple(dict.fromkeys(coerce(value, param, f"role {role}") for value in several))
    return values[0] if len(values) == 1 else values
