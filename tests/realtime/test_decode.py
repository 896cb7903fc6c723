"""Lines decoded in one go are the same events as lines decoded one by one."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodsense.realtime.decode import Intake, _by_arrow, decode_lines, parse_lines
from prodsense.realtime.fixedbatch import FixedBatch
from prodsense.realtime.microbatch import MicroBatch

PLAIN = {"session_id": "s", "user_id": 7, "event_type": "view", "timestamp": "2024-05-01T12:00:00Z", "event_id": 1, "post_id": "p", "view_duration_seconds": 2}


def line(**changes: Any) -> bytes:
    return json.dumps({**PLAIN, **changes}).encode()


def states(events: Any) -> tuple[str, str]:
    sessions, posts = MicroBatch({"7"}), FixedBatch(2, {"7"})
    for buffer in (sessions, posts):
        buffer.add(events) if isinstance(events, pa.Table) else buffer.add_events(events)  # type: ignore[attr-defined]
    return sessions.to_json(), posts.to_json()


def agree(lines: list[bytes]) -> bool:
    """Whether the fast way took the lines; when it did, it has to mean the same."""
    table = _by_arrow(lines)
    events, intake = parse_lines(lines)
    if table is None:
        return False
    assert (Intake(table.num_rows), states(table)) == (intake, states(events))
    return True


def test_regular_lines_are_taken_in_one_go() -> None:
    lines = [line(event_id=n, user_id=n % 9, extra=[{"a": n}, None], view_duration_seconds=n / 3) for n in range(100)]
    assert agree([b"", *lines, b"  \n", line(user_id=None, post_id=None)[:-1] + b" }\r\n"])
    assert agree([line(timestamp=None), b"{}", line(timestamp="soon"), line(view_duration_seconds=-1), line(session_id="")])
    assert isinstance(decode_lines(lines)[0], pa.Table)


@pytest.mark.parametrize(
    "odd",
    [
        b"{", b"[1]", b"null", b"7", b"not json", b'{"session_id": "a"}{"session_id": "b"}', b'{"session_id": "a",\n"user_id": 1}',
        b'{"session_id": "\xff"}', b'{"session_id": "\\ud800"}', b'{"session_id": "a\x00"}', b"\xef\xbb\xbf{}", '{"session_id": "é"}'.encode("utf-16"),
        line(user_id="7"), line(user_id=7.0), line(user_id=True), line(user_id=2**70), line(user_id={"a": 1}), line(session_id=5), line(session_id=[1]),
        line(timestamp=5), line(view_duration_seconds="3"), line(view_duration_seconds=True), line(view_duration_seconds=float("nan")),
        b'{"user_id": -0}', b'{"user_id": 1e2}', b'{"user_id": 01}', b'{"user_id": 1, "user_id": 2}', b'{"session_id": "a}', b'{"a": {"b": 1}',
        line(session_id="d\u00e9j\u00e0 \U0001f600"), line(timestamp="20240501T120000"), line(timestamp="2024-05-01T12:00:00.123456789+02:00"),
        line(timestamp="2024-05-01 12:00"), line(timestamp="2024-05-01"), line(timestamp=" 2024-05-01"), line(timestamp="2024-05-01T24:00:00"), line(timestamp="0000-01-01"), line(timestamp="0001-01-01T00:00:00"), line(timestamp="9999-12-31T23:59:59.999999Z"), line(timestamp="10000-01-01"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", [0, 1])
def test_odd_lines_mean_the_same_or_are_left_to_the_slow_way(odd: bytes, around: int) -> None:
    agree([line()] * around + [odd] + [line(event_id=2)] * around)


def test_two_halves_and_two_in_one_line_are_no_objects() -> None:
    lines = [b'{"session_id": "a"', b"}", b'{"session_id": "b"}{"session_id": "c"}']
    assert not agree(lines)
    assert not agree([b'{"a": "x}', b'{"b": "y"}', b'{"c": 1}{"d": 2}'])


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(), st.text(max_size=4), st.just({"a": [1]}))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(PLAIN, VALUES)), min_size=1, max_size=5))
def test_any_objects(objects: list[dict[str, Any]]) -> None:
    agree([json.dumps(one).encode() for one in objects])
    agree([json.dumps({**PLAIN, **{k: v for k, v in one.items() if isinstance(v, type(PLAIN[k]))}}, ensure_ascii=False).encode("utf-8", "replace") for one in objects])
