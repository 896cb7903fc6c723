"""Buffers, one event at a time. Expected values are worked out by hand from the events above them."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from prodsense.errors import ContractError, UsageError
from prodsense.realtime.buffers import (
    FixedBuffer,
    SessionBuffer,
    flush_fixed_buffer,
    process_event,
    process_fixed_buffer_stream,
)

NOON = datetime(2024, 5, 1, 12)


def event(session: Any, user: Any, kind: Any, **more: Any) -> dict[str, Any]:
    return {"session_id": session, "user_id": user, "event_type": kind, **more}


def at(minutes: float, session: Any, user: Any, kind: Any, **more: Any) -> dict[str, Any]:
    return event(session, user, kind, timestamp=NOON + timedelta(minutes=minutes), **more)


# --- process_event


def test_all_types_count_when_the_session_ends_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    buffer: dict[Any, Any] = {}
    totals: dict[str, int] = {}
    for one in [event("s", 1, "view"), event("s", 1, "like"), event("s", 2, "view"), event("t", 1, "save")]:
        assert process_event(one, buffer, totals, set()) is None
    assert totals == {}
    assert buffer == {"s": {1: ["view", "like"], 2: ["view"]}, "t": {1: ["save"]}}
    process_event(event("s", 1, "session_end"), buffer, totals, set())
    assert totals == {"view": 2, "like": 1}
    assert buffer == {"t": {1: ["save"]}}
    assert capsys.readouterr().out == ""


def test_a_session_is_ended_by_a_user_without_events_too() -> None:
    buffer: dict[Any, Any] = {"s": {1: ["view"]}}
    totals: dict[str, int] = {}
    process_event(event("s", 99, "session_end"), buffer, totals, set())
    assert (totals, buffer) == ({"view": 1}, {})


def test_test_users_are_left_out_user_by_user() -> None:
    buffer: dict[Any, Any] = {"s": {1: ["view"], 7: ["view", "like"]}}
    totals = {"view": 5}
    process_event(event("s", 7, "session_end"), buffer, totals, {7})
    assert totals == {"view": 6}


@pytest.mark.parametrize(
    "useless",
    [{}, None, event(None, 1, "like"), event("s", None, "like"), event("s", 1, None), event("", 1, "like"), {"session_id": "s"}],
)
def test_events_without_an_id_are_ignored(useless: Any) -> None:
    buffer: dict[Any, Any] = {}
    process_event(useless, buffer, {}, set())
    assert buffer == {}


def test_user_0_is_a_user() -> None:
    buffer: dict[Any, Any] = {}
    process_event(event("s", 0, "like"), buffer, {}, set())
    assert buffer == {"s": {0: ["like"]}}


def test_the_end_of_an_unknown_session_does_nothing() -> None:
    buffer: dict[Any, Any] = {"s": {1: ["view"]}}
    totals: dict[str, int] = {}
    process_event(event("other", 1, "session_end"), buffer, totals, set())
    assert (buffer, totals) == ({"s": {1: ["view"]}}, {})


def test_repeated_events_count_once_where_ids_are_remembered() -> None:
    buffer: dict[Any, Any] = {}
    totals: dict[str, int] = {}
    seen: set[Any] = set()
    for one in [event("s", 1, "like", event_id=5)] * 2 + [event("s", 1, "like"), event("s", 1, "session_end", event_id=6)]:
        process_event(one, buffer, totals, set(), seen=seen)
    assert (totals, seen) == ({"like": 2}, {5, 6})


# --- fixed buffer


def item(user: Any, kind: str, seconds: Any = None, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "event_type": kind, "post_id": 1, "view_duration_seconds": seconds, **more}


STREAM = [item(1, "view", 2.5), item(9, "view", 100.0), item(1, "like"), item(2, "view"), item(9, "share"), item(2, "save"), item(3, "view", 4)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_stream_and_flush_count_the_whole_stream_for_any_size(size: int) -> None:
    buffer: list[Any] = []
    engagement, seconds = [0], [0.0]
    for position, one in enumerate(STREAM):
        process_fixed_buffer_stream(one, buffer, size, engagement, seconds, {9})
        assert len(buffer) == min(size, position + 1)
        assert buffer[-1] == {"data": one, "is_test": one["user_id"] == 9}
    flush_fixed_buffer(buffer, engagement, seconds, {9})
    assert (engagement, seconds, buffer) == ([2], [6.5], [])
    flush_fixed_buffer(buffer, engagement, seconds, {9})
    assert (engagement, seconds) == ([2], [6.5])


def test_the_oldest_is_displaced_and_counted() -> None:
    buffer: Any = deque()
    engagement, seconds = [0], [0.0]
    for one in STREAM[:3]:
        process_fixed_buffer_stream(one, buffer, 2, engagement, seconds, {9})
    assert (engagement, seconds) == ([0], [2.5])
    process_fixed_buffer_stream(STREAM[3], buffer, 2, engagement, seconds, {9})  # displaces the test user's view
    assert (engagement, seconds) == ([0], [2.5])
    assert [one["data"]["event_type"] for one in buffer] == ["like", "view"]


@pytest.mark.parametrize("useless", [{}, None, item(None, "like"), {"user_id": 1, "event_type": "like"}, {"user_id": 1, "post_id": 1}])
def test_useless_items_displace_nothing(useless: Any) -> None:
    buffer = [{"data": item(1, "like"), "is_test": False}]
    engagement, seconds = [0], [0.0]
    process_fixed_buffer_stream(useless, buffer, 1, engagement, seconds, set())
    process_fixed_buffer_stream(item(1, "like"), buffer, 0, engagement, seconds, set())
    assert (len(buffer), engagement) == (1, [0])


@pytest.mark.parametrize("wrong", ["3", float("nan"), -1, True])
def test_a_view_without_a_proper_duration_is_refused_before_anything_changes(wrong: Any) -> None:
    buffer = [{"data": item(1, "like"), "is_test": False}]
    engagement = [0]
    with pytest.raises(ContractError, match="view_duration_seconds should be a number"):
        process_fixed_buffer_stream(item(1, "view", wrong), buffer, 1, engagement, [0.0], set())
    assert (len(buffer), engagement) == (1, [0])


def test_a_fixed_buffer_goes_on_after_a_restart() -> None:
    whole = FixedBuffer(3, {9})
    for position, one in enumerate(STREAM):
        whole.add(one)
        if position == 4:
            whole = FixedBuffer.from_json(whole.to_json(), {9})
    assert (whole.totals, len(whole)) == ({"engagements": 1, "view_seconds": 2.5}, 3)
    whole.flush()
    assert (whole.totals, len(whole)) == ({"engagements": 2, "view_seconds": 6.5}, 0)
    assert whole.state.counts == {"read": 7, "ignored": 0, "duplicate": 0, "test": 2}


def test_a_fixed_buffer_counts_what_it_leaves_out() -> None:
    whole = FixedBuffer(1, {9}, remember=2)
    for one in [
        item(1, "like", event_id=1), item(1, "like", event_id=1),  # sent twice
        item(9, "view", 5, event_id=2), item(1, "like", event_id=3),
        item(1, "like", event_id=1),  # two others since: no longer known
        item(1, "view", "3"), item(None, "like"), None,
        item(1, "view", None), item(1, "like", "no length is looked at"), item(2, "view", Decimal("1.5")),
    ]:  # fmt: skip
        whole.add(one)
    whole.flush()
    assert whole.totals == {"engagements": 4, "view_seconds": 1.5}
    assert whole.state.counts == {"read": 11, "ignored": 3, "duplicate": 1, "test": 1}


def test_test_users_are_known_as_text_too() -> None:
    whole = FixedBuffer(1, ["9"])
    whole.add(item(9, "like"))
    whole.flush()
    assert whole.totals == {"engagements": 0, "view_seconds": 0}


@pytest.mark.parametrize(("size", "remember"), [(0, 1), (-1, 1), (1, -1)])
def test_senseless_sizes_are_refused(size: int, remember: int) -> None:
    with pytest.raises(UsageError, match="or more"):
        FixedBuffer(size, remember=remember)


# --- sessions over event time


def sessions(**options: Any) -> SessionBuffer:
    return SessionBuffer({"tester"}, **options)


def short(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (r["session_id"], (r["started_at"] - NOON).total_seconds() / 60, (r["ended_at"] - NOON).total_seconds() / 60, r["closed_by"], r["event_type"], r["events"])
        for r in rows
    ]  # fmt: skip


def test_a_session_counts_when_the_watermark_passes_its_end() -> None:
    stream = sessions()
    for one in [at(0, "s", "u", "view"), at(1, "s", "tester", "like"), at(2, "s", "v", "session_end"), at(7, "x", "u", "view")]:
        assert stream.add(one) == []
    # 7:01 less five minutes of lateness is past the end at 2:00
    assert short(stream.add(at(7.01, "x", "u", "like"))) == [("s", 0, 2, "end", "view", 1)]
    assert stream.totals == {"view": 1}


def test_events_out_of_order_count_in_order_of_time() -> None:
    stream = sessions()
    stream.add(at(3, "s", "u", "session_end"))
    stream.add(at(1, "s", "u", "like"))
    stream.add(at(0, "s", "u", "view"))
    assert short(stream.flush()) == [("s", 0, 3, "end", "like", 1), ("s", 0, 3, "end", "view", 1)]


def test_a_missing_end_is_closed_after_the_timeout_at_its_last_event() -> None:
    stream = sessions(lateness=timedelta(0))
    stream.add(at(0, "s", "u", "view"))
    stream.add(at(10, "s", "u", "like"))
    assert stream.add(at(39.9, "x", "u", "view")) == []
    assert short(stream.add(at(40, "x", "u", "view"))) == [("s", 0, 10, "timeout", "like", 1), ("s", 0, 10, "timeout", "view", 1)]


def test_what_comes_after_an_end_or_a_gap_is_a_new_session_of_that_id() -> None:
    stream, rows = sessions(), []
    for minute, kind in [(0, "view"), (1, "session_end"), (2, "like"), (32, "save"), (33, "session_end"), (34, "session_end")]:
        rows += stream.add(at(minute, "s", "u", kind))
    rows += stream.flush()
    assert sorted(short(rows)) == [("s", 0, 1, "end", "view", 1), ("s", 2, 2, "timeout", "like", 1), ("s", 32, 33, "end", "save", 1)]
    assert (stream.state.counts["end"], stream.state.counts["unmatched_end"]) == (2, 1)


def test_late_events_are_left_out_and_counted() -> None:
    stream = sessions()
    stream.add(at(10, "s", "u", "view"))
    stream.add(at(5, "s", "u", "like"))  # at the watermark: in time
    stream.add(at(4.9, "s", "u", "save"))
    stream.flush()
    assert stream.totals == {"view": 1, "like": 1}
    assert stream.state.counts["late"] == 1


def test_a_repeated_id_counts_once_within_lateness() -> None:
    stream = sessions()
    stream.add(at(0, "s", "u", "like", event_id=1))
    stream.add(at(0, "s", "u", "like", event_id=1))
    stream.add(at(4, "s", "u", "like", event_id=1))  # sent again with a new time
    stream.add(at(5, "s", "u", "like", event_id=2))
    stream.add(at(12, "s", "u", "view"))
    stream.add(at(0, "s", "u", "like", event_id=1))  # sent again much later: below the watermark
    stream.flush()
    assert stream.totals == {"like": 2, "view": 1}
    assert stream.state.counts == {"read": 6, "ignored": 0, "late": 1, "duplicate": 2, "test": 0, "end": 0, "unmatched_end": 0}


def test_ids_and_sessions_do_not_pile_up() -> None:
    stream = sessions()
    for minute in range(0, 600):
        stream.add(at(minute, f"s{minute}", "u", "like", event_id=minute))
    assert len(stream.state.open) <= 31
    assert len(stream.state.ids) <= 6
    assert len(stream.state.pending) <= 6


def test_times_are_read_as_utc() -> None:
    stream = sessions()
    for moment in ["2024-05-01T12:00:00Z", "2024-05-01T14:01:00+02:00", datetime(2024, 5, 1, 12, 2, tzinfo=UTC), "2024-05-01 12:03"]:
        stream.add(event("s", "u", "like", timestamp=moment))
    for moment in [None, "yesterday", 1714564800]:
        stream.add(event("s", "u", "like", timestamp=moment))
    assert short(stream.flush()) == [("s", 0, 3, "flush", "like", 4)]
    assert stream.state.counts["ignored"] == 3


def test_a_session_buffer_goes_on_after_a_restart_at_any_event() -> None:
    events = [at(m, s, u, k, event_id=i) for i, (m, s, u, k) in enumerate([(0, "s", "u", "view"), (3, "t", "tester", "like"), (1, "s", "v", "like"), (8, "s", "u", "session_end"), (50, "x", "u", "view"), (90, "x", "u", "save")])]
    whole = sessions()
    expected = [row for one in events for row in whole.add(one)] + whole.flush()
    assert sorted(short(expected)) == [("s", 0, 8, "end", "like", 1), ("s", 0, 8, "end", "view", 1), ("x", 50, 50, "timeout", "view", 1), ("x", 90, 90, "flush", "save", 1)]
    stream, rows = sessions(), []
    for one in events:
        stream = SessionBuffer.from_json(stream.to_json(), {"tester"})
        rows += stream.add(one)
    stream = SessionBuffer.from_json(stream.to_json(), {"tester"})
    assert rows + stream.flush() == expected
    assert stream.to_json() == whole.to_json()


def test_a_state_of_another_version_is_refused() -> None:
    state = json.loads(sessions().to_json())
    with pytest.raises(ContractError, match="another version"):
        SessionBuffer.from_json(json.dumps({**state, "version": 99}))


@pytest.mark.parametrize("wrong", [{"timeout": timedelta(0)}, {"lateness": timedelta(-1)}])
def test_senseless_lengths_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="should be"):
        sessions(**wrong)
