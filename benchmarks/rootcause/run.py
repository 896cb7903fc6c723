"""Root cause on cases with known answers: exact element F1, the right one among the first three, CPU a case.

    python benchmarks/rootcause/run.py --data FOLDER

FOLDER holds `rca_rs_ratio/` (`cases.parquet`, `labels.csv`) and `rca_synthetic/` (`S.parquet`, `S_labels.csv`, ...);
what is absent is left out. With `--rows N` a table of N rows and five dimensions is made and explained too.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from known import data_option, folder_of


@dataclass
class Score:
    """Elements found, found wrongly, missed, over cases; cases with the answer among the first three."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    cases: int = 0
    in_three: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, found: list[str], truth: set[str], first: list[str], seconds: float) -> None:
        own = set(found)
        self.right += len(own & truth)
        self.wrong += len(own - truth)
        self.missed += len(truth - own)
        self.cases += 1
        self.in_three += bool(set(first[:3]) & truth)
        self.seconds.append(seconds)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def element(text: str) -> str:
    """A slice with its conditions in the order of their names."""
    return "&".join(sorted(text.split("&")))


def ask(data: Any, **options: Any) -> tuple[list[str], list[str], float]:
    """Answers and candidates of an explanation, without the whole, and the CPU seconds it took."""
    start = time.process_time()
    found = ps.explain(data, **options)
    seconds = time.process_time() - start
    answers = [element(row["slice"]) for row in found.rows if row["slice"] != "all"]
    return answers, [element(c["slice"]) for c in found.extras["candidates"] if c["slice"] != "all"], seconds


def synthetic(folder: Path, kind: str) -> Score:
    """Sums against a forecast, several elements a case."""
    engine, score = DuckDBEngine(), Score()
    labels = engine.raw(f"SELECT \"timestamp\" AS id, \"set\" AS truth FROM '{folder}/{kind}_labels.csv'", fetch=True)
    for row in labels.to_pylist():
        data = engine.raw(f"SELECT * FROM '{folder}/{kind}.parquet' WHERE \"case\" = {int(row['id'])}", fetch=True)
        answers, candidates, seconds = ask(data.drop_columns(["case"]), value="real_x100", expected="predict_x100")
        score.add(answers, {element(e) for e in row["truth"].split(";")}, candidates, seconds)
    engine.close()
    return score


def ratio(folder: Path, answers: int | None) -> Score:
    """A success rate minute by minute; the first `answers` slices count (None: all that are given)."""
    engine, score = DuckDBEngine(), Score()
    cases = engine.raw(f"SELECT * FROM '{folder}/cases.parquet'", fetch=True)
    labels = engine.raw(f"SELECT * FROM '{folder}/labels.csv'", fetch=True).to_pylist()
    known = cases.column("case").to_pylist()
    places: dict[str, list[int]] = {}
    for i, case in enumerate(known):
        places.setdefault(case, []).append(i)
    for row in labels:
        data = cases.take(places[row["case"]])
        dims = [n for n in data.column_names if n not in ("case", "min", "value", "cnt")
                and data.column(n).null_count < data.num_rows]  # fmt: skip
        found, candidates, seconds = ask(
            data, numerator="value", denominator="cnt", time="min", after=row["timestamp"], dims=dims
        )
        score.add(found[:answers], {element(e) for e in row["root_cause"].split(";")}, candidates, seconds)
    engine.close()
    return score


def scale(rows: int) -> tuple[float, float, list[str]]:
    """Wall and CPU seconds to explain a ratio over `rows` rows of five dimensions, second run, and what it found."""
    engine = DuckDBEngine()
    engine.raw("CREATE SCHEMA big")
    engine.raw(
        "CREATE TABLE big.facts AS SELECT CAST(i % 2 AS INT) AS day, 'a' || hash(i) % 10 AS a,"
        " 'b' || hash(i * 3 + 1) % 12 AS b, 'c' || hash(i * 7 + 2) % 10 AS c, 'd' || hash(i * 11 + 3) % 8 AS d,"
        " 'e' || hash(i * 13 + 5) % 5 AS e, 1 AS n, CAST(hash(i * 17 + 9) % 100 < CASE WHEN i % 2 = 1 AND"
        " hash(i * 3 + 1) % 12 = 3 AND hash(i * 7 + 2) % 10 = 4 THEN 30 ELSE 5 END AS INT) AS bad"
        f" FROM range({rows}) t(i)"
    )
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        found = ps.explain(
            "big.facts", numerator="bad", denominator="n", time="day", before=0, after=1, dims=list("abcde"),
            engine=engine,
        )  # fmt: skip
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    engine.close()
    return wall, cpu, [row["slice"] for row in found.rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    data_option(parser)
    parser.add_argument("--rows", type=int, default=0)
    given = parser.parse_args()
    data = folder_of(given)
    runs: list[tuple[str, Score]] = []
    if (data / "rca_rs_ratio").is_dir():
        folder = data / "rca_rs_ratio"
        runs += [("ratio, one answer", ratio(folder, 1)), ("ratio, all answers", ratio(folder, None))]
    if (data / "rca_synthetic").is_dir():
        runs += [(f"synthetic {k}", synthetic(data / "rca_synthetic", k)) for k in ("S", "L")]
    for name, score in runs:
        middle = sorted(score.seconds)[len(score.seconds) // 2]
        print(
            f"{name:20} {score.cases} cases  F1 {score.f1:.3f}  in first three {score.in_three / score.cases:.3f}"
            f"  CPU s: median {middle:.2f}, most {max(score.seconds):.2f}"
        )
    if given.rows:
        wall, cpu, found = scale(given.rows)
        print(f"{given.rows:,} rows: {wall:.2f} s, {cpu:.2f} CPU s, found {found}")


if __name__ == "__main__":
    main()
