"""Warehouses of the streaming pack: the tiny platform, whose every number is known, and a simulated one."""

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


def load_platform(warehouse: Warehouse, folder: Path = TINY) -> None:
    """Load every CSV of a folder in the order of the contracts and build."""
    for table in load_pack("streaming").tables:
        path = folder / f"{table}.csv"
        if path.exists():
            report = warehouse.ingest(path, table=f"streaming.{table}")
            assert report.quarantined == 0, str(report)
    report = warehouse.build("streaming")
    assert all(entry.mode not in ("failed", "skipped") for entry in report), str(report)


@pytest.fixture(scope="session")
def built_platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny platform in it: loading once is slow enough."""
    path = tmp_path_factory.mktemp("streaming") / "platform.duckdb"
    with prodsense.warehouse.open(path) as warehouse:
        load_platform(warehouse)
    return path


@pytest.fixture(scope="session")
def platform(built_platform: Path) -> Iterator[Warehouse]:
    """The tiny platform, for reading."""
    with prodsense.warehouse.open(built_platform, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_platform(built_platform: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny platform that a test may change."""
    path = tmp_path / "platform.duckdb"
    shutil.copy(built_platform, path)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse


def simulated(path: Path, **options: Any) -> dict[str, Any]:
    """Load a simulated platform into a new warehouse file and build it; what was planted."""
    made = load_pack("streaming").simulate(**options)
    with prodsense.warehouse.open(path) as warehouse:
        for name, table in made.tables.items():
            assert warehouse.ingest(table, table=f"streaming.{name}").quarantined == 0
        warehouse.build("streaming")
    return dict(made.truth)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, dict[str, Any]]]:
    """A simulated platform of 600 users and 42 days, and what is planted in it."""
    path = tmp_path_factory.mktemp("planted") / "platform.duckdb"
    truth = simulated(path, days=42, scale=0.6, seed=7)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse, truth
