"""Reading and checking: rows of one table, before they meet what is stored."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from prodsense.errors import ContractError, EngineError
from prodsense.ingest.readers import absent
from prodsense.ingest.rules import EMPTY, Checked, Rule, check

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.discover import File
    from prodsense.ingest.readers import Group

_counter = itertools.count(1)
#: Largest share of rows that are read a second time, as text, before all of them are.
DOUBT_SHARE = 0.03


@dataclass
class Staged:
    """Rows of one table, read and checked, before they meet what is stored.

    `rows` is a relation or, for a source that may be scanned twice (`direct`), a SELECT over it;
    then `unsound` finds a row that breaks a rule.
    `rules` are numbered from 1 in ``_rule``; `starts` is the first row id and the row count of each file.
    """

    table: Table
    source: str
    groups: list[Group]
    files: list[File]
    rows: str = ""
    direct: bool = False
    unsound: str = ""
    rules: list[Rule] = field(default_factory=list)
    starts: dict[int, tuple[int, int]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        return sum(len(group.broken) for group in self.groups)


def stage(engine: DuckDBEngine, table: Table, source: str, groups: list[Group], stack: ExitStack) -> Staged:
    """Read and check groups of rows; one steady group stays where it is until it proves unclean."""
    staged = Staged(table, source, groups, [file for group in groups for file in group.files])
    staged.warnings = [warning for group in groups for warning in group.warnings]
    if len(groups) == 1 and groups[0].steady and not groups[0].numbered:
        checked = check(engine, table, groups[0].types)
        staged.rules = list(checked.rules)
        staged.rows = f"({checked.typed(groups[0].scan, ['_file'])})"
        staged.unsound = checked.unsound(groups[0].scan)
        staged.direct = True
        return staged
    materialise(engine, staged, stack)
    return staged


def materialise(engine: DuckDBEngine, staged: Staged, stack: ExitStack) -> None:
    """Write the rows of all groups to a temporary table, in file order."""
    name = f"temp.main.stage_{next(_counter)}"
    stack.callback(engine.raw, f"DROP TABLE IF EXISTS {name}")
    groups = list(staged.groups)
    done: list[Group] = []
    staged.rules, staged.direct, staged.rows = [], False, name
    created = False
    while groups:
        group = groups.pop(0)
        first = sum(len(g.files) for g in done)
        checked = check(engine, staged.table, group.types)
        scanned = group.scan
        if not group.numbered:
            scanned = f"SELECT *, CAST(NULL AS BIGINT) AS _row FROM ({scanned}) AS scanned"
        select = checked.select(scanned, ["_file", "_row"], len(staged.rules) + 1)
        select = (
            f"SELECT * REPLACE (CAST(_file + {first} AS INTEGER) AS _file, CAST(_row AS BIGINT) AS _row)"
            f" FROM ({select}) AS checked"
        )
        try:
            if created:
                engine.raw(f"INSERT INTO {name} BY NAME {select}")
            else:
                engine.raw(f"CREATE TEMP TABLE {name} AS {select}")
        except EngineError as error:
            if group.fallback is None:
                raise ContractError(
                    f"{', '.join(Path(f.name).name for f in group.files[:3])} cannot be read ({error}); write it again"
                ) from None
            groups[:0] = group.fallback()
            continue
        if group.parsed and not _look_again(engine, staged, name, group, first, checked):
            engine.raw(f"DELETE FROM {name} WHERE _file >= {first}" if created else f"DROP TABLE {name}")
            assert group.fallback is not None
            groups[:0] = group.fallback()
            continue
        created = True
        if not group.parsed:
            staged.rules += checked.rules
        done.append(group)
    staged.groups = done
    rows = engine.raw(f"SELECT _file, MIN(rowid), COUNT(*) FROM {name} GROUP BY _file").fetchall()
    staged.starts = {file: (start, count) for file, start, count in rows}
    _refuse_absent(engine, staged)


def _look_again(
    engine: DuckDBEngine, staged: Staged, name: str, group: Group, first: int, own: Checked
) -> bool:
    """Read the doubtful rows of numbers that the engine parsed once more, as text; False when they are many.

    Of what the engine parsed, only the text tells what was wrong; other rules of the group (`own`) stand.
    """
    import pyarrow as pa

    assert group.again is not None
    checked = check(engine, staged.table, dict.fromkeys(group.types, "VARCHAR"))
    unclear = [
        str(number)
        for number, rule in enumerate(own.rules, len(staged.rules) + 1)
        if rule.kind == EMPTY or (rule.kind != "check" and rule.column in group.parsed)
    ]
    start = len(staged.rules) + len(own.rules)
    bad = " OR ".join([f"_rule IN ({', '.join(unclear)})", *(f'"{column}" IS NULL' for column in group.parsed)])
    odd = " OR ".join(["_rule > 0", *(f'"{column}" IN (0, 1)' for column in group.parsed)])
    counts = engine.raw(
        f"SELECT _file, MIN(rowid), COUNT(*), COUNT(*) FILTER (WHERE {bad} OR {odd})"
        f" FROM {name} WHERE _file >= {first} GROUP BY _file"
    ).fetchall()
    if sum(row[3] for row in counts) > max(1000, DOUBT_SHARE * sum(row[2] for row in counts)):
        return False
    staged.rules += [*own.rules, *checked.rules]
    for file, begin, total, doubts in counts:
        if not doubts:
            continue
        found = engine.raw(
            f"SELECT rowid - {begin} + 1, {bad} FROM {name} WHERE _file = {file} AND ({bad} OR {odd}) ORDER BY rowid"
        ).fetchall()
        columns, rows, broken = group.again(
            file - first, [row for row, is_bad in found if is_bad], [row for row, is_bad in found if not is_bad], total
        )
        text = {column: pa.array(cells, pa.string()) for column, cells in columns.items()}
        text["_id"] = pa.array([row + begin - 1 for row in rows], pa.int64())
        with engine.temporary(pa.table(text)) as held:
            verdicts = checked.select(f"SELECT * FROM {held}", ["_id"], start + 1)
            taken = ", ".join(f'"{c}" = v."{c}"' for c in staged.table.columns)
            engine.raw(
                f"UPDATE {name} AS s SET {taken}, _rule = v._rule, _cell = v._cell FROM ({verdicts}) AS v"
                " WHERE s.rowid = v._id"
            )
        lost = pa.table({"_id": pa.array([row + begin - 1 for row in broken], pa.int64())})
        with engine.temporary(lost) as held:
            # The first rule stands for rows that could not be read; their text says more in time.
            engine.raw(f"UPDATE {name} SET _rule = {start + 1} WHERE rowid IN (SELECT _id FROM {held})")
    return True


def _refuse_absent(engine: DuckDBEngine, staged: Staged) -> None:
    """Refuse a file of JSON objects none of which has a required column."""
    empty = ", ".join(str(i) for i, rule in enumerate(staged.rules, 1) if rule.kind == EMPTY) or "0"
    first = 0
    for group in staged.groups:
        for column in group.suspects:
            for number, file in enumerate(group.files, first):
                if number not in staged.starts:
                    continue
                present = engine.raw(
                    f'SELECT COUNT("{column}"), COUNT(*) FILTER (WHERE _rule NOT IN ({empty}))'
                    f" FROM {staged.rows} WHERE _file = {number}"
                ).fetchall()[0]
                if present[0] == 0 and present[1] > 0:
                    raise ContractError(absent(staged.table, file.name, [column]))
        first += len(group.files)
