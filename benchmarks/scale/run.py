"""How the delivery build and ten metrics grow with the data, on DuckDB and on Spark, in one run.

    python benchmarks/scale/run.py [--days 14] [--base 0.15] [--sizes 1,4,16] [--rounds 1]

Each size is simulated once, stored as the pack's tables, loaded into both engines, built in full and asked
ten metrics by day. Engines take turns at each size. Measured: wall-clock seconds and CPU seconds of this
process with the JVM. The exponent is the slope of log(seconds) over log(rows) by least squares; the size
where Spark would overtake follows from the two lines and is marked as extrapolated; where DuckDB's time hardly
grows with the rows, none is given.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UnsupportedError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

METRICS = 10
#: Below this exponent a time is mostly the fixed price of statements, and its line says nothing about larger data.
GROWS = 0.5
#: Clock ticks a second, in which Linux counts a process's CPU time.
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(jvm: int) -> float:
    """CPU seconds of this process so far, and of the process `jvm` (0: none)."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    total = own.ru_utime + own.ru_stime
    if jvm:
        fields = Path(f"/proc/{jvm}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def measured(action: Callable[[], Any], jvm: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of `action`."""
    wall, cpu = time.perf_counter(), cpu_seconds(jvm)
    action()
    return time.perf_counter() - wall, cpu_seconds(jvm) - cpu


def exponent(rows: list[int], seconds: list[float]) -> tuple[float, float]:
    """Slope and intercept of log(seconds) over log(rows), by least squares."""
    x, y = [math.log(r) for r in rows], [math.log(s) for s in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    return slope, mean_y - slope * mean_x


def crossing(duckdb: tuple[float, float], spark: tuple[float, float]) -> str:
    """Rows from which on Spark would be faster, if both went on along their lines.

    Nothing is drawn out while the fixed price of statements hides how time grows with rows.
    """
    if duckdb[0] < GROWS:
        return "not to be told: DuckDB's time hardly grows yet"
    gain = duckdb[0] - spark[0]
    if gain <= 0.02:
        return "never on these lines (extrapolated)"
    return f"{math.exp((spark[1] - duckdb[1]) / gain):.1e} (extrapolated)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--base", type=float, default=0.15, help="scale of the simulator at size 1")
    parser.add_argument("--sizes", default="1,4,16", help="multiples of the base, comma-separated")
    parser.add_argument("--rounds", type=int, default=1, help="full builds of each size; the quickest counts")
    parser.add_argument("--master", default="local[2]", help="Spark master")
    options = parser.parse_args()
    sizes = [float(size) for size in options.sizes.split(",")]

    from prodsense.engines.spark import SparkEngine, start_session

    try:
        session = start_session({"master": options.master, "spark.sql.shuffle.partitions": "4"})
    except UnsupportedError as error:
        print(f"skipped: {error}")
        return
    jvm = int(session._jvm.java.lang.ProcessHandle.current().pid())
    pack = load_pack("delivery")
    names = [f"delivery.{name}" for name in list(pack.metrics)[:: len(pack.metrics) // METRICS]][:METRICS]
    folder = Path(tempfile.mkdtemp(prefix="prodsense-scale-"))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    counts: list[int] = []
    try:
        warm(session, pack, folder)
        for size in sizes:
            tables = dict(pack.simulate(days=options.days, scale=options.base * size, seed=7).tables)
            counts.append(sum(rows.num_rows for rows in tables.values()))
            for engine in ("duckdb", "spark"):
                where = folder / f"{engine}-{size}"
                opened: Any = (
                    DuckDBEngine(where) if engine == "duckdb" else SparkEngine(where, session=session)
                )
                with Warehouse(opened) as warehouse:
                    pid = jvm if engine == "spark" else 0
                    steps: dict[str, list[tuple[float, float]]] = {
                        "ingest": [measured(lambda w=warehouse, t=tables: w.ingest(t, pack="delivery"), pid)],
                        "build": [
                            measured(lambda w=warehouse: w.build("delivery", full=True), pid)
                            for _ in range(options.rounds)
                        ],
                        "ten metrics": [
                            measured(lambda w=warehouse: [w.metric(name, grain="day") for name in names], pid)
                            for _ in range(options.rounds)
                        ],
                    }
                for step, times in steps.items():
                    found.setdefault((step, engine), []).append(min(times))
                    print(f"# {counts[-1]:>9,} rows {engine:7} {step:12} {min(times)[0]:7.2f} s", flush=True)
                shutil.rmtree(where, ignore_errors=True)
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(table(counts, found))


def warm(session: Any, pack: Any, folder: Path) -> None:
    """One small build and some metrics, so that Spark's first statements are in nobody's time."""
    from prodsense.engines.spark import SparkEngine

    with Warehouse(SparkEngine(folder / "warm", session=session)) as warehouse:
        warehouse.ingest(dict(pack.simulate(days=3, scale=0.03, seed=1).tables), pack="delivery")
        warehouse.build("delivery")
        for name in list(pack.metrics)[:3]:
            warehouse.metric(f"delivery.{name}", grain="day")


def table(counts: list[int], found: dict[tuple[str, str], list[tuple[float, float]]]) -> str:
    """The measurements as Markdown."""
    heads = " | ".join(f"{count:,} rows" for count in counts)
    lines = [f"| step | engine | {heads} | exponent | Spark overtakes at |", "|---|---|" + "---:|" * (len(counts) + 2)]
    for step in dict.fromkeys(step for step, _ in found):
        fits = {engine: exponent(counts, [wall for wall, _ in found[step, engine]]) for engine in ("duckdb", "spark")}
        for engine in ("duckdb", "spark"):
            cells = " | ".join(f"{wall:.2f} s ({cpu:.1f} CPU)" for wall, cpu in found[step, engine])
            # A load runs in the driver's DuckDB on either engine: there is nothing to overtake.
            at = crossing(fits["duckdb"], fits["spark"]) if engine == "spark" and step != "ingest" else ""
            lines.append(f"| {step} | {engine} | {cells} | {fits[engine][0]:.2f} | {at} |")
        ratio = " | ".join(
            f"{s[1] / max(d[1], 1e-3):.1f}x" for d, s in zip(found[step, 'duckdb'], found[step, 'spark'], strict=True)
        )
        lines.append(f"| {step} | CPU, Spark to DuckDB | {ratio} | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
