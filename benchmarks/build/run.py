"""Cost of an incremental build after one new day, against a full build, in CPU seconds.

    python benchmarks/build/run.py [--days 365] [--scale 2] [--rounds 3]

The delivery pack's tables are simulated and stored in a DuckDB file, all days but the last few. Then, in
turn: one more day is stored, the models are built incrementally, and built in full. After the first
incremental build every stored model is compared with its SELECT over all data.
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

import pyarrow as pa
import pyarrow.compute as pc

from prodsense.build import BuildReport, build, verify
from prodsense.contracts.tables import Table
from prodsense.contracts.vocabulary import Model
from prodsense.engines import open_engine
from prodsense.engines.base import Engine, comma
from prodsense.ingest.ledger import touch
from prodsense.packs import load_pack
from prodsense.packs.delivery.simulate import simulate

BAR = 0.05
START = date(2024, 1, 1)


def store(engine: Engine, table: Table, rows: pa.Table) -> None:
    """Append rows to a table and touch their partitions, as a load does."""
    if not rows.num_rows:
        return
    columns = ", ".join(
        f"CAST({comma([c.name])} AS {c.type}) AS {comma([c.name])}"
        for c in table.columns.values() if c.name in rows.column_names
    )  # fmt: skip
    days = [None] if not table.partition else pc.unique(rows[table.partition]).to_pylist()
    with engine.transaction(), engine.temporary(rows) as source:
        engine.insert(table.relation, f"SELECT {columns} FROM {source}")
        touch(engine, table.relation, [None if day is None else str(day) for day in days])


def timed(
    engine: Engine, models: dict[str, Model], tables: dict[str, Table], *, full: bool = False
) -> tuple[float, BuildReport]:
    """CPU seconds of a build, and its report; ends the program when a model fails."""
    started = _cpu()
    report = build(engine, models, tables, full=full)
    spent = _cpu() - started
    if not report.ok:
        sys.exit(str(report))
    return spent, report


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--scale", type=float, default=2.0, help="1 begins at about 1,500 orders a day")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pack = load_pack("delivery")
    models = {f"delivery.{name}": model for name, model in pack.models.items()}
    tables = {table.relation: table for table in pack.tables.values()}
    data = simulate(days=given.days, scale=given.scale, start=START).tables
    fulls, days, reports = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(Path(folder) / "delivery.duckdb")
        for relation, table in tables.items():
            engine.create_table(relation, {c.name: c.type for c in table.columns.values()}, table.partition)

        def store_days(low: date, high: date) -> None:
            """Rows of the days from `low` until before `high`."""
            for name, rows in data.items():
                table = tables[f"delivery.{name}"]
                if table.partition:
                    day = rows[table.partition]
                    store(engine, table, rows.filter(pc.and_(pc.greater_equal(day, low), pc.less(day, high))))

        for name, rows in data.items():
            if not tables[f"delivery.{name}"].partition:
                store(engine, tables[f"delivery.{name}"], rows)
        first = START + timedelta(given.days - given.rounds)
        store_days(date.min, first)
        timed(engine, models, tables)
        for turn in range(given.rounds):
            store_days(first + timedelta(turn), first + timedelta(turn + 1))
            seconds, report = timed(engine, models, tables)
            days.append(seconds)
            reports.append(report)
            if turn == 0 and (wrong := verify(engine, models, tables)):
                sys.exit(f"incremental differs from full: {wrong}")
            seconds, whole = timed(engine, models, tables, full=True)
            fulls.append(seconds)
        engine.close()
    full, day = statistics.median(fulls), statistics.median(days)
    stored = [name for name, model in models.items() if model.kind == "table"]
    print(
        f"{given.days} days, {data['fact_orders'].num_rows:,} orders, {len(stored)} stored models and"
        f" {len(models) - len(stored)} views, {os.cpu_count()} cores, median of {given.rounds}\n"
    )
    print("| build | CPU seconds | share of full | bar |\n|---|---:|---:|---:|")
    print(f"| full | {full:.2f} | 100% | |")
    print(f"| incremental, 1 new day | {day:.3f} | {day / full:.1%} | < {BAR:.0%} |\n")
    print("| model | mode | days written | rows | wall s | wall s full |\n|---|---|---:|---:|---:|---:|")
    for name in stored:
        entry = reports[-1][name]
        counts = f"{entry.mode} | {len(entry.partitions)} | {entry.rows:,}"
        print(f"| {name} | {counts} | {entry.seconds:.3f} | {whole[name].seconds:.2f} |")
    if day / full >= BAR:
        sys.exit(f"\nincremental costs {day / full:.1%} of a full build; the bar is {BAR:.0%}")


if __name__ == "__main__":
    main()
