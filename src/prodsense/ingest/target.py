"""The contracted tables in a warehouse: whether they can be loaded, and their creation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prodsense.errors import UnsupportedError
from prodsense.ingest import ledger

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine
    from prodsense.engines.duckdb import DuckDBEngine


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
