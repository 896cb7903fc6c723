"""Warehouses of the delivery pack: the tiny city, and the sample of the demonstration script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pack_kit import tiny_warehouses

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

built_city, city, own_city = tiny_warehouses("delivery", "city")


@pytest.fixture(scope="session")
def sample() -> Iterator[Warehouse]:
    """The three orders of the demonstration script."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        load_pack("delivery").pipelines["delivery_setup_script"].run(warehouse)  # type: ignore[misc]
        yield warehouse
