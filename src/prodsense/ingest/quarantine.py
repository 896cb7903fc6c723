"""Rows that may not go in: kept with their original text, the reason and what to do; tried again later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodsense.engines.duckdb_scan import literal, name
from prodsense.errors import EngineError
from prodsense.ingest import ledger
from prodsense.ingest.discover import File, find_table, order
from prodsense.ingest.merge import Batch, Outcome, route
from prodsense.ingest.readers import Group
from prodsense.ingest.report import LoadReport, TableLoad, reason_key
from prodsense.ingest.rules import EMPTY, FORGOTTEN, REFERENCE, UNIQUE
from prodsense.ingest.stage import Staged, materialise
from prodsense.ingest.target import create, duckdb_only

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.readers import Original

#: Rows whose original text is fetched in one go.
_CHUNK = 200_000
#: What a load of released rows calls its source.
SOURCE = "quarantine"


@dataclass(frozen=True)
class Refused:
    """One row for the quarantine; `row` counts the data rows of its file from 1."""

    file: str
    row: int
    column: str
    rule: str
    reason: str
    todo: str
    original: str | None
    cells: str | None


def _verdicts(
    engine: DuckDBEngine, staged: Staged, batch: Batch
) -> Iterator[tuple[int, int, Any, tuple[str, str, str, str]]]:
    """(file, row, row of its own count, (column, rule, reason, to do)) of each refused row of a stage."""
    stage = staged.rows
    found = engine.raw(f"SELECT rowid, _file, _row, _rule, _cell FROM {stage} WHERE _rule > 0 ORDER BY rowid")
    yield from _pages(found, lambda row: (
        row[1], row[0], row[2], _by_rule(staged, row[3], row[4]),
    ))  # fmt: skip
    if not batch.noted:
        return
    for why, failed in batch.failures.items():
        columns = failed if isinstance(failed, tuple) else failed.columns
        cell = " || ', ' || ".join(f'CAST(s."{c}" AS VARCHAR)' for c in columns)
        found = engine.raw(
            f"SELECT s.rowid, s._file, s._row, {cell} FROM {stage} AS s JOIN {batch.out} AS o ON o.id = s.rowid"
            f" WHERE o.why = {why} ORDER BY s.rowid"
        )
        shown = ", ".join(columns)
        for file, row, own, text in _pages(found, lambda row: (row[1], row[0], row[2], row[3])):
            if isinstance(failed, tuple):
                yield file, row, own, (
                    shown, UNIQUE, f"{shown} {text!r} is taken by another row", f"give the row its own {shown}",
                )  # fmt: skip
            else:
                yield file, row, own, (
                    shown, REFERENCE, f"{shown} {text!r} is not in {failed.table}",
                    f"load the missing row of {failed.table}: this one then goes in by itself",
                )  # fmt: skip


def _pages(cursor: Any, shape: Any) -> Iterator[Any]:
    # Read to the end before anything else runs on the connection.
    for row in cursor.fetchall():
        yield shape(row)


def _by_rule(staged: Staged, number: int, cell: str | None) -> tuple[str, str, str, str]:
    rule = staged.rules[number - 1]
    text = repr(cell) if rule.kind != "check" else str(cell)
    return rule.column, rule.kind, rule.reason.replace("{cell}", text), rule.todo


def refused_rows(engine: DuckDBEngine, staged: Staged, batch: Batch) -> Iterator[list[Refused]]:
    """The refused rows of a stage, file by file, with their original text."""
    by_file: dict[int, dict[int, tuple[str, str, str, str]]] = {}
    for index, row, own, verdict in _verdicts(engine, staged, batch):
        number = own if own is not None else row - staged.starts[index][0] + 1
        by_file.setdefault(index, {})[number] = verdict
    first = 0
    for group in staged.groups:
        for place, file in enumerate(group.files):
            rows = by_file.get(first + place, {})
            total = staged.starts.get(first + place, (0, 0))[1]
            numbers = sorted(rows)
            for at in range(0, len(numbers), _CHUNK):
                chunk = numbers[at : at + _CHUNK]
                originals = group.originals(place, chunk, total)
                yield [_refused(group, place, n, rows[n], originals.get(n, (None, None))) for n in chunk]
            broken = [b for at, b in group.broken if at == place]
            if broken:
                yield [Refused(file.name, b.row, "", b.rule, b.reason, b.todo, b.original, None) for b in broken]
        first += len(group.files)


def _refused(
    group: Group, place: int, row: int, verdict: tuple[str, str, str, str], original: Original | tuple[None, None]
) -> Refused:
    column, rule, reason, todo = verdict
    text, cells = original if rule != FORGOTTEN else (None, None)
    if rule == EMPTY and (problem := group.problem(place, row)):
        # The engine hands over a broken line as a row of NULLs; its text says what is wrong.
        rule, reason, todo = problem
    return Refused(group.files[place].name, row, column, rule, reason, todo, text, cells)


def store(engine: DuckDBEngine, load_id: int, relation: str, rows: Sequence[Refused]) -> int:
    """Put rows into the quarantine; return their number."""
    import pyarrow as pa

    last = engine.raw(f"SELECT COALESCE(MAX(id), 0) FROM {ledger.QUARANTINE}").fetchall()[0][0]
    at = ledger.now()
    data = pa.table({
        "id": pa.array(range(last + 1, last + 1 + len(rows)), pa.int64()),
        "load_id": pa.array([load_id] * len(rows), pa.int64()),
        "relation": pa.array([relation] * len(rows), pa.string()),
        "file": pa.array([r.file for r in rows], pa.string()),
        "row_number": pa.array([r.row for r in rows], pa.int64()),
        "column_name": pa.array([r.column or None for r in rows], pa.string()),
        "rule": pa.array([r.rule for r in rows], pa.string()),
        "reason": pa.array([_clean(r.reason) for r in rows], pa.string()),
        "todo": pa.array([r.todo for r in rows], pa.string()),
        "original": pa.array([_clean(r.original) for r in rows], pa.string()),
        "cells": pa.array([_clean(r.cells) for r in rows], pa.string()),
        "at": pa.array([at] * len(rows), pa.timestamp("us")),
    })  # fmt: skip
    with engine.temporary(data) as held:
        found = engine.raw(f"INSERT INTO {ledger.QUARANTINE} BY NAME SELECT * FROM {held}").fetchall()
    return int(found[0][0])


def _clean(text: str | None) -> str | None:
    """Text that can be stored as UTF-8 (half characters written out)."""
    return None if text is None else text.encode(errors="backslashreplace").decode()


# -- trying again ------------------------------------------------------------------------------------


def release_orphans(
    engine: DuckDBEngine, tables: Mapping[str, Table], parent: Table, load_id: int, stack: ExitStack
) -> list[TableLoad]:
    """Try the quarantined children of `parent` again; report those that went in."""
    loads: list[TableLoad] = []
    for child in tables.values():
        if not any(reference.table == parent.relation for reference in child.references):
            continue
        load = _retry(engine, child, f"rule = '{REFERENCE}'", load_id, stack)
        if load is None or not load.released:
            continue
        loads.append(load)
        loads += release_orphans(engine, tables, child, load_id, stack)
    return loads


def retry_quarantine(
    engine: Engine, tables: Mapping[str, Table], table: str | None = None
) -> LoadReport:
    """Check quarantined rows again, after a contract or its parents changed; report those that went in.

    Rows that could not be taken apart stay. A row whose key was stored since is released as superseded:
    the newer row stays. `table` limits it to one table.
    """
    duck = duckdb_only(engine)
    chosen = [find_table(tables, table).relation] if table else list(tables)
    loads: list[TableLoad] = []
    with ExitStack() as stack, duck.transaction():
        load_id = ledger.next_seq(duck)
        for relation in order(tables, chosen):
            create(duck, tables[relation])
            load = _retry(duck, tables[relation], "TRUE", load_id, stack)
            if load is not None:
                loads.append(load)
                if load.released:
                    loads += release_orphans(duck, tables, tables[relation], load_id, stack)
    return LoadReport(tuple(merge_loads(loads)), load_id)


def _retry(engine: DuckDBEngine, table: Table, which: str, load_id: int, stack: ExitStack) -> TableLoad | None:
    """Send quarantined rows of `table` through the contract again; None when there are none."""
    held = (
        f"SELECT id AS _row, COALESCE(cells, original) AS row FROM {ledger.QUARANTINE} WHERE relation ="
        f" {literal(table.relation)} AND released IS NULL AND {which}"
        " AND JSON_VALID(COALESCE(cells, original)) AND JSON_TYPE(COALESCE(cells, original)) = 'OBJECT'"
    )
    if not engine.raw(f"SELECT COUNT(*) FROM ({held}) AS held").fetchall()[0][0]:
        return None
    create(engine, table)
    picked = []
    for column in table.columns.values():
        path = literal('$."' + column.name + '"')
        value = f"JSON_EXTRACT_STRING(row, {path})"
        if column.default is not None and column.nullable:
            value = (
                f"CASE WHEN JSON_EXISTS(row, {path}) THEN {value}"
                f" ELSE CAST(CAST({column.default} AS {column.type}) AS VARCHAR) END"
            )
        picked.append(f"{value} AS {name(column.name)}")
    select = f"SELECT {', '.join(picked)}, 0 AS _file, _row FROM ({held} ORDER BY id) AS held"
    group = Group(select, dict.fromkeys(table.columns, "VARCHAR"), [File(SOURCE, "data")], numbered=True)
    staged = Staged(table, SOURCE, [group], group.files)
    materialise(engine, staged, stack)
    batch = Batch(engine, table, staged.rows, True)
    outcome = Outcome()
    route(batch, outcome, replace=False)
    reasons: dict[str, int] = {}
    refused: dict[int, tuple[str, str, str, str]] = {}
    for _, _, own, verdict in _verdicts(engine, staged, batch):
        refused[own] = verdict
        key = reason_key(verdict[1], verdict[0])
        reasons[key] = reasons.get(key, 0) + 1
    batch.close()
    total = sum(count for _, count in staged.starts.values())
    released = total - len(refused)
    if outcome.accepted + outcome.duplicate != released:
        raise EngineError(
            f"{table.relation}: {outcome.accepted} accepted + {outcome.duplicate} superseded is not {released}"
            " released; nothing was changed, please report this"
        )
    _settle(engine, staged, refused, load_id)
    if released:
        ledger.record_load(engine, load_id, table.relation, SOURCE, released=released)
    if outcome.partitions:
        ledger.touch(engine, table.relation, sorted(outcome.partitions, key=lambda p: p or ""), load_id)
    return TableLoad(
        table.relation, SOURCE, released=released, reasons=reasons,
        warnings=(f"{outcome.duplicate:,} released rows are superseded by stored ones",) if outcome.duplicate else (),
    )  # fmt: skip


def _settle(
    engine: DuckDBEngine, staged: Staged, refused: Mapping[int, tuple[str, str, str, str]], load_id: int
) -> None:
    """Mark the released rows, and write the reasons that hold now to those that stay."""
    import pyarrow as pa

    verdicts = list(refused.values())
    data = pa.table({
        "id": pa.array(list(refused), pa.int64()),
        **{
            key: pa.array([_clean(v[i]) or None for v in verdicts], pa.string())
            for i, key in enumerate(("column_name", "rule", "reason", "todo"))
        },
    })
    with engine.temporary(data) as held:
        engine.raw(
            f"UPDATE {ledger.QUARANTINE} SET released = {load_id} WHERE id IN (SELECT _row FROM {staged.rows})"
            f" AND id NOT IN (SELECT id FROM {held})"
        )
        engine.raw(
            f"UPDATE {ledger.QUARANTINE} AS q SET column_name = h.column_name, rule = h.rule, reason = h.reason,"
            f" todo = h.todo FROM {held} AS h WHERE q.id = h.id AND q.reason IS DISTINCT FROM h.reason"
        )


def merge_loads(loads: Sequence[TableLoad]) -> list[TableLoad]:
    """One entry a table: what was released goes to the table's own load, where there is one."""
    from dataclasses import replace

    merged: dict[str, TableLoad] = {}
    for load in sorted(loads, key=lambda one: one.source == SOURCE):
        known = merged.get(load.table)
        if known is None:
            merged[load.table] = load
        else:
            merged[load.table] = replace(
                known, released=known.released + load.released, warnings=known.warnings + load.warnings,
                skipped=known.skipped and not load.released,
            )  # fmt: skip
    return list(merged.values())
