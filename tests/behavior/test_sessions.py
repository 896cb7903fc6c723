"""Sessions by hand, against plain Python, and the kernel against the SQL."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsense.behavior import EventTable, sessions
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BASE = datetime(2024, 3, 1, 23, 40)
ENGINE = DuckDBEngine()


def table(rows: list[tuple[Any, ...]], device: bool = True, engine: Any = None) -> EventTable:
    dicts = [
        {"u": user, "d": phone, "t": None if minute is None else BASE + timedelta(minutes=minute), "e": event}
        for user, phone, minute, event in rows
    ]
    return EventTable.read(dicts, "u", "t", "e", device="d" if device else None, engine=engine)


LOG = [
    ("a", "p", 29.99, "view"), ("a", "p", 0, "open"),  # out of order; under 30 minutes, across midnight
    ("a", "p", 59.99, "open"),  # 30 minutes after the last: a session of its own
    ("a", "q", 10, "open"),  # another device
    ("b", None, 0, "open"), ("b", None, 1, "app_background"), ("b", None, 5.99, "view"),  # back within the grace
    ("b", None, 6.5, "app_background"), ("b", None, 11.5, "open"),  # 5 minutes: too late
    ("b", None, 11.5, "open"),  # a duplicate counts as it stands: ingest removes duplicates
    (None, "p", 0, "open"), ("c", "p", None, "open"),
]  # fmt: skip


def test_sessions_by_hand() -> None:
    with table(LOG) as events:
        answer = sessions(events)
        got = {
            (r["user_id"], r["device_id"], (r["session_start"] - BASE).total_seconds() / 60): (
                r["events"], round(r["seconds"] / 60, 2), r["first_event"], r["last_event"])
            for r in answer.rows
        }  # fmt: skip
        assert got == {
            ("a", "p", 0): (2, 29.99, "open", "view"), ("a", "p", 59.99): (1, 0, "open", "open"),
            ("a", "q", 10): (1, 0, "open", "open"), ("b", None, 0): (4, 6.5, "open", "app_background"),
            ("b", None, 11.5): (2, 0, "open", "open"),
        }  # fmt: skip
        assert {r["session_day"] for r in answer.rows} == {date(2024, 3, 1), date(2024, 3, 2)}
        assert sum(r["events"] for r in answer.rows) == 10
        assert answer.notes[0] == "2 rows without u or t left out"
        assert answer.extras["open"] == 1  # only the newest
        berlin = sessions(events, tz="Europe/Berlin")
        assert {r["session_day"] for r in berlin.rows} == {date(2024, 3, 2)}
        assert answer.chart().to_dict()
        assert sessions(events, background=None).extras["sessions"] == 4
        with pytest.raises(UsageError, match="minutes above 0"):
            sessions(events, gap=0)


def test_ids_stay_where_the_start_stays() -> None:
    with table(LOG) as events:
        before = {(r["user_id"], r["device_id"], r["session_start"]): r["session_id"] for r in sessions(events).rows}
    late = [*LOG, ("a", "p", 45, "view"), ("b", None, -3, "view")]  # joins two sessions of a; b begins earlier
    with table(late) as events:
        after = {(r["user_id"], r["device_id"], r["session_start"]): r["session_id"] for r in sessions(events).rows}
    assert len(set(before.values())) == len(before)
    same = before.keys() & after.keys()
    assert len(same) == 3
    assert all(before[key] == after[key] for key in same)
    assert len(after.keys() - before.keys()) == 1
    assert not {after[key] for key in after.keys() - before.keys()} & set(before.values())


def test_ids_tell_users_and_devices_apart() -> None:
    rows = [("a", "b|c", 0, "x"), ("a|b", "c", 0, "x"), ("a", None, 0, "x"), ("a", "", 0, "x"), ("a", "n", 0, "x")]
    with table(rows) as events:
        assert len({r["session_id"] for r in sessions(events).rows}) == 5


def naive(rows: list[tuple[Any, ...]], device: bool) -> list[tuple[Any, ...]]:
    """Sessions one event at a time."""
    subjects: dict[Any, list[Any]] = {}
    for user, phone, minute, event in rows:
        if user is not None and minute is not None:
            subjects.setdefault((user, phone if device else 0), []).append((minute, event == "app_background", event))
    found = []
    for subject, log in subjects.items():
        runs: list[list[Any]] = []
        for item in sorted(log):
            if runs:
                away = item[0] - runs[-1][-1][0]
                if away < 30 and not (runs[-1][-1][1] and away >= 5):
                    runs[-1].append(item)
                    continue
            runs.append([item])
        found += [(str(subject), r[0][0], r[-1][0], len(r), r[0][2], r[-1][2]) for r in runs]
    return sorted(found)


EVENTS = st.tuples(
    st.sampled_from(["a", "b", None]), st.sampled_from(["p", None]), st.one_of(st.none(), st.integers(0, 200)),
    st.sampled_from(["open", "view", "app_background"]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(log=st.lists(EVENTS, min_size=1, max_size=40), device=st.booleans())
def test_as_the_definition_reads_and_as_the_kernel_finds(log: list[Any], device: bool) -> None:
    log = [*log, ("z", "p", 0, "open")]
    with table(log, device, ENGINE) as events:
        answer = sessions(events)
        assert sessions(events, kernel=True).rows == answer.rows

    def minutes(moment: datetime) -> int:
        return round((moment - BASE).total_seconds() / 60)

    got = sorted(
        (str((r["user_id"], r["device_id"] if device else 0)), minutes(r["session_start"]), minutes(r["session_end"]),
         r["events"], r["first_event"], r["last_event"])
        for r in answer.rows
    )  # fmt: skip
    assert got == naive(log, device)


def test_without_an_event_column() -> None:
    rows = [{"u": 1, "t": BASE}, {"u": 1, "t": BASE + timedelta(minutes=10)}, {"u": 2, "t": BASE}]
    with EventTable.read(rows, "u", "t") as events:
        assert [r["events"] for r in sessions(events).rows] == [2, 1]
        assert sessions(events, kernel=True).rows == sessions(events).rows


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(dialect: str) -> None:
    with table(LOG) as events:
        assert render(sessions(events, tz="Europe/Berlin").statements[0][0], dialect)
