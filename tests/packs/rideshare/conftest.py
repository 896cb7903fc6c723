"""Warehouses of the rideshare pack: the tiny fleet, whose every number is known."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

TINY = Path(__file__).parent / "tiny"


def load_fleet(warehouse: Warehouse, folder: Path = TINY) -> None:
    """Load every CSV of a folder in the order of the contracts and build."""
    for table in load_pack("rideshare").tables:
        path = folder / f"{table}.csv"
        if path.exists():
            report = warehouse.ingest(path, table=f"rideshare.{table}")
            assert report.quarantined == 0, str(report)
    report = warehouse.build("rideshare")
    assert all(entry.mode not in ("failed", "skipped") for entry in report), str(report)


@pytest.fixture(scope="session")
def built_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny fleet in it."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.duckdb"
    with prodsense.warehouse.open(path) as warehouse:
        load_fleet(warehouse)
    return path


@pytest.fixture(scope="session")
def fleet(built_fleet: Path) -> Iterator[Warehouse]:
    """The tiny fleet, for reading."""
    with prodsense.warehouse.open(built_fleet, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_fleet(built_fleet: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny fleet that a test may change."""
    path = tmp_path / "fleet.duckdb"
    shutil.copy(built_fleet, path)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse


def simulated(path: Path | str, **options: Any) -> dict[str, Any]:
    """Load a simulated fleet into a new warehouse file and build it; what was planted."""
    made = load_pack("rideshare").simulate(**options)
    with prodsense.warehouse.open(path) as warehouse:
        report = warehouse.ingest(made.tables, pack="rideshare")
        assert report.quarantined == 0, str(report)
        assert warehouse.build("rideshare").ok
    return dict(made.truth)
