"""A shop whose orders are known: a warehouse over one table, filled by numpy from a seed, with moves planted in it.

`Shop` is a warehouse of a pack of its own, so that detectors and explanations run as they do on a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from prodsense.contracts.tables import Schema
from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.engines import open_engine
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse

SCHEMA = """
-- Orders.
-- partition: day
-- time: ordered_at
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY, -- Order.
    ordered_at TIMESTAMP NOT NULL, -- Moment.
    day DATE NOT NULL, -- Its day.
    city VARCHAR NOT NULL, -- City.
    platform VARCHAR NOT NULL, -- Platform.
    customer_id BIGINT NOT NULL, -- Customer.
    amount DOUBLE NOT NULL, -- Amount. [currency]
    done BOOLEAN NOT NULL -- Whether it was delivered.
);
-- Things that happened.
-- time: happened_at
CREATE TABLE happenings (
    happened_at TIMESTAMP NOT NULL, -- When.
    what VARCHAR NOT NULL -- What.
);
"""

METRICS = (
    Metric("orders", "Orders placed.", "count", "up", "count(*)", source="orders"),
    Metric("done_orders", "Orders delivered.", "count", "up", "count(*)", source="orders", where="done"),
    Metric("revenue", "Amount of delivered orders.", "currency", "up", "sum(amount)", source="orders", where="done"),
    Metric("done_rate", "Delivered over placed.", "share", "up", "share(done)", source="orders"),
    Metric("basket", "Amount a delivered order.", "currency", "up", "ratio(revenue, done_orders)"),
    Metric("completion", "Delivered over placed.", "share", "up", "ratio(done_orders, orders)"),
    Metric("settled_rate", "Delivered over placed, seen a week later.", "share", "up", "share(done)", source="orders",
           matures=7),
    Metric("buyers", "Customers with an order.", "count", "up", "count(distinct customer_id)", source="orders"),
    Metric("sales", "Revenue by its parts.", "currency", "up", "orders * completion * basket"),
)
DIMENSIONS = (
    Dimension("city", "City.", {"orders": "city"}),
    Dimension("platform", "Platform.", {"orders": "platform"}),
)

FIRST = date(2024, 1, 1)
DAYS = 112
CITIES = ("Aachen", "Bonn", "Celle", "Dessau")
PLATFORMS = ("android", "ios", "web")

Plant = Callable[[dict[str, Any], np.random.Generator], Any]


class Shop(Warehouse):
    """A warehouse that knows the pack ``shop`` only."""

    def __init__(self, own: Pack, engine: Any = None):
        super().__init__(engine or open_engine(":memory:"))
        self._own = own

    @property
    def packs(self) -> tuple[str, ...]:
        return ("shop",)

    def pack(self, name: str) -> Pack:
        assert name == "shop"
        return self._own

    def find(self, kind: str, name: str) -> tuple[Pack, Any]:
        from prodsense.packs.pack import unknown

        known = getattr(self._own, kind)
        bare = name.removeprefix("shop.")
        if bare not in known:
            raise unknown(kind.rstrip("s"), name, list(known))
        return self._own, known[bare]


def pack(**parts: Any) -> Pack:
    """The pack ``shop``; `parts` replace its own (``detectors``, ``trees``)."""
    made = Pack("shop", "Shop", "A shop.", "prodsense.packs.delivery")
    made.__dict__.update(
        tables=Schema(SCHEMA, "shop", "shop/schema.sql"), models={}, queries={}, detectors={},
        metrics={m.name: m for m in METRICS}, dimensions={d.name: d for d in DIMENSIONS}, events={}, analyses={},
    )  # fmt: skip
    made.__dict__.update(parts)
    return made


def rows(plant: Plant | None = None, *, days: int = DAYS, a_day: int = 400, seed: int = 5) -> pa.Table:
    """Orders of a shop with a weekly course; `plant` changes the columns in place or returns which rows stay.

    Its columns are day (index), city, platform, amount, done; the number of a day is Poisson.
    """
    rng = np.random.default_rng(seed)
    week = np.array([1.0, 0.9, 0.95, 1.0, 1.15, 1.3, 0.8])
    counts = rng.poisson(a_day * week[np.arange(days) % 7])
    n = int(counts.sum())
    columns: dict[str, Any] = {
        "day": np.repeat(np.arange(days), counts),
        "city": rng.choice(len(CITIES), n, p=[0.4, 0.3, 0.2, 0.1]),
        "platform": rng.choice(len(PLATFORMS), n, p=[0.5, 0.3, 0.2]),
        "customer_id": rng.integers(0, 300, n),
        "amount": np.round(rng.lognormal(3.0, 0.4, n), 2),
        "done": rng.random(n) < 0.9,
        "second": rng.integers(0, 86_400, n),
    }
    stays = plant(columns, rng) if plant else None
    if stays is not None:
        columns = {name: values[stays] for name, values in columns.items()}
    day = np.datetime64(FIRST, "D") + columns["day"]
    moment = day.astype("datetime64[us]") + columns["second"].astype("timedelta64[s]")
    return pa.table({
        "order_id": np.arange(len(day)), "ordered_at": pa.array(moment), "day": pa.array(day.astype("datetime64[D]")),
        "city": pa.array(np.array(CITIES)[columns["city"]]),
        "platform": pa.array(np.array(PLATFORMS)[columns["platform"]]),
        "customer_id": columns["customer_id"], "amount": columns["amount"], "done": columns["done"],
    })  # fmt: skip


def shop(
    orders: pa.Table, happenings: list[dict[str, Any]] | None = None, engine: Any = None, **parts: Any
) -> Shop:
    """A warehouse of these orders."""
    from prodsense.ingest import ensure_tables

    made = Shop(pack(**parts), engine)
    ensure_tables(made.engine, {f"shop.{name}": table for name, table in made.pack("shop").tables.items()})
    made.engine.append("shop.orders", orders)
    if happenings:
        made.engine.append("shop.happenings", pa.Table.from_pylist(happenings))
    return made


def on(index: int) -> date:
    """The day of an index."""
    return FIRST + timedelta(days=index)
