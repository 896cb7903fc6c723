"""Forget a person: their rows go from all contracted tables, and loads to come leave them out.

One transaction: rows of the person and all that reference them are deleted (or emptied, where they are other people's
too), their days are marked so that the next build restates the models, quarantined originals go, and a digest is kept
that loads refuse the person by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.ingest import forgotten, ledger
from prodsense.metrics.result import Rows
from prodsense.privacy.subjects import own_columns

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Subject
    from prodsense.engines.base import Engine

Params = dict[str, Any]


@dataclass
class _Doomed:
    """What goes of one table: rows with the person in one of `own`, or that reference a row that goes.

    Rows that do so in columns of `blank` alone are emptied of those instead.
    """

    table: Table
    own: tuple[str, ...] = ()
    condition: str = ""
    #: Column → columns of the parent that it references, as (relation, column).
    parents: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    blank: tuple[str, ...] = ()


class Forgetting:
    """One person on the way out of one pack's tables."""

    def __init__(self, engine: Engine, tables: Mapping[str, Table], subject: Subject, value: Any):
        """`tables` are the pack's by bare name; `value` is the person's key, in its type."""
        self.engine = engine
        self.subject = subject
        self.value = value
        self.tables = {name: table for name, table in tables.items() if engine.columns(table.relation) is not None}
        own = own_columns(subject, tables)
        self.doomed = {
            name: _Doomed(
                table, own.get(name, ()), subject.where.get(name, ""),
                {r.columns[0]: (r.table, r.target[0]) for r in table.references if len(r.columns) == 1},
                subject.blank.get(name, ()),
            )
            for name, table in self.tables.items()
        }
        #: Values of columns that others reference, of the rows that go: (relation, column) → values.
        self.keys: dict[tuple[str, str], set[Any]] = {}
        self._referenced = {parent for one in self.doomed.values() for parent in one.parents.values()}

    def run(self, dry: bool = False) -> Rows:
        """Do it, or only count with `dry`; one row a table: rows deleted and emptied, days to restate."""
        with self.engine.transaction():
            self._gather()
            rows = [row for name in self.doomed if (row := self._one(name, dry))]
            held, unread = self._quarantined()
            if held:
                rows.append({"table": ledger.QUARANTINE, "deleted": len(held), "emptied": 0, "days": 0})
            if not dry:
                self._remember(held)
        extras = {"subject": self.subject.name, "dry_run": dry, "rows_removed": sum(r["deleted"] for r in rows)}
        notes = []
        if not rows:
            notes.append(f"no table holds a row of this {self.subject.name}")
        elif not dry:
            notes.append("models still hold what they were built from: run prodsense build")
        if unread:
            notes.append(f"{unread:,} quarantined rows could not be taken apart: look through prodsense.quarantine")
        return replace(Rows.from_rows(rows, title=f"forget {self.subject.name}", extras=extras), notes=tuple(notes))

    def _gather(self) -> None:
        """Follow references from the person's rows until no further row goes."""
        home, _, key = self.subject.key.rpartition(".")
        owner = self.tables.get(home)
        if owner is not None:
            self.keys[owner.relation, key] = {self.value}
        grown = True
        while grown:
            grown = False
            for one in self.doomed.values():
                wanted = [column for relation, column in self._referenced if relation == one.table.relation]
                if not wanted:
                    continue
                with self._where(one) as (where, params):
                    found = self.engine.query(
                        f"SELECT DISTINCT {comma(wanted)} FROM {quoted(one.table.relation)} WHERE {where}", params
                    )
                for column in wanted:
                    values = {value for value in found[column].to_pylist() if value is not None}
                    known = self.keys.setdefault((one.table.relation, column), set())
                    grown = grown or not values <= known
                    known |= values

    def _where(self, one: _Doomed, emptied: bool = False) -> _Condition:
        return _Condition(self.engine, one, self.keys, self.value, emptied)

    def _one(self, name: str, dry: bool) -> dict[str, Any] | None:
        """Delete and empty the rows of one table that go; what was done, None where there are none."""
        one = self.doomed[name]
        table, days = one.table, set[str | None]()
        column = comma([table.partition]) if table.partition else "NULL"
        numbers = {}
        for emptied in (False, True) if one.blank else (False,):
            with self._where(one, emptied) as (where, params):
                counted = self.engine.query(
                    f"SELECT CAST({column} AS VARCHAR) AS day, COUNT(*) AS n FROM {quoted(table.relation)}"
                    f" WHERE {where} GROUP BY 1", params,
                ).to_pylist()  # fmt: skip
                numbers[emptied] = sum(row["n"] for row in counted)
                days |= {row["day"] for row in counted}
                if numbers[emptied] and not dry:
                    if emptied:
                        self._empty(table, one.blank, where, params)
                    else:
                        self.engine.delete(table.relation, where, params)
        if not any(numbers.values()):
            return None
        if not dry:
            touched = sorted(days, key=lambda day: day or "") if table.partition else [None]
            ledger.touch(self.engine, table.relation, touched)
        return {"table": table.relation, "deleted": numbers[False], "emptied": numbers.get(True, 0),
                "days": len(days) if table.partition else 0}  # fmt: skip

    def _empty(self, table: Table, blank: tuple[str, ...], where: str, params: Params) -> None:
        items = ", ".join(
            f"CAST(NULL AS {column.type}) AS {comma([name])}" if name in blank else comma([name])
            for name, column in table.columns.items()
        )
        rows = self.engine.query(f"SELECT {items} FROM {quoted(table.relation)} WHERE {where}", params)
        self.engine.delete(table.relation, where, params)
        self.engine.append(table.relation, rows)

    def _quarantined(self) -> tuple[list[int], int]:
        """Quarantined rows about the person by id, and the number of those that cannot be told."""
        if self.engine.columns(ledger.QUARANTINE) is None:
            return [], 0
        rows = self.engine.query(f"SELECT id, relation, cells, original FROM {ledger.QUARANTINE}").to_pylist()
        by_relation = {one.table.relation: one for one in self.doomed.values()}
        texts = {where: {str(value) for value in values} for where, values in self.keys.items()}
        found, unread = [], 0
        for row in rows:
            one = by_relation.get(row["relation"])
            if one is None or (row["cells"] is None and row["original"] is None):
                continue
            cells = _cells(row["cells"] or row["original"])
            if cells is None:
                unread += 1
                continue
            mine = any(str(cells.get(column)) == str(self.value) for column in one.own)
            below = any(str(cells.get(column)) in texts.get(parent, ()) for column, parent in one.parents.items())
            if mine or below:
                found.append(row["id"])
        return found, unread

    def _remember(self, quarantined: list[int]) -> None:
        """Take the quarantined rows out, and keep what later loads refuse the person by."""
        import pyarrow as pa

        ledger.ensure_system_tables(self.engine)
        if quarantined:
            with self.engine.temporary(pa.table({"id": pa.array(quarantined, pa.int64())})) as held:
                self.engine.delete(ledger.QUARANTINE, f"id IN (SELECT id FROM {held})")
        entries = [
            (relation, column, "", value) for (relation, column), values in self.keys.items() for value in values
        ]
        for name, columns in self.subject.columns.items():
            if name in self.tables:
                relation, condition = self.tables[name].relation, self.subject.where.get(name, "")
                entries += [(relation, column, condition, self.value) for column in columns]
        forgotten.record(self.engine, ledger.next_seq(self.engine), entries)


class _Condition:
    """SQL that holds for the rows of a table that are deleted, or `emptied`; values are offered for a while."""

    def __init__(
        self, engine: Engine, one: _Doomed, keys: Mapping[tuple[str, str], set[Any]], value: Any, emptied: bool
    ):
        self.engine, self.one, self.keys, self.value, self.emptied = engine, one, keys, value, emptied
        self._stack = ExitStack()

    def __enter__(self) -> tuple[str, Params]:
        params = {"subject": self.value, "subject_text": str(self.value)}
        deleted = self._any(lambda column: column not in self.one.blank)
        if not self.emptied:
            return deleted, params
        return f"({self._any(lambda column: column in self.one.blank)}) AND NOT COALESCE({deleted}, FALSE)", params

    def _any(self, wanted: Callable[[str], bool]) -> str:
        """The person, or a row that goes, in any of the wanted columns."""
        import pyarrow as pa

        parts = []
        for column in filter(wanted, self.one.own):
            number = self.one.table.columns[column].type != "VARCHAR" and isinstance(self.value, int)
            same = f"{comma([column])} = :subject" if number else f"text_of({comma([column])}) = :subject_text"
            parts.append(f"({same} AND ({self.one.condition}))" if self.one.condition else same)
        for column, parent in self.one.parents.items():
            values = self.keys.get(parent)
            if not values or column in self.one.own or not wanted(column):
                continue
            held = self._stack.enter_context(self.engine.temporary(pa.table({"value": pa.array(sorted(values))})))
            parts.append(f"{comma([column])} IN (SELECT value FROM {held})")
        return " OR ".join(parts) or "FALSE"

    def __exit__(self, *_: Any) -> None:
        self._stack.close()


def _cells(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return {str(key).lower(): value for key, value in found.items()} if isinstance(found, dict) else None


def choose(subjects: Mapping[str, Subject], kind: str | None, pack: str) -> Subject:
    """The kind of person meant: as named, or the pack's first."""
    if kind is None:
        return next(iter(subjects.values()))
    if kind not in subjects:
        raise UsageError(f"{pack} knows no {kind}; it knows: {', '.join(subjects)}")
    return subjects[kind]


def typed(subject: Subject, tables: Mapping[str, Table], given: Any) -> Any:
    """The person's key in the type of its column; UsageError when it is none."""
    from prodsense.contracts.vocabulary import Param
    from prodsense.metrics.queries import coerce

    home, _, key = subject.key.rpartition(".")
    kind = tables[home].columns[key].type
    if given is None or not str(given).strip():
        raise UsageError(f"--subject is empty: give the {key} of the {subject.name} to forget")
    if kind.endswith("INT") or kind == "INTEGER":
        return coerce(given, Param(key, "integer"), f"forget {subject.name}")
    return coerce(given, Param(key, "text"), f"forget {subject.name}")


def forget(engine: Engine, packs: Sequence[Any], given: Any, kind: str | None = None, dry: bool = False) -> Rows:
    """Forget the person whose key is `given`, in the one of `packs` that knows people; see `Warehouse.forget`.

    The same number may be another person's in another pack: UsageError where several know people, or none.
    """
    from prodsense.privacy.subjects import subjects_of

    knowing = [pack for pack in packs if subjects_of(pack)]
    if len(knowing) > 1:
        raise UsageError(f"several packs know people; say which: {', '.join(pack.name for pack in knowing)}")
    if not knowing:
        names = ", ".join(pack.name for pack in packs) or "this warehouse"
        raise UsageError(f"{names} does not say which columns identify people (SUBJECTS in a pack's roles.py)")
    pack = knowing[0]
    subject = choose(subjects_of(pack), kind, pack.name)
    return Forgetting(engine, dict(pack.tables), subject, typed(subject, pack.tables, given)).run(dry)
