"""A small shop whose tables are loaded by hand, for the build's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from prodsense.contracts.tables import Table, read_schema
from prodsense.contracts.vocabulary import Model
from prodsense.engines import open_engine
from prodsense.engines.base import Engine
from prodsense.ingest.ledger import touch
from prodsense.packs.pack import read_model

SCHEMA = """
-- partition: day
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    day DATE NOT NULL,
    amount INT NOT NULL
);
-- A payment arrives at most one day before or after its order.
-- partition: day
CREATE TABLE payments (
    payment_id BIGINT PRIMARY KEY,
    order_id BIGINT NOT NULL,
    day DATE NOT NULL,
    paid INT NOT NULL
);
CREATE TABLE customers (
    customer_id BIGINT PRIMARY KEY,
    segment TEXT
);
"""

MODELS = {
    "daily": """
        -- key: day
        -- partition: day
        SELECT day, COUNT(*) AS orders, SUM(amount) AS amount FROM orders GROUP BY day
    """,
    "placed": """
        -- kind: view
        SELECT o.order_id, o.day, o.amount, c.segment
        FROM orders AS o LEFT JOIN customers AS c ON c.customer_id = o.customer_id
    """,
    "by_segment": """
        -- key: day, segment
        -- partition: day
        WITH sized AS (SELECT day, segment, amount, amount > 50 AS big FROM placed)
        SELECT day, segment, COUNT(*) FILTER (WHERE big) AS big_orders, SUM(amount) AS amount
        FROM sized GROUP BY day, segment
    """,
    "settled": """
        -- key: order_id
        -- partition: day
        -- spread: 1 day
        SELECT o.order_id, o.day, o.amount, COALESCE(SUM(p.paid), 0) AS paid
        FROM orders AS o LEFT JOIN payments AS p ON p.order_id = o.order_id
        GROUP BY o.order_id, o.day, o.amount
    """,
    "trailing": """
        -- key: day
        -- partition: day
        -- spread: 2 days
        SELECT a.day, SUM(b.amount) AS amount_of_3_days
        FROM daily AS a JOIN daily AS b ON b.day BETWEEN add_days(a.day, -2) AND a.day
        GROUP BY a.day
    """,
    "monthly": """
        -- key: month
        SELECT period_start(day, 'month') AS month, SUM(paid) AS paid FROM settled GROUP BY 1
    """,
}


def shop_models(texts: Mapping[str, str] = MODELS) -> dict[str, Model]:
    return {f"shop.{name}": read_model(name, text, f"shop/models/{name}.sql") for name, text in texts.items()}


def shop_tables() -> dict[str, Table]:
    return {table.relation: table for table in read_schema(SCHEMA, "shop").values()}


class Shop:
    """Rows by key in plain dicts, mirrored into an engine as a load would: merged, and touched by day."""

    def __init__(self, location: str = ":memory:"):
        self.engine: Engine = open_engine(location)
        self.tables = shop_tables()
        self.models = shop_models()
        self.rows: dict[str, dict[int, tuple[Any, ...]]] = {name: {} for name in ("orders", "payments", "customers")}
        for relation, table in self.tables.items():
            self.engine.create_table(relation, {c.name: c.type for c in table.columns.values()}, table.partition)

    def load(self, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Put each row in place of one with the same key (its first cell); both days are touched."""
        table = self.tables[f"shop.{name}"]
        columns = list(table.columns)
        at = columns.index(table.partition) if table.partition else -1
        days: set[str | None] = set()
        batch: dict[int, tuple[Any, ...]] = {}
        for row in rows:
            for version in (self.rows[name].get(row[0]), row):
                if version is not None:
                    days.add(version[at].isoformat() if table.partition else None)
            batch[row[0]] = row
        if not batch:
            return
        self.rows[name].update(batch)
        data = pa.table({c: [row[i] for row in batch.values()] for i, c in enumerate(columns)})
        with self.engine.transaction(), self.engine.temporary(data) as source:
            self.engine.merge(table.relation, f"SELECT * FROM {source}", table.primary_key)
            touch(self.engine, table.relation, sorted(days, key=str))

    def content(self, name: str) -> list[tuple[Any, ...]]:
        rows = self.engine.query(f"SELECT * FROM shop.{name}").to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=repr)
