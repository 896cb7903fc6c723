"""A small city, loaded and built once, and its tables as plain rows for oracles."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a simulated city, three weeks long."""
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    folder = tmp_path_factory.mktemp("city")
    write(load_pack("delivery").simulate(days=21, scale=0.04, seed=5), folder)
    return folder


@pytest.fixture(scope="session")
def rows_of(city: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Rows of one of its files."""
    import pyarrow.parquet as pq

    return lambda table: pq.read_table(city / f"{table}.parquet").to_pylist()


#: What nobody but the owner may find anywhere.
SECRET = "planted-secret"


@pytest.fixture(scope="session")
def built(city: Path, tmp_path_factory: pytest.TempPathFactory, rows_of: Any) -> Path:
    """The city in a warehouse file, free words and places planted in it; tests read it, none writes."""
    import pyarrow as pa

    from prodsense.warehouse import open as open_warehouse

    path = tmp_path_factory.mktemp("privacy") / "city.duckdb"
    with open_warehouse(path) as wh:
        wh.ingest(str(city), pack="delivery")
        orders = [{**row, "special_instructions": SECRET, "delivery_instructions": SECRET,
                   "delivery_address_lat": "12.34567891"} for row in rows_of("fact_orders")[:200]]  # fmt: skip
        wh.ingest(pa.Table.from_pylist(orders), table="delivery.fact_orders")
        refused = pa.Table.from_pylist([{**orders[0], "order_id": None}])
        assert wh.ingest(refused, table="delivery.fact_orders").quarantined == 1
        assert wh.build("delivery").ok
    return path


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """A copy of it to write to."""
    return Path(shutil.copy(built, tmp_path / "copy.duckdb"))
