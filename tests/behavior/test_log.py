"""The sorted log: what it holds, and that keeping it up equals building it anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.behavior import EventTable, funnel, kernels, log, sessions
from prodsense.behavior.log import EventLog
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import NotBuiltError, UnsupportedError, UsageError

START = datetime(2024, 5, 1)
ENGINE = DuckDBEngine()

Rows = Sequence[tuple[Any, float, Any]]


def table(rows: Rows, relation: str = "log_test.events", kind: pa.DataType | None = None) -> EventTable:
    """Events (user, hours after the start, name)."""
    data = pa.table({
        "u": pa.array([u for u, _, _ in rows], kind or pa.string()),
        "t": pa.array([START + timedelta(hours=h) for _, h, _ in rows], pa.timestamp("us")),
        "e": pa.array([e for _, _, e in rows], pa.string()),
    })
    with ENGINE.temporary(data) as fresh:
        ENGINE.replace(relation, f"SELECT * FROM {fresh}")
    return EventTable.of(ENGINE, relation, "u", "t", "e")


def read(found: EventLog) -> list[tuple[Any, float, Any]]:
    """What a log says, in its order within each user; users by name, since their numbers may differ."""
    users = found.users.to_pylist()
    by_user: dict[Any, list[tuple[Any, float, Any]]] = {}
    for user, moment, code in zip(found.user.tolist(), found.moment.tolist(), found.code.tolist(), strict=True):
        hours = (moment - log.micros(START)) / 3.6e9
        by_user.setdefault(users[user], []).append((users[user], hours, found.names[code]))
    return [row for user in sorted(by_user) for row in by_user[user]]


def expected(rows: Rows) -> list[tuple[Any, float, Any]]:
    return sorted((r for r in rows if r[0] is not None), key=lambda r: (r[0], r[1], r[2] is None, (r[2] or "").encode()))


ROWS = [("b", 1, "view"), ("a", 5, "é"), ("a", 5, None), ("a", 5, "z"), (None, 2, "view"), ("a", 2, "cart"), ("b", 1, "cart")]


def test_a_log_is_sorted_by_user_moment_and_the_bytes_of_the_name() -> None:
    found = EventLog.build(table(ROWS))
    assert read(found) == [
        ("a", 2, "cart"), ("a", 5, "z"), ("a", 5, "é"), ("a", 5, None), ("b", 1, "cart"), ("b", 1, "view")
    ]  # fmt: skip
    assert found.names == ("cart", "view", "z", "é", None)
    assert (found.user.dtype, found.moment.dtype, found.code.dtype) == (np.int32, np.int64, np.uint8)
    assert found.ties.tolist() == [2, 3, 5]
    assert read(found.until(START + timedelta(hours=2))) == [("a", 2, "cart"), ("b", 1, "cart"), ("b", 1, "view")]
    assert found.code_of("z") == 2 and found.code_of("nothing") == -1


@pytest.mark.parametrize("kind", [pa.int64(), pa.decimal128(12, 2), pa.date32()])
def test_users_are_kept_as_they_are_stored(kind: pa.DataType) -> None:
    users = [date(2024, 1, 2), date(2024, 1, 1)] if kind == pa.date32() else [7, -3]
    found = EventLog.build(table([(users[0], 1, "x"), (users[1], 0, "x")], kind=kind))
    assert found.users.to_pylist() == sorted(users)
    assert found.user.tolist() == [0, 1]


def test_many_names_take_two_bytes_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    events = table([("a", i, f"e{i}") for i in range(300)])
    found = EventLog.build(events)
    assert found.code.dtype == np.uint16 and read(found) == expected([("a", i, f"e{i}") for i in range(300)])
    monkeypatch.setattr(log, "MOST_NAMES", 299)
    with pytest.raises(UnsupportedError, match="tells 299 names of events apart, these are 300"):
        EventLog.build(events)
    assert funnel(events.answered_by("kernel"), ["e1", "e2"], within="1d").extras["form"] == "sql"


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from([0, 1, 1, 23.5, 24, 25, 47, 48, 49, 100, 240]),
              st.sampled_from(["p", "q", "r", "ß", None])), max_size=20,
)  # fmt: skip


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(kernels, "COMPILED_FROM", 0 if request.param == "numba" else 10**12)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=EVENTS, late=EVENTS, gone=st.sets(st.integers(0, 19)))
def test_an_update_equals_a_rebuild(form: None, before: list[Any], late: list[Any], gone: set[int]) -> None:
    first = [("a", 0, "p"), *before]
    built = EventLog.build(table(first))
    assert read(built) == expected(first)
    after = [("a", 0, "p"), *(row for i, row in enumerate(before) if i not in gone), *late]
    events = table(after)
    rebuilt = EventLog.build(events)
    days = {int(h // 24) for rows in (late, [r for i, r in enumerate(before) if i in gone]) for _, h, _ in rows}
    named = [START.date() + timedelta(days=n) for n in days]
    ways = [built.update(events), built.update(events, since=START.date())]
    if named:
        ways += [built.update(events, days=named), built.update(events, since=min(named))]
        ways += [built.update(events, days=named[:1], since=min(named[1:] or named))]
    for updated in ways:
        assert read(updated) == read(rebuilt) == expected(after)
        assert updated.prints == rebuilt.prints
        assert updated.ties.tolist() == sorted(updated.ties.tolist()) and len(updated.ties) == len(rebuilt.ties)
        assert updated.update(events) is updated
    assert [d for d in built.changed(events) if d not in named] == []


def test_a_kept_log_is_opened_as_it_was_and_replaced_whole(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="no event log in"):
        EventLog.open(tmp_path / "none")
    events = table(ROWS)
    kept = EventLog.build(events).save(tmp_path / "log")
    again = EventLog.open(tmp_path / "log")
    assert read(kept) == read(again) == expected(ROWS)
    assert again.prints == kept.prints and isinstance(again.moment.base, np.memmap | memoryview | np.ndarray)
    more = [*ROWS, ("c", 30, "pay")]
    again.update(table(more)).save(tmp_path / "log")
    assert read(EventLog.open(tmp_path / "log")) == expected(more)
    assert len([p for p in (tmp_path / "log").iterdir() if p.is_dir()]) == 1
    assert read(again) == expected(ROWS)  # who reads the old one goes on


def test_a_log_that_is_behind_is_refused_or_left_aside(tmp_path: Path) -> None:
    events = table(ROWS)
    kept = EventLog.build(events).save(tmp_path / "log")
    attached = kept.attach(events)
    assert sessions(attached).extras["form"] == "kernel (numpy)"
    assert funnel(attached, ["cart", "view"], within="1d").extras["form"] == "kernel (numpy)"
    changed = table([*ROWS, ("c", 30, "pay")])
    found = sessions(attached, as_of="2024-05-03")
    assert found.extras == sessions(changed, as_of="2024-05-03").extras
    assert (found.extras["form"], found.extras["sessions"]) == ("sql", 4)
    assert found.notes[-1] == "the log of log_test.events is behind its table, so SQL answered: log.update(events)"
    with pytest.raises(UsageError, match="is behind: events of 1 days changed since, the first 2024-05-02"):
        kept.attach(changed)
    # The same number of events, another name: the prints tell.
    swapped = table([*ROWS[:-1], ("b", 1, "pay")])
    assert kept.changed(swapped) == [START.date()]
    assert sessions(kept.update(swapped).attach(swapped)).extras["form"] == "kernel (numpy)"
    with pytest.raises(UsageError, match="log was made with where '', these events have 'e <> 1'"):
        kept.attach(EventTable.of(ENGINE, "log_test.events", "u", "t", "e", where="e <> 1"))


def test_a_log_of_another_relation_is_refused() -> None:
    built = EventLog.build(table(ROWS))
    with pytest.raises(UsageError, match=r"made with relation .* these events have 'log_test.second'"):
        built.attach(table(ROWS, "log_test.second"))


def test_days_that_were_not_named_are_noticed() -> None:
    built = EventLog.build(table(ROWS))
    events = table([*ROWS, ("c", 30, "pay"), ("c", 60, "pay")])
    with pytest.raises(UsageError, match="has 8 events, the log after this update 7: other days changed too"):
        built.update(events, days=["2024-05-02"])
    assert len(built.update(events, since="2024-05-02")) == 8


def test_data_in_memory_is_sorted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "WORTHWHILE", 3)
    rows = [{"u": 1, "t": START + timedelta(minutes=i), "e": "ab"[i % 2]} for i in range(5)]
    with EventTable.read(rows, "u", "t", "e") as events:
        assert funnel(events, ["a", "b"], within="1m", as_of="2024-05-02").extras["form"] == "kernel (numpy)"
        made = events.log
        assert made is not None and not made.prints
        assert sessions(events).extras["form"] == "kernel (numpy)" and events.log is made
        assert sessions(events.answered_by("sql")).extras["form"] == "sql"
        with pytest.raises(UsageError, match="no form of answering named 'fast'"):
            events.answered_by("fast")
