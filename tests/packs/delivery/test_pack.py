"""The pack as a whole, beside what holds of every pack: facts have a day, and build day by day."""

from __future__ import annotations

from pathlib import Path

import pytest
from pack_kit import by_days, check_steps, tiny_rows

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("delivery")


def test_facts_are_dated_and_partitioned() -> None:
    for name, table in PACK.tables.items():
        if name.startswith("fact_") and not name.endswith("_setup"):
            assert table.partition == "date_partition", name
            assert table.time, name


def dated(table: str, rows: list[dict[str, str]], batch_days: dict[str, str]) -> list[dict[str, str]]:
    """Rows with the day they belong to, where the file leaves it out."""
    if not rows or table.startswith("dim_") or "date_partition" in rows[0]:
        return rows
    moment = next((c for c in ("online_at", "offered_at", "timestamp", "started_at") if c in rows[0]), None)
    for row in rows:
        if moment:
            row["date_partition"] = row[moment][:10]
        elif "batch_id" in row and table.startswith("fact_"):
            row["date_partition"] = batch_days[row["batch_id"]]
    return rows


@pytest.mark.slow
def test_step_by_step_equals_at_once(city: Warehouse, tmp_path: Path) -> None:
    rows = tiny_rows("delivery")
    batch_days = {row["batch_id"]: row["date_partition"] for row in rows["fact_delivery_batches"]}
    rows = {table: dated(table, found, batch_days) for table, found in rows.items()}
    moments = {table: "date_partition" for table, found in rows.items() if "date_partition" in found[0]}
    check_steps(PACK, by_days(rows, moments), city, tmp_path)
