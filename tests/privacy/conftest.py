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


@pytest.fixture(scope="session")
def built(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city in a warehouse file; tests read it, none writes."""
    from prodsense.warehouse import open as open_warehouse

    path = tmp_path_factory.mktemp("privacy") / "city.duckdb"
    with open_warehouse(path) as wh:
        wh.ingest(str(city), pack="delivery")
        assert wh.build("delivery").ok
    return path


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """A copy of it to write to."""
    return Path(shutil.copy(built, tmp_path / "copy.duckdb"))
