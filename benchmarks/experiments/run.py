"""One pass over the units of an experiment against the same pass written by hand, sides taken in turn.

    python benchmarks/experiments/run.py --units 20000000

Ten metrics (seven means, two ratios, one with a covariate) in two arms. Hand-written are the two forms that people
write: sums and squares (fast, and wrong for large numbers), and var_samp with covar_samp.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from pathlib import Path

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference.analysis import analyse
from prodsense.inference.suffstats import gather
from prodsense.inference.tables import Asked, Spec, study_of_table

MEANS = [f"m{i}" for i in range(7)]
RATIOS = [("r0", "d0"), ("r1", "d1")]
COVARIATE = ("y", "x")


def make(engine: DuckDBEngine, units: int) -> None:
    columns = ", ".join(
        [f"(hash(i * {31 + j}) % 10000) / 100.0 AS {name}" for j, name in enumerate(
            [*MEANS, "r0", "r1", "y", "x"])] + [f"(1 + hash(i * {91 + j}) % 9)::INT AS d{j}" for j in range(2)])
    engine.raw(f"CREATE OR REPLACE TABLE main.units AS SELECT CASE WHEN hash(i) % 2 = 0 THEN 'A' ELSE 'B' END AS arm,"
               f" {columns.replace('/ 100.0', '/ 100.0::DOUBLE')} FROM range({units}) AS t(i)")


def by_hand(stable: bool) -> str:
    items = ["arm", "COUNT(*)"]
    for m in MEANS:
        items += [f"AVG({m}), VAR_SAMP({m})"] if stable else [f"SUM({m}), SUM({m} * {m})"]
    for a, b in [*RATIOS, COVARIATE]:
        items += (
            [f"AVG({a}), AVG({b}), VAR_SAMP({a}), VAR_SAMP({b}), COVAR_SAMP({a}, {b})"] if stable else
            [f"SUM({a}), SUM({b}), SUM({a} * {a}), SUM({b} * {b}), SUM({a} * {b})"])
    return f"SELECT {', '.join(items)} FROM main.units GROUP BY arm"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at", default="bench_experiments.duckdb")
    given = parser.parse_args()
    engine = DuckDBEngine(given.at)
    if engine.columns("main.units") is None or engine.query("SELECT COUNT(*) AS n FROM main.units")["n"][0].as_py() != (
            given.units):
        make(engine, given.units)
    metrics = [*MEANS, *(f"{a}={f'ratio:{a}/{b}'}" for a, b in RATIOS), "y"]
    asked = Asked("arm", tuple(Spec.read(m) for m in metrics), covariates={"y": ("x",)}, plan={"label": "randomised"})
    study = study_of_table(engine, "main.units", asked)
    blocks = {m.name: m.columns for m in study.measures}
    sides = {
        "by hand: sums and squares": lambda: engine.raw(by_hand(False), fetch=True),
        "by hand: var_samp": lambda: engine.raw(by_hand(True), fetch=True),
        "prodsense: the pass": lambda: gather(engine, study.source, blocks, ["arm"], study.params, base=True),
        "prodsense: the whole readout": lambda: analyse(engine, study),
    }
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(given.rounds + 1):
        for name, run in sides.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - used)
    base = statistics.median(cpu["by hand: sums and squares"][1:])
    print(f"{given.units:,} units, 10 metrics, 2 arms; median of {given.rounds} after one to warm up")
    print(f"{'':32}{'wall s':>8}{'CPU s':>8}{'CPU / sums by hand':>20}")
    for name in sides:
        used = statistics.median(cpu[name][1:])
        print(f"{name:32}{statistics.median(wall[name][1:]):8.2f}{used:8.2f}{used / base:20.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")
    engine.close()
    if given.at == "bench_experiments.duckdb":
        Path(given.at).unlink()


if __name__ == "__main__":
    main()
