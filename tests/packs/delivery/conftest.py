"""Warehouses of the delivery pack: the tiny city, and the sample of the demonstration script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

TINY = Path(__file__).parent / "tiny"


def load_city(warehouse: Warehouse, folder: Path = TINY) -> None:
    """Load every CSV of a folder in the order of the contracts and build."""
    for table in load_pack("delivery").tables:
        path = folder / f"{table}.csv"
        if path.exists():
            report = warehouse.ingest(path, table=f"delivery.{table}")
            assert report.accepted == report.read, str(report)
    report = warehouse.build("delivery")
    assert all(entry.mode not in ("failed", "skipped") for entry in report), str(report)


@pytest.fixture(scope="session")
def built_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny city in it: loading once is slow enough."""
    path = tmp_path_factory.mktemp("city") / "city.duckdb"
    with prodsense.warehouse.open(path) as warehouse:
        load_city(warehouse)
    return path


@pytest.fixture(scope="session")
def city(built_city: Path) -> Iterator[Warehouse]:
    """The tiny city, for reading."""
    with prodsense.warehouse.open(built_city, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_city(built_city: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny city that a test may change."""
    path = tmp_path / "city.duckdb"
    shutil.copy(built_city, path)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def sample() -> Iterator[Warehouse]:
    """The three orders of the demonstration script."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        load_pack("delivery").pipelines["delivery_setup_script"].run(warehouse)  # type: ignore[misc]
        yield warehouse
