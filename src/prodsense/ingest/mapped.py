"""Own data by a mapping: `sources/<table>.sql` of a project is a SELECT over raw files.

The SELECT is DuckDB's SQL; paths in it are relative to the project. Its rows take the way of any file.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from prodsense.engines.duckdb_scan import literal
from prodsense.errors import ContractError, EngineError, SqlError, UsageError
from prodsense.ingest import ledger
from prodsense.ingest.discover import find_table, order, sha256
from prodsense.ingest.load import load_staged
from prodsense.ingest.quarantine import merge_loads
from prodsense.ingest.readers import Reader
from prodsense.ingest.report import LoadReport, Quiet, TableLoad
from prodsense.ingest.stage import Staged, stage
from prodsense.ingest.target import duckdb_only

if TYPE_CHECKING:
    from prodsense.contracts.tables import Column, Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.report import Progress


def write_source_template(table: Table) -> str:
    """The text of `sources/<table>.sql`: every contracted column named, typed and commented, for editing."""
    lines = [f"-- {table.relation}: {table.says}".rstrip(": ")]
    lines += [
        "-- Write each column's expression before AS; drop the lines of optional columns that you do not have.",
        "-- Paths are relative to the project's folder. read_csv, read_json and read_parquet all take patterns.",
    ]
    if table.key:
        lines.append(f"-- Rows are merged on {', '.join(table.key)}: the newest row of a key replaces the stored one.")
    for reference in table.references:
        lines.append(f"-- {', '.join(reference.columns)} must be in {reference.table}.")
    for check in table.checks:
        lines.append(f"-- Must hold: {check.sql}")
    lines.append("SELECT")
    columns = list(table.columns.values())
    for place, column in enumerate(columns):
        comma = "," if place < len(columns) - 1 else ""
        lines.append(f'    "{column.name}" AS {column.name}{comma}  -- {_describe(column)}')
    lines.append(f"FROM read_csv('raw/{table.name}.csv', all_varchar = true)")
    return "\n".join(lines) + "\n"


def _describe(column: Column) -> str:
    kind = f"VARCHAR({column.length})" if column.length else column.type
    need = "required" if column.required else f"default {column.default}" if column.default else "optional"
    unit = f" [{column.unit}]" if column.unit else ""
    return f"{kind}, {need}. {column.says}{unit}".rstrip()


def load_mapped(
    engine: Engine,
    tables: Mapping[str, Table],
    project: str | Path,
    table: str | None = None,
    *,
    progress: Progress | None = None,
) -> LoadReport:
    """Run the mappings of a project folder (or the one for `table`) and load their rows, parents first.

    A mapping whose text and raw files are as they were at its last load is skipped, and so is one that
    is still the template. Raises UsageError
    when there is no mapping, SqlError when one is no single SELECT or does not run.
    """
    duck = duckdb_only(engine)
    folder = Path(project) / "sources"
    if table:
        contract = find_table(tables, table)
        paths = {contract.relation: folder / f"{contract.name}.sql"}
        if not paths[contract.relation].is_file():
            raise UsageError(f"{paths[contract.relation]} is not there; write it, or make it with prodsense init")
    else:
        paths = {find_table(tables, path.stem).relation: path for path in sorted(folder.glob("*.sql"))}
        if not paths:
            raise UsageError(f"{folder} holds no mapping; make them with prodsense init")
    shown = progress or Quiet()
    shown.start("mapping", 2 * len(paths))
    try:
        with ExitStack() as stack:
            prepared = []
            for relation in order(tables, paths):
                prepared.append(_read(duck, tables[relation], paths[relation], Path(project), stack))
                shown.advance()
            if all(isinstance(item, TableLoad) for item in prepared):
                return LoadReport(tuple(item for item in prepared if isinstance(item, TableLoad)))
            with duck.transaction():
                load_id = ledger.next_seq(duck)
                loads: list[TableLoad] = []
                for item in prepared:
                    if isinstance(item, TableLoad):
                        loads.append(item)
                    else:
                        loads += load_staged(duck, tables, item, load_id, stack)
                    shown.advance()
            return LoadReport(tuple(merge_loads(loads)), load_id)
    finally:
        shown.finish()


def _read(engine: DuckDBEngine, table: Table, path: Path, project: Path, stack: ExitStack) -> Staged | TableLoad:
    label = f"sources/{path.name}"
    text = path.read_text(encoding="utf-8")
    if text == write_source_template(table):
        warning = f"{label} is the template as it was made; fill it in to load {table.name}"
        return TableLoad(table.relation, label, warnings=(warning,), skipped=True)
    select = _one_select(text, label)
    digest = _fingerprint(text, project)
    if ledger.has_ledger(engine) and (load := ledger.loaded_hashes(engine, table.relation).get(digest)):
        warning = f"{label} and its raw files are as they were at load {load}"
        return TableLoad(table.relation, label, warnings=(warning,), skipped=True)
    kept = f"temp.main.mapped_{table.pack}_{table.name}"
    before = engine.raw("SELECT current_setting('file_search_path')").fetchall()[0][0]
    engine.raw(f"SET file_search_path = {literal(str(project.resolve()))}")
    try:
        engine.raw(f"CREATE OR REPLACE TEMP TABLE {kept} AS {select}")
    except EngineError as error:
        raise SqlError(f"{label}: {error}") from None
    finally:
        engine.raw(f"SET file_search_path = {literal(before or '')}")
    stack.callback(engine.raw, f"DROP TABLE IF EXISTS {kept}")
    group = Reader(engine, table, stack).relation(kept, label)
    staged = stage(engine, table, label, [group], stack)
    staged.hashes = {label: digest}
    return staged


def _one_select(text: str, label: str) -> str:
    """The mapping's only statement, which has to be a SELECT."""
    import duckdb

    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise SqlError(f"{label}: {str(error).splitlines()[0]}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SqlError(f"{label}: a mapping is one SELECT over raw files")
    return statements[0].query.strip().rstrip(";")


def _fingerprint(text: str, project: Path) -> str:
    """A hash over a mapping's text and the content of every file that its literals name."""
    digest = hashlib.sha256(text.encode())
    for found in re.findall(r"'((?:[^']|'')*)'", text):
        pattern = str(project / found.replace("''", "'"))
        for path in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207
            if Path(path).is_file():
                try:
                    digest.update(path.encode() + sha256(path).encode())
                except OSError as error:
                    raise ContractError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()
