"""Ingest against a bare load: CPU time of the whole process, both sides interleaved, median of the rounds.

    python benchmarks/ingest/run.py [--rows 5000000] [--rounds 3] [--kills 20]

Each case runs in a child process; its CPU time (user and system) from opening the warehouse to closing
it counts. Both sides have to hold the same rows. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SCHEMA = """
CREATE TABLE customers (customer_id BIGINT PRIMARY KEY);
CREATE TABLE restaurants (restaurant_id BIGINT PRIMARY KEY);
-- partition: day
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers(customer_id),
    restaurant_id BIGINT NOT NULL REFERENCES restaurants(restaurant_id),
    placed_at TIMESTAMP NOT NULL,
    day DATE NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('delivered', 'cancelled', 'placed')),
    amount DECIMAL(10,2) CHECK (amount >= 0),
    prep_minutes INTEGER CHECK (prep_minutes BETWEEN 0 AND 600),
    miles DOUBLE CHECK (miles >= 0)
);
"""
TYPES = {
    "order_id": "BIGINT", "customer_id": "BIGINT", "restaurant_id": "BIGINT", "placed_at": "TIMESTAMP",
    "day": "DATE", "status": "VARCHAR", "amount": "DECIMAL(10,2)", "prep_minutes": "INTEGER", "miles": "DOUBLE",
}  # fmt: skip
#: Same rows on both sides: every number is summed, the rest is counted.
SUMS = (
    "COUNT(*), SUM(order_id), SUM(customer_id), SUM(restaurant_id), MAX(placed_at)::VARCHAR, MIN(day)::VARCHAR,"
    " COUNT(DISTINCT status), SUM(amount)::VARCHAR, SUM(prep_minutes), ROUND(SUM(miles), 3)"
)
PARENTS = (100_000, 500)
#: Rows of a batch that comes again, in the key-range case.
BATCH = 300_000


def make(folder: Path, rows: int) -> None:
    """Write the orders as Parquet, NDJSON, CSV, with 1 % bad and 1 % repeated rows, and shuffled."""
    import duckdb

    con = duckdb.connect()
    con.execute(
        f"""CREATE TABLE o AS SELECT i AS order_id, (i * 7919) % {PARENTS[0]} AS customer_id,
        (i * 31) % {PARENTS[1]} AS restaurant_id, TIMESTAMP '2023-01-01' + to_seconds(i * 6) AS placed_at,
        (TIMESTAMP '2023-01-01' + to_seconds(i * 6))::DATE AS day,
        CASE i % 3 WHEN 0 THEN 'delivered' WHEN 1 THEN 'cancelled' ELSE 'placed' END AS status,
        ((i * 37) % 5000 / 100.0)::DECIMAL(10, 2) AS amount, (i % 40)::INTEGER AS prep_minutes,
        ((i * 13) % 9973) / 1000.0::DOUBLE AS miles FROM range({rows}) AS t(i)"""
    )
    con.execute(f"COPY o TO '{folder}/orders.parquet'")
    con.execute(f"COPY o TO '{folder}/orders.ndjson' (FORMAT json)")
    con.execute(f"COPY o TO '{folder}/orders.csv'")
    con.execute(f"COPY (FROM o ORDER BY hash(order_id)) TO '{folder}/shuffled.parquet'")
    con.execute(
        f"""COPY (SELECT * REPLACE (CASE WHEN order_id % 100 = 7 THEN -1 ELSE amount END AS amount) FROM
        (FROM o UNION ALL SELECT * FROM o WHERE order_id % 100 = 3)) TO '{folder}/dirty.ndjson' (FORMAT json)"""
    )
    con.execute(f"COPY (FROM o WHERE order_id >= {rows} - {BATCH}) TO '{folder}/again.parquet'")


def child(case: str, folder: Path) -> None:
    """Run one side of a case and print its CPU seconds and its sums as JSON."""
    warehouse = folder / f"{case.replace(' ', '_')}.duckdb"
    for stale in (warehouse, Path(f"{warehouse}.wal")):
        stale.unlink(missing_ok=True)
    side, _, name = case.partition(" ")
    if side == "bare":
        spent, sums = bare(warehouse, folder / name)
    elif side == "ours":
        spent, sums = ours(warehouse, folder / name)
    else:
        spent, sums = again(folder, side == "range")
    print(json.dumps({"cpu": spent, "sums": sums}))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def bare(warehouse: Path, source: Path) -> tuple[float, list[object]]:
    import duckdb

    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items()) + "}"
    scan = {
        ".parquet": f"read_parquet('{source}')",
        ".ndjson": f"read_json('{source}', format = 'newline_delimited', columns = {columns})",
        ".csv": f"read_csv('{source}', header = true, auto_detect = false, columns = {columns})",
    }[source.suffix]
    start = cpu()
    con = duckdb.connect(str(warehouse), config={"threads": 2})
    con.execute("CREATE TABLE orders (" + ", ".join(f"{n} {k}" for n, k in TYPES.items()) + ")")
    con.execute(f"INSERT INTO orders SELECT * FROM {scan}")
    con.close()
    spent = cpu() - start
    return spent, list(duckdb.connect(str(warehouse)).execute(f"SELECT {SUMS} FROM orders").fetchall()[0])


def ours(warehouse: Path, source: Path) -> tuple[float, list[object]]:
    import duckdb
    import pyarrow as pa

    from prodsense.contracts.tables import read_schema
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest import ingest

    tables = {t.relation: t for t in read_schema(SCHEMA, "shop").values()}
    engine = DuckDBEngine(warehouse, threads=2)
    parents = {
        "customers": pa.table({"customer_id": list(range(PARENTS[0]))}),
        "restaurants": pa.table({"restaurant_id": list(range(PARENTS[1]))}),
    }
    ingest(engine, tables, parents)
    engine.close()
    start = cpu()
    engine = DuckDBEngine(warehouse, threads=2)
    report = ingest(engine, tables, source, "orders")
    engine.close()
    spent = cpu() - start
    print(report, file=sys.stderr)
    return spent, list(duckdb.connect(str(warehouse)).execute(f"SELECT {SUMS} FROM shop.orders").fetchall()[0])


def again(folder: Path, by_range: bool) -> tuple[float, list[object]]:
    """Find the stored rows of a batch by key: as the loader does, within its range, or by EXISTS on the table."""
    from prodsense.contracts.tables import read_schema
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.ingest.merge import Batch

    table = read_schema(SCHEMA, "shop")["orders"]
    engine = DuckDBEngine(folder / "ours_orders.parquet.duckdb", threads=2)
    engine.raw(f"CREATE TEMP TABLE stage AS SELECT *, 0 AS _rule FROM read_parquet('{folder}/again.parquet')")
    batch = Batch(engine, table, "temp.main.stage", True)
    start = cpu()
    if by_range:
        within = batch.key_range()
        assert within is not None
        found = engine.raw(
            f"SELECT COUNT(*) FROM temp.main.stage AS s JOIN (SELECT * FROM shop.orders AS t WHERE {within.where}) AS t"
            " ON s.order_id = t.order_id",
            within.params,
        ).fetchall()
    else:
        found = engine.raw(
            "SELECT COUNT(*) FROM temp.main.stage AS s WHERE EXISTS"
            " (SELECT 1 FROM shop.orders AS t WHERE s.order_id = t.order_id)"
        ).fetchall()
    spent = cpu() - start
    engine.close()
    return spent, list(found[0])


def run(case: str, folder: Path) -> tuple[float, list[object]]:
    done = subprocess.run(
        [sys.executable, __file__, "--case", case, "--folder", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    return found["cpu"], found["sums"]


def compare(
    label: str, left: str, right: str, bar: str, folder: Path, rounds: int, same: bool = True
) -> tuple[str, float, float, str]:
    times: dict[str, list[float]] = {left: [], right: []}
    sums = {}
    for _ in range(rounds):
        for case in (left, right):
            spent, sums[case] = run(case, folder)
            times[case].append(spent)
    if same and sums[left] != sums[right]:
        raise SystemExit(f"{label}: the two sides differ\n{sums[left]}\n{sums[right]}")
    return label, statistics.median(times[left]), statistics.median(times[right]), bar


KILLED = """
import sys, json
from pathlib import Path
import pyarrow as pa
from prodsense.contracts.tables import read_schema
from prodsense.engines import open_engine
from prodsense.ingest import ingest
tables = {t.relation: t for t in read_schema("CREATE TABLE t (id BIGINT PRIMARY KEY, x INTEGER)", "shop").values()}
engine = open_engine(sys.argv[1])
print("open", flush=True)
for batch in range(int(sys.argv[2]), 1 << 30):
    ingest(engine, tables, pa.table({"id": range(batch * 20000, batch * 20000 + 20000)}), "t")
    print(batch, flush=True)
"""


def kills(folder: Path, count: int) -> str:
    """Kill a loader at random moments; count what is lost, half there, or cannot be opened."""
    from prodsense.engines import open_engine

    dice = random.Random(1)
    warehouse = folder / "killed.duckdb"
    lost = partial = unopened = acknowledged = start = 0
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(warehouse), str(start)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0.05, 1.5))
        process.kill()
        said = {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
        acknowledged += len(said)
        try:
            engine = open_engine(warehouse)
        except Exception:
            unopened += 1
            continue
        if "shop.t" in engine.relations():
            found = engine.query("SELECT id // 20000 AS b, COUNT(*) AS n FROM shop.t GROUP BY ALL").to_pylist()
            partial += sum(row["n"] != 20000 for row in found)
            there = {row["b"] for row in found}
            lost += len(said - there)
            start = max(there, default=-1) + 1
        engine.close()
    return (
        f"kill -9 at {count} random moments: {acknowledged} loads acknowledged, {lost} lost, {partial} partial,"
        f" {unopened} failed opens"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        child(options.case, options.folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="prodsense-bench-"))
    try:
        make(folder, options.rows)
        cases: list[Callable[[], tuple[str, float, float, str]]] = [
            lambda name=name, bar=bar, same=same, base=base: compare(  # type: ignore[misc]
                f"{name}, all checks / bare load of {base}", f"ours {name}", f"bare {base}", bar, folder,
                options.rounds, same,
            )
            for name, base, bar, same in (
                ("orders.parquet", "orders.parquet", "at most 2", True),
                ("shuffled.parquet", "shuffled.parquet", "at most 2", True),
                ("orders.ndjson", "orders.ndjson", "at most 2", True),
                ("dirty.ndjson", "dirty.ndjson", "at most 2", False),
                ("orders.csv", "orders.csv", "", True),
            )
        ]
        print(f"{options.rows:,} orders, {options.rounds} rounds, CPU seconds (median), {os.cpu_count()} cores\n")
        print("| case | ours | other | ratio | bar |\n|---|---|---|---|---|")
        for case in cases:
            label, left, right, bar = case()
            print(f"| {label} | {left:.2f} | {right:.2f} | {left / right:.2f} | {bar} |", flush=True)
        label, left, right, _ = compare(
            f"stored keys of {BATCH:,} rows among {options.rows:,}: EXISTS on the table / join in the key range",
            "whole", "range", "", folder, options.rounds,
        )  # fmt: skip
        print(f"| {label} | {right:.3f} | {left:.3f} | {left / right:.1f}x faster | at least 2x faster |")
        if options.kills:
            print("\n" + kills(folder, options.kills))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
