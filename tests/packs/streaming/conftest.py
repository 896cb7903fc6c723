"""Warehouses of the streaming pack: the tiny platform, whose every number is known, and a simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pack_kit import simulated_file, tiny_warehouses

import prodsense.warehouse
from prodsense.warehouse import Warehouse

built_platform, platform, own_platform = tiny_warehouses("streaming", "platform")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, dict[str, Any]]]:
    """A simulated platform of 600 users and 42 days, and what is planted in it."""
    path = tmp_path_factory.mktemp("planted") / "platform.duckdb"
    truth = simulated_file("streaming", path, days=42, scale=0.6, seed=7)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse, truth
