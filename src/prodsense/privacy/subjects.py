"""The people that a pack knows: which columns identify them, and where their rows lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Subject
from prodsense.privacy.roles import is_of_people

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table

#: Keys that identify people where a pack does not say: the first that one of its tables is about.
_KEYS = ("user_id", "user_key", "customer_id", "member_id", "account_id", "person_id", "profile_id")


def subjects_of(pack: Any) -> dict[str, Subject]:
    """A pack's kinds of people by name, the first one the usual; made out from its keys where it declares none."""
    if pack.subjects:
        return dict(pack.subjects)
    tables = list(pack.tables.values())
    # A table of people that has the key, or else any that is keyed by it.
    found = [(key, table) for key in _KEYS for table in tables if is_of_people(table.name) and key in table.columns]
    found += [(key, table) for key in _KEYS for table in tables if table.primary_key == (key,)]
    if not found:
        return {}
    key, home = found[0]
    columns = {table.name: (key,) for table in tables if key in table.columns}
    name = key.rpartition("_")[0]
    return {name: Subject(name, f"Who is meant by {key}.", f"{home.name}.{key}", columns)}


def subject_columns(pack: Any) -> tuple[str, ...]:
    """Columns that identify people throughout a pack: the keys of its subjects."""
    return tuple(dict.fromkeys(subject.key.rpartition(".")[2] for subject in subjects_of(pack).values()))


def own_columns(subject: Subject, tables: Mapping[str, Table]) -> dict[str, tuple[str, ...]]:
    """Table (bare name) → its columns that hold the subject's key."""
    home, _, key = subject.key.rpartition(".")
    found: dict[str, list[str]] = {home: [key]}
    for name, table in tables.items():
        for reference in table.references:
            if reference.table.rpartition(".")[2] == home and reference.target == (key,):
                found.setdefault(name, []).extend(reference.columns)
    for name, columns in subject.columns.items():
        found.setdefault(name, []).extend(columns)
    return {name: tuple(dict.fromkeys(columns)) for name, columns in found.items()}
