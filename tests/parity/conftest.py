"""The same simulated data, loaded and built on DuckDB and on a real local Spark."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from parity_rows import Pair

from prodsense.contracts.tables import Table
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.packs import load_pack, pack_names
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse

#: Nine days from a Friday: a Monday and the first of a month lie inside.
START, DAYS, SCALE, SEED = date(2024, 1, 26), 9, 0.06, 5


def packs_with_data() -> list[str]:
    """Packs that can simulate their tables: a new one is covered as soon as it can."""
    return [name for name in pack_names() if find_spec(f"{load_pack(name).module}.simulate")]


def simulated(pack: Pack) -> dict[str, pa.Table]:
    """Small tables of the pack, with NULL in what may be, and with fractions of seconds."""
    signature = inspect.signature(import_module(f"{pack.module}.simulate").simulate)
    options: dict[str, Any] = {"start": START} if "start" in signature.parameters else {}
    tables = pack.simulate(days=DAYS, scale=SCALE, seed=SEED, **options).tables
    return {name: _roughened(rows, pack.tables[name]) for name, rows in tables.items()}


def _roughened(rows: pa.Table, table: Table) -> pa.Table:
    numbers = pa.array(range(rows.num_rows))
    every = lambda n: pc.equal(pc.subtract(numbers, pc.multiply(pc.divide(numbers, n), n)), n - 1)  # noqa: E731
    linked = {name for reference in table.references for name in reference.columns}
    keys = {*table.key, table.partition, *linked}
    for position, field in enumerate(rows.schema):
        column = table.columns[field.name]
        values = rows.column(position)
        if pa.types.is_timestamp(field.type):
            micros = pc.cast(values, pa.timestamp("us"))
            later = pc.add(micros, pa.scalar(123_457, pa.duration("us")))
            values = pc.if_else(every(7), later, micros)
        if column.nullable and field.name not in keys:
            values = pc.if_else(every(29 + position), pa.scalar(None, values.type), values)
        rows = rows.set_column(position, field.name, values)
    return rows


@pytest.fixture(scope="session", params=packs_with_data())
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Each pack in turn, loaded and built once on either engine."""
    from prodsense.engines.spark import SparkEngine

    session = request.getfixturevalue("spark_session")
    pack = load_pack(request.param)
    lake: Path = tmp_path_factory.mktemp(pack.name)
    both = Pair(pack, Warehouse(DuckDBEngine()), Warehouse(SparkEngine(lake, session=session)))
    data = simulated(pack)
    for warehouse in (both.duckdb, both.spark):
        warehouse.ingest(data, pack=pack.name)
        report = warehouse.build(pack.name)
        assert not [m for m in report.models if m.mode in ("failed", "skipped")], report
    yield both
    both.duckdb.close()
    both.spark.close()
