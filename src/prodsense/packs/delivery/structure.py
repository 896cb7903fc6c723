"""Checks of the delivery model's structure: contracts and data, for policies that SQL alone cannot prove."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

CORE = ("fact_orders", "fact_deliveries", "dim_drivers", "dim_restaurants")
BATCHING = (
    "fact_delivery_batches", "fact_batch_deliveries", "fact_batch_waypoints", "dim_batching_algorithms",
    "fact_batch_state_changes", "fact_batch_delivery_events",
)
#: What each table points to, beyond which the batching model has no links.
RELATIONSHIPS = {
    "fact_orders": {"dim_customers", "dim_restaurants"},
    "fact_deliveries": {"fact_orders", "dim_drivers"},
    "fact_delivery_batches": {"dim_drivers", "dim_batching_algorithms"},
    "fact_batch_deliveries": {"fact_delivery_batches", "fact_deliveries"},
    "fact_batch_waypoints": {"fact_delivery_batches", "fact_deliveries"},
    "fact_batch_state_changes": {"fact_delivery_batches", "fact_deliveries"},
    "fact_batch_delivery_events": {"fact_batch_deliveries"},
}
#: Most examples given of one broken reference.
_EXAMPLES = 20


def core_comes_first(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """The core references nothing of the extension, and every place in a batch is a delivery of the core."""
    tables = warehouse.pack("delivery").tables
    for name in CORE:
        for reference in tables[name].references:
            target = reference.table.split(".")[1]
            if target in BATCHING:
                yield {"violation": "a core table depends on the batching extension", "table": name, "target": target}
    yield from _orphans(warehouse, "fact_batch_deliveries", ("delivery_id",), "fact_deliveries", ("delivery_id",))
    yield from _orphans(warehouse, "fact_delivery_batches", ("driver_id",), "dim_drivers", ("driver_id",))


def relationships_hold(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Contracts draw exactly the relationships of the model, and the data keep each."""
    tables = warehouse.pack("delivery").tables
    for name, wanted in RELATIONSHIPS.items():
        declared = {reference.table.split(".")[1] for reference in tables[name].references}
        for target in sorted(wanted ^ declared):
            what = "lacks a reference" if target in wanted else "has a reference beyond the model"
            yield {"violation": f"the contract {what}", "table": name, "target": target}
    if "batch_id" in tables["fact_deliveries"].columns:
        yield {"violation": "a second link between deliveries and batches", "table": "fact_deliveries",
               "target": "fact_delivery_batches"}
    for name, table in tables.items():
        for reference in table.references:
            target = reference.table.split(".")[1]
            yield from _orphans(warehouse, name, reference.columns, target, reference.target)
    several = warehouse.engine.query(
        "SELECT order_id, COUNT(*) AS deliveries FROM delivery.fact_deliveries"
        " WHERE COALESCE(delivery_status, 'created') <> 'cancelled'"
        f" GROUP BY order_id HAVING COUNT(*) > 1 ORDER BY order_id LIMIT {_EXAMPLES}"
    )
    for row in several.to_pylist():
        yield {"violation": "an order has several deliveries that are not cancelled", "table": "fact_deliveries",
               "target": "fact_orders", "value": str(row["order_id"]), "rows": row["deliveries"]}


def _orphans(
    warehouse: Warehouse, table: str, columns: tuple[str, ...], target: str, key: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Rows whose parent is missing, by value; a parent table that was never loaded is not held against them."""
    existing = warehouse.engine.relations("delivery")
    if not {f"delivery.{table}", f"delivery.{target}"} <= existing.keys():
        return
    on = " AND ".join(f"p.{b} = c.{a}" for a, b in zip(columns, key, strict=True))
    given = " AND ".join(f"c.{a} IS NOT NULL" for a in columns)
    rows = warehouse.engine.query(
        f"SELECT c.{columns[0]} AS value, COUNT(*) AS rows FROM delivery.{table} AS c"
        f" WHERE {given} AND NOT EXISTS (SELECT 1 FROM delivery.{target} AS p WHERE {on})"
        f" AND EXISTS (SELECT 1 FROM delivery.{target})"
        f" GROUP BY c.{columns[0]} ORDER BY value LIMIT {_EXAMPLES}"
    )
    for row in rows.to_pylist():
        yield {"violation": f"{table}.{columns[0]} points to no row of {target}", "table": table, "target": target,
               "value": str(row["value"]), "rows": row["rows"]}
