"""A stream by session and through a fixed-size buffer: events a CPU second, per event and by micro-batch.

    python benchmarks/realtime/run.py [--events 200000] [--rounds 3] [--check]

Events come out of order within the lateness, 1 in 50 twice, 1 in 20 by a test user. All ways of one kind have to
give the same totals.
Sessions: `per event` is `SessionBuffer` on dicts, `micro-batch` is `MicroBatch` on Arrow batches of the given size;
`plain loop` is `process_event` on dicts, which knows neither time nor repeats (its totals differ), and `without ids`
is `MicroBatch` on events without event_id, which drops no repeats either. `stream` is NDJSON lines into a
warehouse in memory, decoding and commits included. Buffer: the same with `FixedBuffer`, `FixedBatch` and
`process_fixed_buffer_stream`. Rounds are interleaved; the median counts. Prints a Markdown table; with `--check`
fails where micro-batches of 10,000 miss the bar of 2.5 times the per-event loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from prodsense.engines import open_engine
from prodsense.realtime.buffers import (
    FixedBuffer,
    SessionBuffer,
    flush_fixed_buffer,
    process_event,
    process_fixed_buffer_stream,
)
from prodsense.realtime.checkpoint import Stream
from prodsense.realtime.fixedbatch import FixedBatch
from prodsense.realtime.microbatch import MicroBatch
from prodsense.realtime.sources import read_lines

TEST_USERS = [f"u{n}" for n in range(0, 2000, 20)]
SIZES = (1_000, 10_000, 100_000)
BUFFER = 5_000
BAR = 2.5
#: Ways that count repeats.
OTHER_TOTALS = ("plain loop", "without ids 10,000")


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
            "post_id": pa.array([f"p{n}" for n in rng.integers(0, 500, number)]),
            "view_duration_seconds": pa.array(rng.integers(0, 240, number) / 4),  # sums are exact in any order
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


def buffer_per_event(rows: list[dict[str, Any]]) -> dict[str, float]:
    stream = FixedBuffer(BUFFER, TEST_USERS)
    for row in rows:
        stream.add(row)
    stream.flush()
    return stream.totals


def buffer_plain_loop(rows: list[dict[str, Any]]) -> dict[str, float]:
    buffer: Any = deque()
    engagements, seconds = [0], [0.0]
    users = set(TEST_USERS)
    for row in rows:
        process_fixed_buffer_stream(row, buffer, BUFFER, engagements, seconds, users)
    flush_fixed_buffer(buffer, engagements, seconds)
    return {"engagements": engagements[0], "view_seconds": seconds[0]}


def buffer_micro_batch(table: pa.Table, size: int) -> dict[str, float]:
    stream = FixedBatch(BUFFER, TEST_USERS)
    for at in range(0, table.num_rows, size):
        stream.add(table.slice(at, size))
    stream.flush()
    return stream.totals


def whole_way(lines: list[bytes]) -> dict[str, int]:
    stream = Stream(open_engine(":memory:", threads=1), "clicks", "shop.sessions", TEST_USERS)
    read_lines(stream, lines)
    stream.flush()
    return stream.totals


def race(ways: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """CPU seconds of each way at the median of interleaved rounds, and what each found."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            found[name] = way()
            spent[name].append(time.process_time() - began)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}, found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--check", action="store_true")
    chosen = options.parse_args()
    table = clicks(chosen.events)
    without_ids = table.drop_columns(["event_id"])
    rows = table.to_pylist()
    lines = [json.dumps({**row, "timestamp": row["timestamp"].isoformat()}).encode() for row in rows]
    kinds: dict[str, dict[str, Callable[[], Any]]] = {
        "sessions": {
            "per event": lambda: per_event(rows),
            "plain loop": lambda: plain_loop(rows),
            **{f"micro-batch {size:,}": lambda size=size: micro_batch(table, size) for size in SIZES},  # type: ignore[misc]
            "without ids 10,000": lambda: micro_batch(without_ids, 10_000),
            "stream": lambda: whole_way(lines),
        },
        f"buffer of {BUFFER:,}": {
            "per event": lambda: buffer_per_event(rows),
            "plain loop": lambda: buffer_plain_loop(rows),
            **{f"micro-batch {size:,}": lambda size=size: buffer_micro_batch(table, size) for size in SIZES},  # type: ignore[misc]
        },
    }
    missed = []
    print("| kind | way | events a CPU second | to per event |\n|---|---|---:|---:|")
    for kind, ways in kinds.items():
        spent, found = race(ways, chosen.rounds)
        for name, totals in found.items():
            if name not in OTHER_TOTALS and totals != found["per event"]:
                raise SystemExit(f"{kind}: {name} counts {totals}, per event counts {found['per event']}")
        for name, seconds in spent.items():
            ratio = spent["per event"] / seconds
            print(f"| {kind} | {name} | {table.num_rows / seconds / 1000:,.0f}k | {ratio:.1f}x |")
        if spent["per event"] / spent[f"micro-batch {SIZES[1]:,}"] < BAR:
            missed.append(kind)
    if chosen.check and missed:
        raise SystemExit(f"micro-batches miss {BAR}x the per-event loop: {', '.join(missed)}")


if __name__ == "__main__":
    main()
