"""Warehouses of the photos pack: the tiny app, whose every number is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pack_kit import simulated_warehouse, tiny_warehouses

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


built_app, app, own_app = tiny_warehouses("photos", "app")
#: Four weeks with everything planted.
planted = simulated_warehouse("photos", "planted", days=28, scale=0.6, seed=7)
