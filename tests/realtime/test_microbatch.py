"""Micro-batches against the per-event path, and both against a plain reading of the rules over all events."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.errors import ContractError
from prodsense.realtime.buffers import SessionBuffer
from prodsense.realtime.microbatch import FIELDS, OUTPUT, MicroBatch

NOON = datetime(2024, 5, 1, 12)
TIMEOUT, LATENESS = timedelta(minutes=8), timedelta(minutes=4)
LENGTHS = {"timeout": TIMEOUT, "lateness": LATENESS}


def event(minute: int, session: Any, user: Any, kind: Any, identity: Any) -> dict[str, Any]:
    return {
        "session_id": session, "user_id": user, "event_type": kind, "event_id": identity,
        "timestamp": NOON + timedelta(minutes=minute),
    }  # fmt: skip


def table(events: list[dict[str, Any]]) -> pa.Table:
    types = [pa.string(), pa.string(), pa.string(), pa.timestamp("us"), pa.string()]
    return pa.table({name: pa.array([e[name] for e in events], kind) for name, kind in zip(FIELDS, types, strict=True)})


def plain(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in OUTPUT.names) for row in rows)


def oracle(events: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """All at once: events of a session in order of time, cut at ends and gaps; counts by session and type."""
    found: Counter[tuple[Any, ...]] = Counter()
    for session in {e["session_id"] for e in events}:
        own = sorted((e["timestamp"], e["event_type"] == "session_end", e["event_type"], e["user_id"]) for e in events if e["session_id"] == session)
        runs: list[list[Any]] = []
        for position, one in enumerate(own):
            cut = position == 0 or own[position - 1][1] or one[0] - own[position - 1][0] >= TIMEOUT
            runs.extend([[]] if cut else [])
            runs[-1].append(one)
        for run in runs:
            for _, is_end, kind, user in run:
                if not is_end and user != "tester":
                    found[session, run[0][0], run[-1][0], kind] += 1
    return found


def as_counter(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter({(r["session_id"], r["started_at"], r["ended_at"], r["event_type"]): r["events"] for r in rows})


EVENTS = st.lists(
    st.builds(
        event,
        st.integers(0, 60),
        st.sampled_from(["s", "t", "x", None, ""]),
        st.sampled_from(["u", "v", "tester"]),
        st.sampled_from(["view", "like", "session_end"]),
        st.one_of(st.none(), st.integers(0, 12).map(str)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(EVENTS, st.data())
def test_any_split_equals_the_per_event_path_late_and_repeated_events_included(events: list[dict[str, Any]], data: st.DataObject) -> None:
    single, batched = SessionBuffer({"tester"}, **LENGTHS), MicroBatch({"tester"}, **LENGTHS)
    rest = list(events)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batch, rest = rest[:size], rest[size:]
        take = data.draw(st.sampled_from(["arrow", "events", "restart", "change of path"]))
        if take in ("restart", "change of path"):
            saved = batched if take == "restart" else single
            batched = MicroBatch.from_json(saved.to_json(), {"tester"})
        expected = [row for one in batch for row in single.add(one)]
        got = batched.add(table(batch)) if take == "arrow" else batched.add_events(batch)
        assert plain(got.to_pylist()) == plain(expected)
        assert batched.to_json() == single.to_json()
    assert plain(batched.flush().to_pylist()) == plain(single.flush())
    assert batched.to_json() == single.to_json()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(EVENTS, st.data())
def test_any_order_within_the_watermark_and_any_split_equals_all_at_once(events: list[dict[str, Any]], data: st.DataObject) -> None:
    events = [{**e, "event_id": str(n)} for n, e in enumerate(events) if e["session_id"]]
    # Delays below the lateness, and some events sent twice.
    sent = sorted(((e["timestamp"] + timedelta(minutes=data.draw(st.integers(0, 4))), n) for n, e in enumerate(events)), key=lambda pair: pair[0])
    arriving = [events[n] for _, n in sent for _ in range(data.draw(st.integers(1, 2)))]
    batched, rows = MicroBatch({"tester"}, **LENGTHS), []
    while arriving:
        size = data.draw(st.integers(1, len(arriving)))
        rows += batched.add(table(arriving[:size])).to_pylist()
        arriving = arriving[size:]
    rows += batched.flush().to_pylist()
    assert as_counter(rows) == oracle(events)
    totals: Counter[str] = Counter()
    for (*_, kind), number in oracle(events).items():
        totals[kind] += number
    assert batched.totals == dict(totals)
    assert batched.counts["late"] == 0


def test_a_session_goes_on_over_batches() -> None:
    stream = MicroBatch({"tester"}, **LENGTHS)
    assert stream.add(table([event(0, "s", "u", "view", None), event(0, "s", "tester", "view", None)])).num_rows == 0
    assert stream.add(table([event(7, "s", "v", "like", None)])).num_rows == 0
    rows = stream.add(table([event(9, "s", "v", "session_end", None), event(14, "x", "u", "view", None)])).to_pylist()
    assert [(r["session_id"], r["started_at"], r["ended_at"], r["closed_by"], r["event_type"], r["events"]) for r in sorted(rows, key=str)] == [
        ("s", NOON, NOON + timedelta(minutes=9), "end", "like", 1),
        ("s", NOON, NOON + timedelta(minutes=9), "end", "view", 1),
    ]  # fmt: skip
    assert stream.totals == {"like": 1, "view": 1}


@pytest.mark.parametrize(
    "times",
    [["2024-05-01T12:00:00Z", "2024-05-01T12:01:00Z"], ["2024-05-01T12:00:00", "2024-05-01T12:01:00"], ["2024-05-01T14:00:00+02:00", "2024-05-01T12:01:00"]],
    ids=["zone", "none", "mixed"],
)
def test_times_as_text_are_utc(times: list[str]) -> None:
    stream = MicroBatch()
    stream.add(pa.table({"session_id": [1, 1], "user_id": [5, 5], "event_type": ["like", "like"], "timestamp": times}))
    (row,) = stream.flush().to_pylist()
    assert (row["session_id"], row["started_at"], row["ended_at"], row["events"]) == ("1", NOON, NOON + timedelta(minutes=1), 2)


def test_a_batch_without_a_column_is_refused() -> None:
    with pytest.raises(ContractError, match="no column user_id"):
        MicroBatch().add(table([event(0, "s", "u", "view", None)]).drop_columns(["user_id"]))


def test_nothing_gives_nothing() -> None:
    stream = MicroBatch()
    assert stream.flush().schema == OUTPUT
    assert stream.add(table([])).num_rows == 0
    assert stream.counts["read"] == 0
