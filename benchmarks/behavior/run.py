"""Eight questions about a clickstream, asked of this project and of four others.

    python benchmarks/behavior/run.py [--events 50000000] [--rounds 3] [--spark-events 5000000] [--keep FOLDER]

A clickstream is generated once. Each side answers each question in a process of its own, sides in turn: one run to
warm up, then `rounds` that are measured. The answers of all sides are compared first; where one differs, nothing is
printed but that. The numbers are CPU seconds (user and system, with helper processes), median of the rounds, and
what they are to this project's. This project answers from the models that it keeps; what those cost to build and to
keep stands above the table. Sides that are not installed are left out with a word.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clickstream import generate  # noqa: E402
from questions import ONLY, QUESTIONS  # noqa: E402

PEERS = ("project", "duckdb_sql", "polars_frames", "clickhouse", "spark_sql")


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    return str(value)[:10] if isinstance(value, date) else value


def answer(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """An answer that can be compared."""
    return sorted(tuple(plain(value) for value in row) for row in found)


def prepared(folder: Path, events: int) -> dict[str, Any]:
    """The data in `folder`, made unless they are there: Parquet for all, a DuckDB file for those who have one."""
    facts = folder / "facts.json"
    if not facts.exists():
        import duckdb

        rows = generate(folder / "events.parquet", events)
        con = duckdb.connect(str(folder / "raw.duckdb"))
        con.execute(f"CREATE TABLE events AS SELECT * FROM '{folder / 'events.parquet'}'")
        last = con.sql("SELECT CAST(MAX(ts) AS DATE) FROM events").fetchall()[0][0]
        con.close()
        facts.write_text(json.dumps({"events": rows, "last": str(last)}))
    found: dict[str, Any] = json.loads(facts.read_text())
    return found


def ask(peer: str, question: str, folder: Path, last: str, rounds: int) -> dict[str, Any]:
    out = folder / "out.pickle"
    out.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "worker.py"), peer, question, str(folder), last, str(rounds), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})
    if done.returncode or not out.exists():
        # A peer that fails is a fact about that peer; the project failing is a failure.
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if peer == "project":
            raise SystemExit(f"{question}: {why}")
        return {"failed": why}
    found: dict[str, Any] = pickle.loads(out.read_bytes())
    return found


def report(events: int, found: dict[str, dict[str, dict[str, Any]]], titles: dict[str, str]) -> str:
    """The table: CPU seconds and ratio to the project, peak memory."""
    lines = [
        f"| question, {events:,} events | " + " | ".join(titles.values()) + " |", "|---|" + "---:|" * len(titles)
    ]
    for question, sides in found.items():
        cells = []
        base = median(cpu for cpu, _ in sides["project"]["runs"])
        for peer in titles:
            got = sides.get(peer, {})
            if "runs" not in got:
                cells.append("failed" if got else "")
                continue
            cpu = median(value for value, _ in got["runs"])
            ratio = "" if peer == "project" else f" ({cpu / base:.1f}x)"
            cells.append(f"{cpu:.3f} s{ratio}, {got['megabytes']:.0f} MB")
        lines.append(f"| {QUESTIONS[question]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(folder: Path, events: int, rounds: int, peers: list[str], questions: list[str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    facts = prepared(folder, events)
    (folder / "kept.duckdb").unlink(missing_ok=True)
    made = ask("project", "prepare", folder, facts["last"], 1)
    for step, (cpu, wall) in made["steps"].items():
        print(f"{step}: {cpu:.2f} CPU s ({wall:.2f} s)")
    size = sum(file.stat().st_size for file in (folder / "log").rglob("*") if file.is_file())
    print(f"peak memory of that {made['megabytes']:.0f} MB; the log takes {size / 1e6:.0f} MB", flush=True)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for question in questions:
        found[question] = {}
        for peer in peers:
            if peer not in ONLY.get(question, peers):
                continue
            got = found[question][peer] = ask(peer, question, folder, facts["last"], rounds)
            if "failed" in got:
                print(f"# {question}: {peer} failed: {got['failed']}", file=sys.stderr, flush=True)
                continue
            print(f"# {question:12} {peer:14} {median(c for c, _ in got['runs']):8.3f} CPU s"
                  f" {got['megabytes']:7.0f} MB", file=sys.stderr, flush=True)
            ours, theirs = answer(found[question]["project"]["answer"]), answer(got["answer"])
            if ours != theirs:
                off = next((a, b) for a, b in zip([*ours, None], [*theirs, None], strict=False) if a != b)
                raise SystemExit(f"{question}: {peer} has another answer: {off[1]} where the project has {off[0]}")
    titles = {peer: importlib.import_module(f"peers.{peer}").TITLE for peer in peers}
    return report(facts["events"], found, titles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spark-events", type=int, default=5_000_000, help="Spark is asked at this size; 0 for never")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--questions", default=",".join(QUESTIONS), help=f"some of {','.join(QUESTIONS)}")
    parser.add_argument("--keep", type=Path, help="folder for data and models, kept and used again")
    options = parser.parse_args()
    questions = options.questions.split(",")
    peers = []
    for peer in dict.fromkeys(["project", *options.peers.split(",")]):
        missing = importlib.import_module(f"peers.{peer}").MISSING
        if missing:
            print(f"left out: {peer}: {missing}")
        else:
            peers.append(peer)
    small = min(options.spark_events, options.events)
    with tempfile.TemporaryDirectory(prefix="prodsense-behavior-") as made:
        folder = options.keep or Path(made)
        together = "spark_sql" in peers and small == options.events
        first = [peer for peer in peers if peer != "spark_sql" or together]
        table = measure(folder / str(options.events), options.events, options.rounds, first, questions)
        print(f"\n{table}", flush=True)
        if "spark_sql" in peers and not together and small:
            table = measure(folder / str(small), small, options.rounds, ["project", "spark_sql"], questions)
            print(f"\n{table}", flush=True)


if __name__ == "__main__":
    main()
