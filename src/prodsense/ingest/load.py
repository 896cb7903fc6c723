"""One load: read, check, route, record, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ContractError, EngineError
from prodsense.ingest import ledger
from prodsense.ingest.discover import File, Input, discover, sha256
from prodsense.ingest.merge import Batch, Outcome, route
from prodsense.ingest.quarantine import Refused, merge_loads, refused_rows, release_orphans, store
from prodsense.ingest.readers import Reader
from prodsense.ingest.report import Example, LoadReport, Quiet, TableLoad, reason_key
from prodsense.ingest.stage import Staged, materialise, stage
from prodsense.ingest.target import create, duckdb_only

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.dock import Dock
    from prodsense.ingest.report import Progress

_EXAMPLES = 20


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
            raise ContractError(f"{file.name} cannot be read: {error.strerror}") from None
        name = Path(file.name).name
        if digest in known:
            warnings.append(f"{name} was loaded before (load {known[digest]})")
        elif digest in here:
            warnings.append(f"{name} has the same content as {here[digest]}")
        else:
            files.append(file)
            hashes[file.path] = digest
            here[digest] = name
    return files, hashes, warnings


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


def _record(
    engine: DuckDBEngine, staged: Staged, load_id: int, read: int, outcome: Outcome, quarantined: int
) -> None:
    import pyarrow as pa

    at = ledger.now()
    relation = staged.table.relation
    ledger.record_load(
        engine, load_id, relation, staged.source, read=read, accepted=outcome.accepted, updated=outcome.updated,
        duplicate=outcome.duplicate, quarantined=quarantined,
    )  # fmt: skip
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
        "path": [file.name for file in staged.files], "sha256": pa.array(hashes, pa.string()),
        "bytes": pa.array([file.bytes if file.format != "data" else None for file in staged.files], pa.int64()),
        "rows": rows, "at": pa.array([at] * len(rows), pa.timestamp("us")),
    })  # fmt: skip
    with engine.temporary(files) as name:
        engine.raw(f"INSERT INTO {ledger.FILES} BY NAME SELECT * FROM {name}")


def _examples(refused: Sequence[Refused]) -> tuple[Example, ...]:
    """One example of each reason, most readable first come."""
    found: dict[str, Example] = {}
    for row in refused:
        key = reason_key(row.rule, row.column)
        if key not in found:
            found[key] = Example(Path(row.file).name, row.row, row.rule, row.column, row.reason, row.todo)
    return tuple(found.values())[:_EXAMPLES]
