"""Sessions over devices and platforms, midnight and the change of clocks, what is still open: by hand and any log."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import session_oracle as oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_oracle import Event

from prodsense.behavior import EventTable, sessions
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BASE = datetime(2024, 3, 1, 12)
ENGINE = DuckDBEngine()


def table(log: list[Event], device: bool = True, base: datetime = BASE) -> EventTable:
    return EventTable.of(ENGINE, oracle.stored(ENGINE, log, base), "u", "t", "e", device="d" if device else None)


def minutes(moment: datetime) -> float:
    return (moment - BASE) / timedelta(minutes=1)


def at(device: str | None, *times: float, name: str = "view", platform: str | None = None, user: str = "a") -> list[Event]:
    return [Event(user, device, t, name, platform) for t in times]


#: A phone from 0 to 20, put away at 20; a tablet from 18 to 60 and again at 95; a laptop at 63, 4 minutes after nothing.
LOG = [
    *at("phone", 0, 10, platform="ios"), *at("phone", 20, name="app_background", platform="ios"),
    *at("tablet", 18, 40, 60, 95, platform="ios"), *at("laptop", 63, platform="web"), *at(None, 200),
]  # fmt: skip


def test_devices_apart_together_and_joined() -> None:
    events = table(LOG)
    apart = sessions(events, platform="p")
    assert [(r["device_id"], minutes(r["session_start"]), r["events"], r["platforms"]) for r in apart.rows] == [
        ("phone", 0, 3, 1), ("tablet", 18, 3, 1), ("laptop", 63, 1, 1), ("tablet", 95, 1, 1), (None, 200, 1, 0)
    ]  # fmt: skip
    assert "devices" not in apart.arrow.column_names
    # As one log: the phone goes away at 20, and 20 minutes until the next event are more than the grace.
    together = sessions(events, devices="together", platform="p")
    names = ("events", "devices", "platforms", "first_platform", "last_platform", "first_event", "last_event")
    assert [(minutes(r["session_start"]), *(r[n] for n in names)) for r in together.rows] == [
        (0, 4, 2, 1, "ios", "ios", "view", "app_background"), (40, 3, 2, 2, "ios", "web", "view", "view"),
        (95, 1, 1, 1, "ios", "ios", "view", "view"), (200, 1, 0, 0, None, None, "view", "view"),
    ]  # fmt: skip
    # Joined: the tablet goes on when the phone is away; the laptop follows within 5 minutes, 95 does not.
    joined = sessions(events, devices="joined", platform="p")
    names = ("device_sessions", *names)
    assert [(minutes(r["session_start"]), minutes(r["session_end"]), *(r[n] for n in names)) for r in joined.rows] == [
        (0, 63, 3, 7, 3, 2, "ios", "web", "view", "view"), (95, 95, 1, 1, 1, 1, "ios", "ios", "view", "view"),
        (200, 200, 1, 1, 0, 0, None, None, "view", "view"),
    ]  # fmt: skip
    assert joined.units["devices"] == "count"
    # Exactly `join` after the end is too late; a longer one reaches 95.
    assert [r["device_sessions"] for r in sessions(events, devices="joined", join=3).rows] == [2, 1, 1, 1]
    assert [r["device_sessions"] for r in sessions(events, devices="joined", join=33).rows] == [4, 1]
    # One user's sessions with all devices have the ids of the user's, whether a device is named or not.
    plain = {r["session_start"]: r["session_id"] for r in sessions(table(LOG, device=False)).rows}
    assert plain == {r["session_start"]: r["session_id"] for r in together.rows}


def test_a_device_inside_another_is_joined_once() -> None:
    log = [*at("p", 0, 25, 50), *at("q", 10, 12), *at("r", 54), *at("p", 0, user="b")]
    joined = sessions(table(log), devices="joined")
    assert [(r["user_id"], minutes(r["session_end"]), r["device_sessions"], r["events"]) for r in joined.rows] == [
        ("a", 54, 3, 6), ("b", 0, 1, 1)
    ]  # fmt: skip


def test_ties_do_not_hang_on_the_order_of_rows() -> None:
    log = [
        *at("p", 5, name="app_background", platform="web"), *at("p", 5, platform="ios"), *at("q", 5, platform="tv"),
        *at("p", 5, platform="ios"), *at("p", 9, platform=None), *at(None, 5, platform="car"),
    ]  # fmt: skip
    for devices in ("apart", "together", "joined"):
        answers = [sessions(table(rows), devices=devices, platform="p").rows for rows in (log, log[::-1], log[3:] + log[:3])]
        assert answers[0] == answers[1] == answers[2]
        expected = [
            (r[0].platform, r[-1].platform, r[0].name, r[-1].name) for r in sorted(oracle.sessions(log, devices), key=str)
        ]
        got = [(r["first_platform"], r["last_platform"], r["first_event"], r["last_event"]) for r in answers[0]]
        assert sorted(got, key=str) == sorted(expected, key=str)


def test_a_session_crosses_midnight_and_the_change_to_summer_time() -> None:
    # In Berlin 2024-03-31 has no 2:00 to 3:00: 00:50 UTC is 1:50, 01:10 UTC is 3:10, twenty minutes later.
    log = [*at("p", 0, 20), *at("p", -140, -120)]
    answer = sessions(table(log, base=datetime(2024, 3, 31, 0, 50)), tz="Europe/Berlin")
    assert [(r["session_start"], r["seconds"], r["session_day"], r["events"]) for r in answer.rows] == [
        (datetime(2024, 3, 30, 22, 30), 1200, date(2024, 3, 30), 2),  # 23:30 to 23:50
        (datetime(2024, 3, 31, 0, 50), 1200, date(2024, 3, 31), 2),
    ]  # fmt: skip
    # In autumn an hour comes twice: 0:30 and 1:15 UTC are 2:30 and 2:15 there, and 45 minutes apart.
    autumn = sessions(table(at("p", 0, 45), base=datetime(2024, 10, 27, 0, 30)), tz="Europe/Berlin")
    assert [r["seconds"] for r in autumn.rows] == [0, 0]
    night = sessions(table(at("p", 0, 25), base=datetime(2024, 3, 1, 22, 50)), tz="Europe/Berlin")
    assert [(r["session_day"], r["events"]) for r in night.rows] == [(date(2024, 3, 1), 2)]  # 23:50 to 0:15


def test_what_may_still_go_on() -> None:
    log = [*at("p", 0), *at("q", 20), *at("q", 24, name="app_background"), *at("r", 25, user="b")]
    events = table(log)

    def still(after: float, **options: Any) -> list[tuple[str, bool]]:
        rows = sessions(events, as_of=BASE + timedelta(minutes=after), **options).rows
        return [(r["user_id"], r["is_open"]) for r in rows]

    assert still(25) == [("a", True), ("a", True), ("b", True)]
    assert still(29) == [("a", True), ("a", False), ("b", True)]  # 5 minutes after it went away
    assert still(30) == [("a", False), ("a", False), ("b", True)]
    assert still(54.99)[2] == ("b", True)
    assert still(55)[2] == ("b", False)
    assert still(10) == [("a", True)]  # as of then, the rest is not known
    # Joined: while one of its devices may go on, or another may come within `join` of its end.
    near = {"devices": "joined", "join": 10.0}
    assert still(25, **near) == [("a", True), ("a", True), ("b", True)]
    assert still(32, **near) == [("a", False), ("a", True), ("b", True)]
    assert still(34, **near) == [("a", False), ("a", False), ("b", True)]
    # A grace longer than the gap gives nothing: the gap ends it.
    assert still(54, grace=60)[1] == ("a", False)
    assert still(53.9, grace=60)[1] == ("a", True)


def test_what_is_refused() -> None:
    events = table(LOG)
    for options, words in [
        ({"devices": "some"}, "apart, together or joined, not 'some'"), ({"join": 5}, "ask for devices joined"),
        ({"devices": "joined", "join": 0}, "join is minutes above 0"), ({"platform": "nosuch"}, "no column nosuch"),
        ({"grace": float("nan")}, "minutes above 0"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=words):
            sessions(events, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="name the device column"):
        sessions(table(LOG, device=False), devices="joined")


EVENT = st.builds(
    lambda *values: Event(*values), st.sampled_from(["a", "b", None]), st.sampled_from(["p", "q", "r", None]),
    st.one_of(st.none(), st.integers(0, 200).map(float)), st.sampled_from(["view", "app_background"]),
    st.sampled_from(["ios", "web", None]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    log=st.lists(EVENT, min_size=1, max_size=30), devices=st.sampled_from(["apart", "together", "joined", "joined"]),
    join=st.sampled_from([None, 1.0, 20.0, 45.0]),
)
def test_any_log_as_the_definition_reads(log: list[Event], devices: str, join: float | None) -> None:
    log = [*log, *at("p", 0, user="z")]
    options = {"join": join} if devices == "joined" else {}
    answer = sessions(table(log), devices=devices, platform="p", **options)  # type: ignore[arg-type]
    expected = [oracle.facts(run, devices) for run in oracle.sessions(log, devices, **options)]  # type: ignore[arg-type]
    got = [
        {name: minutes(row[name]) if name in ("session_start", "session_end") else row[name] for name in expected[0]}
        for row in answer.rows
    ]
    assert sorted(got, key=str) == sorted(expected, key=str)
    assert len({row["session_id"] for row in answer.rows}) == len(answer)
