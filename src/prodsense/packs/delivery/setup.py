"""The demonstration script: three orders, one batch, and the tables they go to.

Rows of `sample/*.csv` go to the reduced `_setup` tables as they are and to the full tables by column name, with
stand-ins for NOT NULL columns that the sample lacks. Running it again changes nothing.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.warehouse import Warehouse

SAMPLE = Path(__file__).parent / "sample"

#: Load order: what others point to first.
TABLES = (
    "dim_batching_algorithms", "dim_drivers", "dim_restaurants", "fact_orders", "fact_deliveries",
    "fact_delivery_batches", "fact_batch_deliveries", "fact_batch_waypoints",
)


def _stand_ins(table: str, row: dict[str, str]) -> dict[str, str]:
    """Values of NOT NULL columns of the full table that the sample does not hold."""
    match table:
        case "dim_drivers":
            return {"driver_since_date": "2024-01-01"}  # the day its first algorithms went live
        case "dim_restaurants":
            return {"restaurant_external_id": f"RST{row['restaurant_id']}"}
        case "fact_orders":
            return {"item_count": "1"}
        case "fact_delivery_batches":
            return {"total_orders": row["total_deliveries"]}  # one order a delivery
    return {}


def sample_rows(table: str) -> list[dict[str, str]]:
    """The sample's rows of one table, cells as text."""
    with (SAMPLE / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def delivery_setup_script(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Load the sample and build the models; one row a table with what became of its rows.

    Raises UsageError, before anything is loaded, in a warehouse that holds other orders.
    """
    _refuse_other_orders(warehouse)
    customers = [{"customer_id": row["customer_id"]} for row in sample_rows("fact_orders")]
    loads = [("dim_customers", customers)]
    for table in TABLES:
        rows = sample_rows(table)
        loads.append((f"{table}_setup", rows))
        loads.append((table, [{**row, **_stand_ins(table, row)} for row in rows]))
    report = []
    for table, rows in loads:
        counts = (0, 0, 0)
        if rows:
            loaded = warehouse.ingest(_text_table(rows), table=f"delivery.{table}")
            counts = (loaded.accepted, loaded.duplicate, loaded.quarantined)
        report.append({"table": table, **dict(zip(("accepted", "duplicate", "quarantined"), counts, strict=True))})
    warehouse.build("delivery")
    return report


def _refuse_other_orders(warehouse: Warehouse) -> None:
    if "delivery.fact_orders" not in warehouse.engine.relations("delivery"):
        return
    own = ", ".join(row["order_id"] for row in sample_rows("fact_orders"))
    others = warehouse.engine.query(f"SELECT COUNT(*) AS n FROM delivery.fact_orders WHERE order_id NOT IN ({own})")
    if others["n"][0].as_py():
        raise UsageError("this warehouse holds other orders, which sample rows must not mix with; use an empty one")


def _text_table(rows: list[dict[str, str]]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: pa.array([row[name] or None for row in rows], pa.string()) for name in rows[0]})
