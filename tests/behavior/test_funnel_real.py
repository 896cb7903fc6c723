"""A shop's clicks with known answers: funnel and paths against numbers that others found, and a plain loop."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import prodsense as ps


@pytest.fixture(scope="module")
def clicks(shared_data: Path) -> Path:
    path = shared_data / "clickstream_ecom" / "ecom.parquet"
    if not path.is_file():
        pytest.skip(f"no clickstream at {path}")
    return path


def test_the_funnel_of_sessions_has_the_known_counts(clicks: Path) -> None:
    with ps.EventTable.read(clicks, "session_id", "timestamp", "event") as events:
        found = ps.funnel(events, ["catalog", "add_to_cart", "purchase"], within="30d", as_of="2024-12-31")
        assert [row["count"] for row in found.rows] == [2837, 819, 213]
        steps = ["catalog", "purchase"]
        best = ps.funnel(events, steps, within="30d", entries="best", by="platform", as_of="2024-12-31")
        first = ps.funnel(events, steps, within="30d", by="platform", as_of="2024-12-31")
        # Nobody's window ends inside a session, so the first entry gets as far as any.
        assert [r["count"] for r in best.rows] == [r["count"] for r in first.rows]
        assert [sum(r["count"] for r in first.rows if r["step"] == step) for step in (1, 2)] == counts_by_loop(clicks)


def counts_by_loop(clicks: Path) -> list[int]:
    """Sessions with a catalogue, and those with a purchase at or after their first catalogue."""
    import pyarrow.parquet as pq

    seen: dict[Any, dict[str, list[Any]]] = {}
    for row in pq.read_table(clicks).to_pylist():
        seen.setdefault(row["session_id"], {}).setdefault(row["event"], []).append(row["timestamp"])
    entered = [events for events in seen.values() if "catalog" in events]
    bought = [events for events in entered if max(events.get("purchase", [""])) >= min(events["catalog"])]
    return [len(entered), len(bought)]


def test_the_planted_bug_shows_in_the_transitions(clicks: Path) -> None:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(clicks).to_pylist()
    sessions: dict[Any, list[tuple[Any, str]]] = {}
    for row in rows:
        sessions.setdefault(row["session_id"], []).append((row["timestamp"], row["event"]))
    expected: Counter[tuple[str, str]] = Counter()
    for events_of in sessions.values():
        ordered = sorted(events_of)
        expected.update((a[1], b[1]) for a, b in pairwise(ordered))
    with ps.EventTable.read(clicks, "session_id", "timestamp", "event") as events:
        found = ps.transitions(events, gap="365d", as_of="2026-12-31")
    counted = {
        (r["source"], r["target"]): r["count"] for r in found.rows if r["source"] != "(start)" and r["target"] != "(end)"
    }
    assert counted == expected
