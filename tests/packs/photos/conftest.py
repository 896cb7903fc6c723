"""Warehouses of the photos pack: the tiny app, whose every number is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pack_kit import opened_copy, tiny_file

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse


def fill(warehouse: Warehouse, tables: Mapping[str, Any]) -> None:
    """Load tables (files, Arrow, or lists of rows as a CSV holds them) in the order of the contracts, and build."""
    for name in load_pack("photos").tables:
        if name in tables:
            data = tables[name]
            report = warehouse.ingest(
                pa.Table.from_pylist(data) if isinstance(data, list) else data, table=f"photos.{name}"
            )
            assert report.quarantined == 0, str(report)
    report = warehouse.build("photos")
    assert all(entry.mode not in ("failed", "skipped") for entry in report), str(report)


def made(tables: Mapping[str, Any]) -> Warehouse:
    """A warehouse in memory with these tables."""
    warehouse = prodsense.warehouse.open(":memory:")
    fill(warehouse, tables)
    return warehouse


@pytest.fixture(scope="session")
def built_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny app in it: loading once is slow enough."""
    return tiny_file("photos", tmp_path_factory.mktemp("photos") / "app.duckdb")


@pytest.fixture(scope="session")
def app(built_app: Path) -> Iterator[Warehouse]:
    """The tiny app, for reading."""
    with prodsense.warehouse.open(built_app, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_app(built_app: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny app that a test may change."""
    with opened_copy(built_app, tmp_path) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def planted() -> Iterator[tuple[Warehouse, dict[str, Any]]]:
    """A simulated app of four weeks with everything planted, and what that is."""
    found = load_pack("photos").simulate(days=28, scale=0.6, seed=7)
    with made(found.tables) as warehouse:
        yield warehouse, dict(found.truth)
