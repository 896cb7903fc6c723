"""Cost of an incremental build after one new day, against a full build, in CPU seconds.

    python benchmarks/build/run.py [--days 365] [--orders-per-day 5500] [--rounds 3]

A star of orders, deliveries and customers is made in memory and stored in a DuckDB file; six models stand on it: an
enriched row-level model through a view, two daily aggregates, one per driver and day, one that joins two
facts with a spread, one that trails over days. The last day is loaded apart. Before timing counts, the
incrementally built models are compared with their SELECTs over all data.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prodsense.build import BuildReport, build, verify
from prodsense.contracts.tables import Table, read_schema
from prodsense.contracts.vocabulary import Model
from prodsense.engines import open_engine
from prodsense.engines.base import Engine
from prodsense.ingest.ledger import touch
from prodsense.packs.pack import read_model

BAR = 0.05
START = date(2024, 1, 1)

SCHEMA = """
-- partition: date_partition
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, restaurant_id BIGINT NOT NULL,
    order_timestamp TIMESTAMP NOT NULL, order_total_cents INT NOT NULL, date_partition DATE NOT NULL
);
-- partition: date_partition
CREATE TABLE deliveries (
    delivery_id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL REFERENCES orders(order_id), driver_id BIGINT,
    picked_up_at TIMESTAMP, delivered_at TIMESTAMP, miles DOUBLE, date_partition DATE NOT NULL
);
CREATE TABLE customers (customer_id BIGINT PRIMARY KEY, city TEXT, is_member BOOLEAN);
"""

MODELS = {
    "delivery_context": """
        -- kind: view
        SELECT d.delivery_id, d.order_id, d.driver_id, d.delivered_at, d.miles, d.date_partition, o.restaurant_id,
            o.order_total_cents, c.city, c.is_member, minutes_between(o.order_timestamp, d.delivered_at) AS minutes
        FROM deliveries AS d
        JOIN orders AS o ON o.order_id = d.order_id
        LEFT JOIN customers AS c ON c.customer_id = o.customer_id
    """,
    "delivered": """
        -- key: delivery_id
        -- partition: date_partition
        -- spread: 1 day
        SELECT *, ROW_NUMBER() OVER (PARTITION BY driver_id, date_partition ORDER BY delivered_at, delivery_id) AS nth
        FROM delivery_context
    """,
    "daily_city": """
        -- key: date_partition, city
        -- partition: date_partition
        SELECT date_partition, city, COUNT(*) AS deliveries, mean(minutes) AS minutes, quantile(minutes, 0.9) AS p90,
            SUM(order_total_cents) AS revenue_cents, COUNT(DISTINCT driver_id) AS drivers
        FROM delivered GROUP BY date_partition, city
    """,
    "driver_day": """
        -- key: driver_id, date_partition
        -- partition: date_partition
        SELECT driver_id, date_partition, COUNT(*) AS deliveries, SUM(miles) AS miles,
            MIN(delivered_at) AS first_at, MAX(delivered_at) AS last_at
        FROM delivered GROUP BY driver_id, date_partition
    """,
    "restaurant_day": """
        -- key: restaurant_id, date_partition
        -- partition: date_partition
        SELECT restaurant_id, date_partition, COUNT(*) AS orders, SUM(order_total_cents) AS cents
        FROM orders GROUP BY restaurant_id, date_partition
    """,
    "city_week": """
        -- key: city, date_partition
        -- partition: date_partition
        -- spread: 6 days
        SELECT a.city, a.date_partition, SUM(b.deliveries) AS deliveries_of_7_days
        FROM daily_city AS a
        JOIN daily_city AS b
            ON b.city = a.city AND b.date_partition BETWEEN add_days(a.date_partition, -6) AND a.date_partition
        GROUP BY a.city, a.date_partition
    """,
}


def models() -> dict[str, Model]:
    return {f"star.{name}": read_model(name, text, f"star/{name}.sql") for name, text in MODELS.items()}


def load(engine: Engine, tables: dict[str, Table], first: int, last: int, per_day: int) -> None:
    """Store the days from `first` until before `last`, and touch their partitions as a load does."""
    rng = np.random.default_rng(first)
    n = (last - first) * per_day
    ids = np.arange(first * per_day, first * per_day + n, dtype=np.int64)
    day = np.repeat(np.arange(first, last), per_day)
    midnight = np.datetime64(START) + day
    ordered = midnight.astype("datetime64[us]") + rng.integers(0, 86_000_000_000, n).astype("timedelta64[us]")
    picked = ordered + rng.integers(5, 20, n).astype("timedelta64[m]")
    frames: dict[str, dict[str, Any]] = {
        "orders": {
            "order_id": ids, "customer_id": rng.integers(0, 50_000, n), "restaurant_id": rng.integers(0, 800, n),
            "order_timestamp": ordered, "order_total_cents": rng.integers(900, 9000, n), "date_partition": midnight,
        },
        "deliveries": {
            "delivery_id": ids, "order_id": ids, "driver_id": rng.integers(0, 600, n), "picked_up_at": picked,
            "delivered_at": picked + rng.integers(3, 40, n).astype("timedelta64[m]"), "miles": rng.gamma(2.0, 1.5, n),
            # What is delivered after midnight belongs to the order's day or the next.
            "date_partition": (ordered + np.timedelta64(10, "m")).astype("datetime64[D]"),
        },
    }
    with engine.transaction():
        for name, frame in frames.items():
            data = pa.table(frame)
            with engine.temporary(data) as source:
                contract = tables[f"star.{name}"].columns.values()
                columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in contract)
                engine.insert(f"star.{name}", f"SELECT {columns} FROM {source}")
            touched = sorted({str(d) for d in np.unique(frame["date_partition"])})
            touch(engine, f"star.{name}", touched)


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(engine: Engine, tables: dict[str, Table], *, full: bool = False) -> tuple[float, BuildReport]:
    started = cpu()
    report = build(engine, models(), tables, full=full)
    if not report.ok:
        sys.exit(str(report))
    return cpu() - started, report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--orders-per-day", type=int, default=5500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tables = {t.relation: t for t in read_schema(SCHEMA, "star").values()}
    fulls, days, reports = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(Path(folder) / "star.duckdb")
        for relation, table in tables.items():
            engine.create_table(relation, {c.name: c.type for c in table.columns.values()}, table.partition)
        customers = pa.table({
            "customer_id": np.arange(50_000), "city": [f"city {i % 12}" for i in range(50_000)],
            "is_member": [i % 3 == 0 for i in range(50_000)],
        })
        with engine.transaction(), engine.temporary(customers) as source:
            engine.insert("star.customers", f"SELECT * FROM {source}")
            touch(engine, "star.customers", [None])
        load(engine, tables, 0, given.days - given.rounds, given.orders_per_day)
        build(engine, models(), tables)
        for turn in range(given.rounds):
            at = given.days - given.rounds + turn
            load(engine, tables, at, at + 1, given.orders_per_day)
            seconds, report = timed(engine, tables)
            days.append(seconds)
            reports.append(report)
            if turn == 0 and (wrong := verify(engine, models(), tables)):
                sys.exit(f"incremental differs from full: {wrong}")
            fulls.append(timed(engine, tables, full=True)[0])
        engine.close()
    full, day = statistics.median(fulls), statistics.median(days)
    last = START + timedelta(given.days - 1)
    print(
        f"{given.days} days until {last}, {given.orders_per_day * given.days:,} orders and as many deliveries,"
        f" {len(MODELS)} models, {os.cpu_count()} cores, median of {given.rounds}\n"
    )
    print("| build | CPU seconds | share of full | bar |\n|---|---:|---:|---:|")
    print(f"| full | {full:.2f} | 100% | |")
    print(f"| incremental, 1 new day | {day:.3f} | {day / full:.1%} | < {BAR:.0%} |\n")
    print("| model | mode | partitions | rows | wall seconds |\n|---|---|---:|---:|---:|")
    for entry in reports[-1]:
        print(f"| {entry.model} | {entry.mode} | {len(entry.partitions)} | {entry.rows:,} | {entry.seconds:.3f} |")
    if day / full >= BAR:
        sys.exit(f"\nincremental costs {day / full:.1%} of a full build; the bar is {BAR:.0%}")


if __name__ == "__main__":
    main()
