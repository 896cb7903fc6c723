"""A small shop that the metric tests ask: rows from a seeded generator, with the traps planted.

Traps: orders of unknown customers (orphan keys) and of none (null keys), a customer without a city, days and
weeks without orders, orders of which no line exists, two facts of different grain that share a dimension.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from prodsense.contracts.tables import read_schema
from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.metrics import Result, Scope
from prodsense.packs.pack import read_model, read_query

Ask = Callable[..., Result]

SCHEMA = """
-- Cities.
CREATE TABLE cities (
    city_id INTEGER PRIMARY KEY, -- City.
    city_name VARCHAR(40) NOT NULL, -- Name.
    country VARCHAR(2) -- Country.
);
-- Customers.
CREATE TABLE customers (
    customer_id INTEGER PRIMARY KEY, -- Customer.
    city_id INTEGER REFERENCES cities (city_id), -- City.
    tier VARCHAR(10) -- Tier.
);
-- Orders.
-- partition: day
-- time: ordered_at
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY, -- Order.
    customer_id INTEGER REFERENCES customers (customer_id), -- Customer.
    bill_city_id INTEGER REFERENCES cities (city_id), -- City of the bill.
    ship_city_id INTEGER REFERENCES cities (city_id), -- City of delivery.
    ordered_at TIMESTAMP NOT NULL, -- Moment.
    day DATE NOT NULL, -- UTC day of the moment.
    status VARCHAR(10) NOT NULL, -- done or cancelled.
    amount DECIMAL(10,2), -- Amount. [currency]
    minutes DOUBLE -- Minutes to deliver. [minutes]
);
-- Lines of orders.
-- partition: day
CREATE TABLE lines (
    order_id BIGINT REFERENCES orders (order_id), -- Order.
    line INTEGER, -- Line.
    day DATE NOT NULL, -- Day.
    quantity INTEGER NOT NULL, -- Pieces.
    PRIMARY KEY (order_id, line)
);
-- Tickets of customers, whatever the order.
-- time: opened_at
CREATE TABLE tickets (
    ticket_id BIGINT PRIMARY KEY, -- Ticket.
    customer_id INTEGER REFERENCES customers (customer_id), -- Customer.
    opened_at TIMESTAMP NOT NULL, -- Moment.
    topic VARCHAR(10) -- Topic.
);
-- Stock at the end of each day; no rows on some days.
-- partition: day
CREATE TABLE stock (
    day DATE, -- Day.
    city_id INTEGER REFERENCES cities (city_id), -- City.
    pieces INTEGER NOT NULL, -- Pieces on hand.
    PRIMARY KEY (day, city_id)
);
"""

MODEL = """-- One row a customer and month.
-- key: customer_id, month
-- partition: month
-- references: customer_id customers
SELECT customer_id, CAST(date_trunc('month', day) AS DATE) AS month, COUNT(*) AS orders
FROM orders WHERE customer_id IS NOT NULL GROUP BY 1, 2
"""

METRICS = [
    Metric("orders", "Orders placed.", "count", "up", "count(*)", source="orders"),
    Metric("done_orders", "Orders done.", "count", "up", "count(*)", source="orders", where="status = 'done'"),
    Metric("revenue", "Amount of done orders.", "currency", "up", "sum(amount)", source="orders",
           where="status = 'done'", grain="month"),
    Metric("buyers", "Distinct customers.", "count", "up", "count(distinct customer_id)", source="orders"),
    Metric("delivery_minutes", "Mean minutes.", "minutes", "down", "mean(minutes)", source="orders"),
    Metric("p90_minutes", "P90 minutes.", "minutes", "down", "quantile(minutes, 0.9)", source="orders",
           where="status = 'done'"),
    Metric("done_rate", "Done over placed.", "share", "up", "share(status = 'done')", source="orders"),
    Metric("basket", "Amount an order.", "currency", "up", "ratio(sum(amount), count(*))", source="orders",
           where="status = 'done' OR status = 'cancelled'"),
    Metric("big_orders", "Orders above 50.", "count", "up", "count(*) FILTER (WHERE amount > 50)", source="orders",
           where="status = 'done'"),
    Metric("pieces", "Pieces sold.", "count", "up", "sum(quantity)", source="lines"),
    Metric("tickets", "Tickets.", "count", "down", "count(*)", source="tickets"),
    Metric("tickets_per_order", "Tickets over orders.", "ratio", "down", "ratio(coalesce(tickets, 0), orders)"),
    Metric("pieces_per_order", "Pieces over done orders.", "ratio", "up", "ratio(pieces, done_orders)"),
    Metric("active_1", "Daily buyers.", "count", "up", "count(distinct customer_id)", source="orders", rolling=1),
    Metric("active_7", "Weekly buyers.", "count", "up", "count(distinct customer_id)", source="orders", rolling=7),
    Metric("active_28", "Monthly buyers.", "count", "up", "count(distinct customer_id)", source="orders", rolling=28),
    Metric("stickiness", "Daily over monthly buyers.", "share", "up", "ratio(active_1, active_28)"),
    Metric("done_active_7", "Weekly buyers of done orders.", "count", "up", "count(distinct customer_id)",
           source="orders", where="status = 'done' OR status = 'late'", rolling=7),
    Metric("daily_buyers", "Distinct customers of a day.", "count", "up", "count(distinct customer_id)",
           source="orders", per="day", grain="day"),
    Metric("weekly_buyers", "Distinct customers of a week.", "count", "up", "count(distinct customer_id)",
           source="orders", per="week", grain="week"),
    Metric("monthly_buyers", "Distinct customers of a month; of a day, of the 28 that end with it.", "count", "up",
           "count(distinct customer_id)", source="orders", per="month", rolling=28, grain="month"),
    Metric("watched_done_rate", "Done within 7 days, as far as tickets or orders are known.", "share", "up",
           "share(status = 'done')", source="orders", matures=7, as_of="tickets.opened_at"),
    Metric("stock_pieces", "Pieces on hand.", "count", "up", "sum(pieces)", source="stock", last=True),
    Metric("matured_done_rate", "Done within 7 days.", "share", "up", "share(status = 'done')", source="orders",
           matures=7),
    Metric("order_share", "Share of orders.", "share", "none", "count(*)", source="orders", share_of=()),
    Metric("order_share_in_country", "Share in the country.", "share", "none", "count(*)", source="orders",
           share_of=("country",)),
    Metric("buyer_share", "Share of buyers.", "share", "none", "count(distinct customer_id)", source="orders",
           share_of=()),
    Metric("loyal_orders", "Orders by customer months.", "count", "up", "sum(orders)", source="customer_months"),
    Metric("profit", "Amount less 40 an order, may be negative.", "currency", "up", "sum(amount - 40)",
           source="orders", where="status = 'done'"),
    Metric("city_count", "Cities.", "count", "none", "count(*)", source="cities"),
    Metric("recent_orders", "Orders of the last 7 days.", "count", "up", "count(*)", source="orders",
           where="day > add_days(date_of(:as_of), -7)"),
]

DIMENSIONS = [
    Dimension("tier", "Customer tier.", {"customers": "tier"}),
    Dimension("customer", "Customer.", {"customers": "customer_id"}),
    Dimension("city", "City of the customer.", {"customers": "city_id"}),
    Dimension("city_name", "Name of the customer's city.", {"cities": "city_name"}),
    Dimension("country", "Country of delivery, else of the customer.",
              {"orders": "CASE ship_city_id WHEN 1 THEN 'DE' WHEN 2 THEN 'DE' WHEN 3 THEN 'FR' END",
               "cities": "country"}),
    Dimension("status", "Order status.", {"orders": "status"}),
    Dimension("quantity", "Pieces of a line.", {"lines": "quantity"}),
    Dimension("weekday", "1 is Monday.", {"*": "iso_weekday(time)"}),
    Dimension("hour", "Hour of day.", {"*": "hour_of(time)"}),
    Dimension("big", "Above 50.", {"orders": "amount > 50"}),
]

QUERIES = [
    read_query("top_customers", """-- Customers by orders.
-- param: min_orders integer = 2, smallest number of orders
-- param: tier text = null
-- as_of: orders.ordered_at
SELECT o.customer_id, COUNT(*) AS orders FROM orders AS o LEFT JOIN customers AS c ON c.customer_id = o.customer_id
WHERE o.ordered_at <= :as_of AND (:tier IS NULL OR c.tier = :tier)
GROUP BY 1 HAVING COUNT(*) >= :min_orders ORDER BY 2 DESC, 1 NULLS LAST
""", "shop/queries/top_customers.sql"),
]

CITIES = [(1, "Berlin", "DE"), (2, "Köln", "DE"), (3, "Lyon", "FR"), (4, "Nowhere", None)]


def data(seed: int = 3, days: int = 75, start: date = date(2024, 1, 30)) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of each table, made of plain Python values."""
    rng = random.Random(seed)
    customers = [(c, rng.choice([1, 2, 3, None]), rng.choice(["gold", "silver", None])) for c in range(1, 26)]
    orders: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    tickets: list[tuple[Any, ...]] = []
    stock: list[tuple[Any, ...]] = []
    for offset in range(days):
        day = start + timedelta(days=offset)
        quiet = offset % 9 == 4 or 30 <= offset < 44
        for _ in range(0 if quiet else rng.randint(1, 7)):
            at = datetime(day.year, day.month, day.day) + timedelta(seconds=rng.randrange(86400))
            customer = rng.choice([*range(1, 26), 99, None])
            amount = None if rng.random() < 0.05 else round(rng.uniform(5, 90), 2)
            orders.append((
                len(orders) + 1, customer, rng.choice([1, 2, 3, None]), rng.choice([1, 2, 3, None]), at, day,
                rng.choice(["done", "done", "cancelled"]), amount,
                None if rng.random() < 0.2 else round(rng.uniform(10, 60), 1),
            ))
            lines += [(len(orders), n, day, rng.randint(1, 4)) for n in range(rng.randint(0, 3))]
        if rng.random() < 0.5:
            at = datetime(day.year, day.month, day.day, rng.randrange(24))
            tickets.append((len(tickets) + 1, rng.choice([*range(1, 26), 99, None]), at, rng.choice(["late", "cold"])))
        if offset % 5 != 3:
            stock += [(day, city, rng.randint(0, 100)) for city in (1, 2, 3) if rng.random() < 0.8]
    return {"cities": CITIES, "customers": customers, "orders": orders, "lines": lines, "tickets": tickets,
            "stock": stock}


def scope(describe: Any = None, **changes: Any) -> Scope:
    parts: dict[str, Any] = {
        "metrics": {m.name: m for m in METRICS},
        "dimensions": {d.name: d for d in DIMENSIONS},
        "tables": read_schema(SCHEMA, "shop"),
        "models": {"customer_months": read_model("customer_months", MODEL, "shop/models/customer_months.sql")},
        "queries": {q.name: q for q in QUERIES},
    } | changes
    return Scope("shop", **parts, describe=describe)


def load(engine: Any, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """Put rows into the shop's tables and build its model."""
    import pyarrow as pa

    tables = read_schema(SCHEMA, "shop")
    for name, table in tables.items():
        types = {c.name: c.type for c in table.columns.values()}
        engine.create_table(table.relation, types)
        if rows[name]:
            columns = list(zip(*rows[name], strict=True))
            with engine.temporary(pa.table(dict(zip(types, map(list, columns), strict=True)))) as staged:
                engine.insert(table.relation, f"SELECT * FROM {staged}")
    engine.raw(
        "CREATE TABLE shop.customer_months AS SELECT customer_id, CAST(date_trunc('month', day) AS DATE) AS month,"
        " COUNT(*) AS orders FROM shop.orders WHERE customer_id IS NOT NULL GROUP BY 1, 2"
    )


def put(engine: Any, orders: list[tuple[Any, ...]]) -> None:
    """Make these the shop's only orders."""
    engine.execute("DELETE FROM shop.orders")
    if orders:
        values = ", ".join(f"({', '.join('NULL' if v is None else repr(str(v)) for v in row)})" for row in orders)
        engine.raw(f"INSERT INTO shop.orders VALUES {values}")
