"""Warehouses of the stickiness pack: the tiny platform, whose every number is known, and simulated ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pack_kit import simulated_warehouse, tiny_warehouses

from prodsense.warehouse import Warehouse

built_platform, platform, own_platform = tiny_warehouses("stickiness", "platform")
planted = simulated_warehouse("stickiness", "planted", days=90, scale=0.8, seed=7)
unplanted = simulated_warehouse("stickiness", "unplanted", days=90, scale=0.6, seed=8, clean=True)


@pytest.fixture(scope="session")
def quiet(unplanted: tuple[Warehouse, dict[str, Any]]) -> Iterator[Warehouse]:
    """A platform in which nothing is planted."""
    yield unplanted[0]
