"""One load: read, check, route, record, in one transaction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ContractError, EngineError, UnsupportedError
from prodsense.ingest import ledger
from prodsense.ingest.discover import File, Input, discover, sha256
from prodsense.ingest.merge import Batch, Outcome
from prodsense.ingest.quarantine import Refused, merge_loads, refused_rows, release_orphans, store
from prodsense.ingest.readers import Group, Reader, absent
from prodsense.ingest.report import Example, LoadReport, Quiet, TableLoad, reason_key
from prodsense.ingest.rules import EMPTY, Checked, Rule, check

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.dock import Dock
    from prodsense.ingest.report import Progress

_counter = itertools.count(1)
_EXAMPLES = 20
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


def ingest(
    engine: Engine,
    tables: Mapping[str, Table],
    source: Any,
    table: str | None = None,
    *,
    progress: Progress | None = None,
) -> LoadReport:
    """Load files or data into contracted tables: each row ends accepted, duplicate or quarantined.

    `tables` are the known contracts by relation; `source` and `table` as in `discover`. All tables of one
    call are loaded in one transaction, parents first: after any failure nothing of it is there.
    Raises UsageError when a source or its table cannot be found, ContractError when a file as a whole
    does not fit (no required column, no such format), EngineError when the engine gives up.
    """
    inputs = discover(tables, source, table)
    return load_inputs(engine, tables, inputs, progress)


def load_inputs(
    engine: Engine, tables: Mapping[str, Table], inputs: Sequence[Input], progress: Progress | None = None
) -> LoadReport:
    """Load resolved inputs in their order, in one transaction."""
    shown = progress or Quiet()
    shown.start("reading", 2 * len(inputs))
    try:
        with ExitStack() as stack:
            dock = _dock(engine, tables, stack)
            duck = dock.duck if dock else duckdb_only(engine)
            prepared: list[Staged | TableLoad] = []
            for one in inputs:
                prepared.append(_prepare(duck, one, stack))
                shown.advance()
            if all(isinstance(p, TableLoad) for p in prepared):
                return LoadReport(tuple(p for p in prepared if isinstance(p, TableLoad)))
            with duck.transaction():
                load_id = ledger.next_seq(duck)
                loads: list[TableLoad] = []
                for item in prepared:
                    if isinstance(item, Staged):
                        if dock:
                            dock.bring(item.table, item.rows)
                        loads += load_staged(duck, tables, item, load_id, stack)
                    else:
                        loads.append(item)
                    shown.advance()
            if dock:
                dock.hand_over()
            return LoadReport(tuple(merge_loads(loads)), load_id)
    finally:
        shown.finish()


def _dock(engine: Engine, tables: Mapping[str, Table], stack: ExitStack) -> Dock | None:
    """Where a load for another engine than DuckDB happens."""
    if engine.name == "duckdb":
        return None
    from prodsense.ingest.dock import Dock

    return Dock(engine, tables, stack)


def duckdb_only(engine: Engine) -> DuckDBEngine:
    """The engine, if it is one that files can be loaded into."""
    if engine.name != "duckdb":
        raise UnsupportedError(f"this is done on DuckDB only, not on {engine.name}")
    if engine.read_only:
        raise UnsupportedError(f"{engine.location} is open for reading only; open it for writing to load")
    return engine  # type: ignore[return-value]


def ensure_tables(engine: Engine, tables: Mapping[str, Table]) -> None:
    """Create the contracted tables (and the system tables) that are missing; add columns that are new."""
    with engine.transaction():
        ledger.ensure_system_tables(engine)
        for table in tables.values():
            create(engine, table)


def create(engine: Engine, table: Table) -> None:
    """Create one contracted table, or add the columns that it lacks. No constraint goes to the engine:
    uniqueness and references are the loader's business, since indexes cost several times the load."""
    existing = engine.columns(table.relation)
    if existing is not None and all(column in existing for column in table.columns):
        return
    engine.create_table(
        table.relation,
        {c.name: c.type for c in table.columns.values()},
        table.partition,
        {c.name: c.default for c in table.columns.values() if c.default is not None},
    )


# -- reading and checking ----------------------------------------------------------------------------


def _prepare(engine: DuckDBEngine, source: Input, stack: ExitStack) -> Staged | TableLoad:
    """Skip what was loaded before, then read the rest."""
    files, hashes, warnings = _new_files(engine, source)
    if source.files and not files:
        return TableLoad(source.table.relation, source.source, warnings=tuple(warnings), skipped=True)
    reader = Reader(engine, source.table, stack)
    staged = stage(engine, source.table, source.source, reader.groups(source, files), stack)
    staged.hashes = hashes
    staged.warnings[:0] = warnings
    return staged


def _new_files(engine: DuckDBEngine, source: Input) -> tuple[list[File], dict[str, str], list[str]]:
    known = {}
    if ledger.has_ledger(engine):
        known = ledger.loaded_hashes(engine, source.table.relation)
    files, hashes, warnings = [], {}, []
    here: dict[str, str] = {}
    for file in source.files:
        try:
            digest = sha256(file.path)
        except OSError as error:
            raise ContractError(f"{file.path} cannot be read: {error.strerror}") from None
        name = Path(file.path).name
        if digest in known:
            warnings.append(f"{name} was loaded before (load {known[digest]})")
        elif digest in here:
            warnings.append(f"{name} has the same content as {here[digest]}")
        else:
            files.append(file)
            hashes[file.path] = digest
            here[digest] = name
    return files, hashes, warnings


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
                    f"{', '.join(Path(f.path).name for f in group.files[:3])} cannot be read ({error}); write it again"
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
                    raise ContractError(absent(staged.table, file.path, [column]))
        first += len(group.files)


# -- routing and recording ---------------------------------------------------------------------------


def load_staged(
    engine: DuckDBEngine, tables: Mapping[str, Table], staged: Staged, load_id: int, stack: ExitStack
) -> list[TableLoad]:
    """Route the staged rows of one table, record the load, and release orphans that found their parent."""
    table = staged.table
    create(engine, table)
    outcome = Outcome()
    read = None
    if staged.direct:
        read = _load_clean(engine, staged, outcome)
        if read is None:
            outcome = Outcome()
            materialise(engine, staged, stack)
    refused: list[Refused] = []
    reasons: dict[str, int] = {}
    quarantined = 0
    if read is None:
        read = sum(count for _, count in staged.starts.values()) + staged.broken
        batch = Batch(engine, table, staged.rows, True)
        route(batch, outcome)
        for chunk in refused_rows(engine, staged, batch):
            quarantined += store(engine, load_id, table.relation, chunk)
            for row in chunk:
                key = reason_key(row.rule, row.column)
                reasons[key] = reasons.get(key, 0) + 1
            refused += chunk[: _EXAMPLES * 5] if len(refused) < _EXAMPLES * 50 else []
        batch.close()
    if outcome.accepted + outcome.duplicate + quarantined != read:
        raise EngineError(
            f"{table.relation}: {outcome.accepted} accepted + {outcome.duplicate} duplicate + {quarantined} quarantined"
            f" is not {read} read; nothing was loaded, please report this with the file"
        )
    _record(engine, staged, load_id, read, outcome, quarantined)
    if outcome.partitions:
        ledger.touch(engine, table.relation, sorted(outcome.partitions, key=lambda p: p or ""), load_id)
    load = TableLoad(
        table.relation, staged.source, read, outcome.accepted, outcome.updated, outcome.duplicate, quarantined, 0,
        reasons, _examples(refused), tuple(dict.fromkeys(staged.warnings + outcome.warnings)),
    )  # fmt: skip
    released = release_orphans(engine, tables, table, load_id, stack) if outcome.accepted else []
    return [load, *released]


def _load_clean(engine: DuckDBEngine, staged: Staged, outcome: Outcome) -> int | None:
    """Insert straight from the source when every row is sound and new; None when one is not."""
    batch = Batch(engine, staged.table, staged.rows, False)
    read = engine.raw(f"SELECT COUNT(*) FROM {staged.rows} AS s").fetchall()[0][0]
    if engine.raw(staged.unsound).fetchall() or batch.repeats() or batch.overlaps():
        return None
    if batch.unique_clashes() or batch.references(outcome):
        return None
    batch.insert(outcome)
    counts = [(0, read)]
    if len(staged.files) > 1:
        counts = engine.raw(f"SELECT _file, COUNT(*) FROM {staged.rows} AS s GROUP BY _file").fetchall()
    staged.starts = {file: (0, count) for file, count in counts}
    return int(read)


def route(batch: Batch, outcome: Outcome, replace: bool = True) -> None:
    """Take the sound rows of a stage to the table."""
    batch.references(outcome)
    if batch.table.key and not batch.rises():
        outcome.duplicate += batch.drop_repeats()
    if batch.overlaps():
        batch.meet_stored(outcome, replace)
    if len(batch.table.uniques) > (0 if batch.table.primary_key else 1) and batch.unique_clashes():
        batch.refuse_clashes()
    batch.insert(outcome)


def _record(
    engine: DuckDBEngine, staged: Staged, load_id: int, read: int, outcome: Outcome, quarantined: int
) -> None:
    import pyarrow as pa

    at = ledger.now()
    relation = staged.table.relation
    record(engine, load_id, relation, staged.source, read, outcome, quarantined, 0)
    if not staged.files:
        return
    broken: dict[int, int] = {}
    first = 0
    for group in staged.groups:
        for place, _ in group.broken:
            broken[first + place] = broken.get(first + place, 0) + 1
        first += len(group.files)
    rows = [staged.starts.get(i, (0, 0))[1] + broken.get(i, 0) for i in range(len(staged.files))]
    hashes = [staged.hashes.get(file.path) for file in staged.files]
    files = pa.table({
        "load_id": [load_id] * len(rows), "relation": [relation] * len(rows),
        "path": [file.path for file in staged.files], "sha256": pa.array(hashes, pa.string()),
        "bytes": pa.array([file.bytes if file.format != "data" else None for file in staged.files], pa.int64()),
        "rows": rows, "at": pa.array([at] * len(rows), pa.timestamp("us")),
    })  # fmt: skip
    with engine.temporary(files) as name:
        engine.raw(f"INSERT INTO {ledger.FILES} BY NAME SELECT * FROM {name}")


def record(
    engine: DuckDBEngine, load_id: int, relation: str, source: str, read: int, outcome: Outcome, quarantined: int,
    released: int,
) -> None:
    """Write one line of the load book."""
    engine.raw(
        f"INSERT INTO {ledger.LOADS} BY NAME SELECT $load AS load_id, $relation AS relation, $source AS source,"
        " $at AS at, $read AS read, $accepted AS accepted, $updated AS updated, $duplicate AS duplicate,"
        " $quarantined AS quarantined, $released AS released",
        {"load": load_id, "relation": relation, "source": source, "at": ledger.now(), "read": read,
         "accepted": outcome.accepted, "updated": outcome.updated, "duplicate": outcome.duplicate,
         "quarantined": quarantined, "released": released},
    )  # fmt: skip


def _examples(refused: Sequence[Refused]) -> tuple[Example, ...]:
    """One example of each reason, most readable first come."""
    found: dict[str, Example] = {}
    for row in refused:
        key = reason_key(row.rule, row.column)
        if key not in found:
            found[key] = Example(Path(row.file).name, row.row, row.rule, row.column, row.reason, row.todo)
    return tuple(found.values())[:_EXAMPLES]
