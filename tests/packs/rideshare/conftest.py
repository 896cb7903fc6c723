"""Warehouses of the rideshare pack: the tiny fleet, whose every number is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pack_kit import opened_copy, tiny_file

import prodsense.warehouse
from prodsense.warehouse import Warehouse


@pytest.fixture(scope="session")
def built_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny fleet in it."""
    return tiny_file("rideshare", tmp_path_factory.mktemp("fleet") / "fleet.duckdb")


@pytest.fixture(scope="session")
def fleet(built_fleet: Path) -> Iterator[Warehouse]:
    """The tiny fleet, for reading."""
    with prodsense.warehouse.open(built_fleet, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_fleet(built_fleet: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny fleet that a test may change."""
    with opened_copy(built_fleet, tmp_path) as warehouse:
        yield warehouse
