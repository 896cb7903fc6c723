"""Sessions of a stream, events a CPU second: per event and by micro-batch, as ratios.

    python benchmarks/realtime/run.py [--events 200000] [--rounds 3]

Events come out of order within the lateness, 1 in 50 twice, 1 in 20 by a test user. All ways
have to give the same totals.
`per event` is `SessionBuffer` on dicts; `plain loop` is `process_event` on dicts, which knows neither time nor
repeats (its totals differ); `micro-batch` is `MicroBatch` on Arrow batches of the given size. Rounds are
interleaved; the median counts. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from prodsense.realtime.buffers import SessionBuffer, process_event
from prodsense.realtime.microbatch import MicroBatch

TEST_USERS = [f"u{n}" for n in range(0, 2000, 20)]
SIZES = (1_000, 10_000, 100_000)


def clicks(number: int) -> pa.Table:
    """About 50 events a second, in sessions of some ten events, sent up to four minutes late."""
    rng = np.random.default_rng(4)
    happened = np.sort(rng.integers(0, max(number // 50, 1) * 1_000_000, number))
    user = rng.integers(0, 2000, number)
    kind = rng.choice(["view", "like", "share", "save", "session_end"], number, p=[0.6, 0.15, 0.1, 0.05, 0.1])
    start = (datetime(2024, 5, 1) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    table = pa.table(
        {
            "event_id": pa.array(np.arange(number)).cast(pa.string()),
            "session_id": pa.array([f"s{u}" for u in user]),
            "user_id": pa.array([f"u{u}" for u in user]),
            "event_type": pa.array(kind),
            "timestamp": pa.array(happened + start).cast(pa.timestamp("us")),
        }
    )
    sent = np.concatenate([np.arange(number), rng.choice(number, number // 50, replace=False)])
    arrival = happened[sent] + rng.integers(0, 240_000_000, len(sent))
    return table.take(pa.array(sent[np.argsort(arrival, kind="stable")]))


def per_event(rows: list[dict[str, Any]]) -> dict[str, int]:
    stream = SessionBuffer(TEST_USERS)
    for row in rows:
        stream.add(row)
    stream.flush()
    return stream.totals


def plain_loop(rows: list[dict[str, Any]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    buffer: dict[Any, dict[Any, list[Any]]] = {}
    users = set(TEST_USERS)
    for row in rows:
        process_event(row, buffer, totals, users)
    return totals


def micro_batch(table: pa.Table, size: int) -> dict[str, int]:
    stream = MicroBatch(TEST_USERS)
    for at in range(0, table.num_rows, size):
        stream.add(table.slice(at, size))
    stream.flush()
    return stream.totals


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    table = clicks(chosen.events)
    rows = table.to_pylist()
    ways: dict[str, Callable[[], dict[str, int]]] = {
        "per event": lambda: per_event(rows),
        "plain loop": lambda: plain_loop(rows),
        **{f"micro-batch {size:,}": lambda size=size: micro_batch(table, size) for size in SIZES},  # type: ignore[misc]
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    totals: dict[str, dict[str, int]] = {}
    for _ in range(chosen.rounds):
        for name, way in ways.items():
            began = time.process_time()
            totals[name] = way()
            spent[name].append(time.process_time() - began)
    for name, found in totals.items():
        if name != "plain loop" and found != totals["per event"]:
            raise SystemExit(f"{name} counts {found}, per event counts {totals['per event']}")
    base = statistics.median(spent["per event"])
    print("| way | events a CPU second | to per event |\n|---|---|---|")
    for name, seconds in spent.items():
        middle = statistics.median(seconds)
        print(f"| {name} | {table.num_rows / middle / 1000:,.0f}k | {base / middle:.1f}x |")


if __name__ == "__main__":
    main()
