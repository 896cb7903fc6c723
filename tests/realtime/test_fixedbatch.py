"""Fixed-size buffers by micro-batch, against a plain reading of the rules and against the per-event path."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.engines import open_engine
from prodsense.errors import ContractError, ProdsenseError, UsageError
from prodsense.realtime.buffers import FixedBuffer
from prodsense.realtime.checkpoint import FixedStream, Stream
from prodsense.realtime.fixedbatch import FIXED_FIELDS, FixedBatch


def event(user: Any, kind: Any, post: Any, seconds: Any, identity: Any) -> dict[str, Any]:
    return dict(zip(FIXED_FIELDS, (user, kind, post, seconds, identity), strict=True))


def table(events: list[dict[str, Any]]) -> pa.Table:
    types = [pa.string(), pa.string(), pa.string(), pa.float64(), pa.string()]
    return pa.table({name: pa.array([e[name] for e in events], kind) for name, kind in zip(FIXED_FIELDS, types, strict=True)})


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["u", "v", "tester", None, ""]),
        st.sampled_from(["view", "like", "share"]),
        st.sampled_from(["p", "q", None]),
        st.sampled_from([None, 0.0, 0.1, 2.5, 1e9, -1.0, float("inf")]),
        st.one_of(st.none(), st.integers(0, 9).map(str)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(1, 8), st.integers(0, 6), st.data())
def test_any_split_equals_the_per_event_path(events: list[dict[str, Any]], size: int, remember: int, data: st.DataObject) -> None:
    single = FixedBuffer(size, {"tester"}, remember=remember)
    batched = FixedBatch(size, {"tester"}, remember=remember)
    rest = list(events)
    while rest:
        batch, rest = rest[: (n := data.draw(st.integers(1, len(rest))))], rest[n:]
        take = data.draw(st.sampled_from(["arrow", "events", "restart", "change of path"]))
        if take in ("restart", "change of path"):
            batched = FixedBatch.from_json((batched if take == "restart" else single).to_json(), {"tester"})
        for one in batch:
            single.add(one)
        batched.add(table(batch)) if take == "arrow" else batched.add_events(batch)
        assert batched.to_json() == single.to_json()
    single.flush()
    batched.flush()
    assert batched.to_json() == single.to_json()


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.integers(1, 50), st.integers(1, 50))
def test_what_leaves_the_buffer_is_the_whole_stream_for_any_size_and_split(events: list[dict[str, Any]], size: int, step: int) -> None:
    events = [{**e, "event_id": str(n)} for n, e in enumerate(events)]
    wanted: Counter[tuple[str, str]] = Counter()
    seconds: Counter[tuple[str, str]] = Counter()
    for e in events + events:  # all sent twice
        if e["event_type"] == "view" and e["view_duration_seconds"] in (-1.0, float("inf")):
            continue
        if e["user_id"] in ("u", "v") and e["post_id"]:
            wanted[e["post_id"], e["event_type"]] += 1
            if e["event_type"] == "view":
                seconds[e["post_id"], "view"] += e["view_duration_seconds"] or 0.0
    batched = FixedBatch(size, {"tester"})
    sent = events + events
    rows = [row for at in range(0, len(sent), step) for row in batched.add(table(sent[at : at + step])).to_pylist()]
    rows += batched.flush().to_pylist()
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found[row["post_id"], row["event_type"]] += row["events"]
        assert (row["view_seconds"] is None) == (row["event_type"] != "view")
    assert {key: 2 * number for key, number in found.items()} == wanted
    assert batched.totals["engagements"] == sum(n for (_, kind), n in found.items() if kind != "view")
    assert batched.totals["view_seconds"] == pytest.approx(sum(seconds.values()) / 2)
    assert sum(row["view_seconds"] or 0 for row in rows) == pytest.approx(sum(seconds.values()) / 2)


@pytest.mark.parametrize("kind", [pa.int32(), pa.float32(), pa.decimal128(12, 1)])
def test_lengths_of_any_number_type(kind: pa.DataType) -> None:
    batch = FixedBatch(1)
    column = pa.array([2, None, 3], pa.int32()).cast(kind)
    batch.add(pa.table({"user_id": [1, 1, 1], "event_type": ["view"] * 3, "post_id": [1, 1, 1], "view_duration_seconds": column}))
    (row,) = batch.flush().to_pylist()
    assert batch.totals == {"engagements": 0, "view_seconds": 5}
    assert row == {"post_id": "1", "event_type": "view", "events": 1, "view_seconds": 3.0}


def test_lengths_as_text_and_no_lengths() -> None:
    batch = FixedBatch(1)
    rows = {"user_id": [1, 1], "event_type": ["view", "like"], "post_id": [1, 1]}
    batch.add(pa.table({**rows, "view_duration_seconds": ["3", "3"]}))
    assert (batch.counts["ignored"], len(batch)) == (1, 1)
    batch.add(pa.table(rows))
    batch.flush()
    assert batch.totals == {"engagements": 2, "view_seconds": 0}


def test_nothing_and_the_wrong_columns() -> None:
    batch = FixedBatch(3)
    assert batch.flush().num_rows == batch.add(table([])).num_rows == batch.add_events([]).num_rows == 0
    with pytest.raises(ContractError, match="no column post_id"):
        batch.add(table([]).drop_columns(["post_id"]))
    with pytest.raises(ContractError, match="another version"):
        FixedBatch.from_json("{}")


def test_a_fixed_stream_goes_on_after_any_failed_commit() -> None:
    events = [event(f"u{n % 3}", ("view", "like")[n % 2], f"p{n % 2}", float(n), str(n)) for n in range(30)]
    engine = open_engine(":memory:", threads=1)
    for at in range(0, 30, 10):
        stream = FixedStream(engine, "posts", "shop.posts", {"u0"}, size=7)
        with pytest.raises(ZeroDivisionError), engine.transaction():
            stream.push(events[at : at + 10], at + 10)
            raise ZeroDivisionError  # what the commit wrote is taken back
        stream = FixedStream(engine, "posts", "shop.posts", {"u0"}, size=7)
        assert stream.position == (at or None)
        stream.push(events[at : at + 10], at + 10)
        assert (stream.position, stream.waiting) == (at + 10, {"events": 7})
    stream.flush()
    likes = sum(n % 2 == 1 and n % 3 != 0 for n in range(30))
    seconds = sum(n for n in range(30) if n % 2 == 0 and n % 3 != 0)
    assert stream.totals == {"engagements": likes, "view_seconds": seconds}
    sums = "SELECT SUM(CASE WHEN event_type <> 'view' THEN events END) AS likes, SUM(view_seconds) AS seconds, MAX(seq) AS seq FROM shop.posts"
    assert engine.query(sums).to_pylist() == [{"likes": likes, "seconds": seconds, "seq": 4}]


def test_other_settings_and_other_tables_are_refused() -> None:
    engine = open_engine(":memory:", threads=1)
    FixedStream(engine, "posts", "shop.posts", size=7).push([], 1)
    Stream(engine, "clicks", "shop.sessions").push([], 1)
    with pytest.raises(UsageError, match="with a buffer of 7 that remembers 10000 ids"):
        FixedStream(engine, "posts", "shop.posts", size=8)
    with pytest.raises(UsageError, match="begun with sessions"):
        FixedStream(engine, "clicks", "shop.sessions", size=8)
    with pytest.raises(UsageError, match="begun with a fixed-size buffer"):
        Stream(engine, "posts", "shop.posts")
    with pytest.raises(ProdsenseError, match="no column closed_by"):
        Stream(engine, "other", "shop.posts")
