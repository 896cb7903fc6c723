"""Warehouses of the stickiness pack: the tiny platform, whose every number is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pack_kit import simulated_file, tiny_warehouses

import prodsense.warehouse
from prodsense.warehouse import Warehouse

built_platform, platform, own_platform = tiny_warehouses("stickiness", "platform")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, dict[str, Any]]]:
    """A simulated platform of 1,600 users and 90 days, and what is planted in it."""
    path = tmp_path_factory.mktemp("planted") / "platform.duckdb"
    truth = simulated_file("stickiness", path, days=90, scale=0.8, seed=7)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse, truth


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The same with nothing planted."""
    path = tmp_path_factory.mktemp("quiet") / "platform.duckdb"
    simulated_file("stickiness", path, days=90, scale=0.6, seed=8, clean=True)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse
