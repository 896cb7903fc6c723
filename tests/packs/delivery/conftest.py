"""Warehouses of the delivery pack: the tiny city, and the sample of the demonstration script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pack_kit import opened_copy, tiny_file

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse


@pytest.fixture(scope="session")
def built_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny city in it: loading once is slow enough."""
    return tiny_file("delivery", tmp_path_factory.mktemp("city") / "city.duckdb")


@pytest.fixture(scope="session")
def city(built_city: Path) -> Iterator[Warehouse]:
    """The tiny city, for reading."""
    with prodsense.warehouse.open(built_city, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_city(built_city: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny city that a test may change."""
    with opened_copy(built_city, tmp_path) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def sample() -> Iterator[Warehouse]:
    """The three orders of the demonstration script."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        load_pack("delivery").pipelines["delivery_setup_script"].run(warehouse)  # type: ignore[misc]
        yield warehouse
