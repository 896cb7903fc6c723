"""Clocks that are off, bursts from offline, times in the future: by hand, and any log against plain Python."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import session_oracle as oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_oracle import Event

from prodsense.behavior import EventTable, sessions
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BASE = datetime(2024, 3, 1, 12)
ENGINE = DuckDBEngine()


def table(log: list[Event], device: bool = True) -> EventTable:
    return EventTable.of(ENGINE, oracle.stored(ENGINE, log, BASE), "u", "t", "e", device="d" if device else None)


def starts(log: list[Event], device: bool = True, **options: Any) -> tuple[list[Any], dict[str, Any]]:
    """(user, start, end, events) of each session, times in minutes after the base; and the extras."""
    answer = sessions(table(log, device), received="r", **options)

    def minutes(moment: datetime) -> float:
        return (moment - BASE) / timedelta(minutes=1)

    return [(r["user_id"], minutes(r["session_start"]), minutes(r["session_end"]), r["events"]) for r in answer.rows], {
        **answer.extras, "notes": answer.notes, "as_of": minutes(answer.as_of)  # type: ignore[arg-type]
    }


def online(user: str, device: str, times: list[float], off: float = 0, wait: float = 0.05) -> list[Event]:
    """Events at true `times` of a clock that is `off` minutes, received at once."""
    return [Event(user, device, t + off, "view", None, t + wait) for t in times]


def test_a_clock_that_is_behind_or_ahead_is_shifted() -> None:
    right = online("a", "phone", [0, 10, 20])
    slow = online("a", "tablet", [5, 15, 25], off=-120)
    fast = online("a", "watch", [8, 18, 28], off=180)
    found, extras = starts([*right, *slow, *fast], devices="together")
    assert found == [("a", 0, 28.05, 9)]  # the offset holds the way over the network: 3 seconds
    assert (extras["clocks_off"], extras["shifted"], extras["set_to_receipt"]) == (2, 6, 0)
    assert "2 clocks were off: 6 events shifted" in extras["notes"]
    assert extras["as_of"] == 28.05  # not three hours later
    plain = sessions(table([*right, *slow, *fast]), devices="together")
    assert len(plain.rows) == 3
    assert "clocks_off" not in plain.extras


def test_a_burst_from_offline_keeps_its_times() -> None:
    # Online until 10, then offline: six events of two sessions arrive at once at 400.
    burst = [Event("a", "p", t, "view", None, 400) for t in (60, 65, 70, 200, 205, 210)]
    found, extras = starts([*online("a", "p", [0, 10]), *burst])
    assert found == [("a", 0, 10, 2), ("a", 60, 70, 3), ("a", 200, 210, 3)]
    assert (extras["clocks_off"], extras["shifted"], extras["set_to_receipt"]) == (0, 0, 0)
    # A device of which nothing but the burst is known is not taken for one whose clock is off either;
    only = [Event("b", "q", t, "view", None, 400) for t in (60, 65, 70)]
    assert starts(only)[0] == [("b", 60, 70, 3)]
    # nor one whose burst takes a while to be sent: ten times as fast as it happened.
    slow = [Event("b", "q", t, "view", None, 400 + t / 10) for t in range(60, 120)]
    assert starts(slow)[0] == [("b", 60, 119, 60)]


def test_a_burst_of_a_clock_that_is_off_is_shifted_as_a_whole() -> None:
    log = [*online("a", "p", [0, 10, 20], off=-120), *[Event("a", "p", t - 120, "view", None, 400) for t in (60, 65)]]
    found, extras = starts(log)
    assert [(f[1], f[3]) for f in found] == [(0.05, 3), (60.05, 2)]
    assert extras["shifted"] == 5


def test_a_time_in_the_future_becomes_the_receipt() -> None:
    log = [*online("a", "p", [0, 10]), Event("a", "p", 500_000, "view", None, 15), Event("a", "p", 21, "view", None, 20)]
    found, extras = starts(log)
    assert found == [("a", 0, 21, 4)]  # 15 is the receipt; 21 is within a minute of its own
    assert (extras["clocks_off"], extras["set_to_receipt"]) == (0, 1)
    assert extras["notes"][-1] == "1 event from the future took the time of receipt"
    assert starts(log, tolerance=0.5)[1]["set_to_receipt"] == 2
    # One event says nothing of a clock, but it cannot be in the future.
    assert starts([Event("a", "p", 90, "view", None, 3)])[0] == [("a", 3, 3, 1)]


def test_the_edge_of_the_tolerance() -> None:
    log = [Event("a", "p", t - 1, "view", None, t) for t in (10, 20, 30)]  # a delay of exactly a minute is right
    assert starts(log)[1]["clocks_off"] == 0
    log = [Event("a", "p", t - 1.5, "view", None, t) for t in (10, 20, 30)]
    assert starts(log)[0] == [("a", 10, 30, 3)]
    # Receipts over exactly a minute are not steady yet.
    log = [Event("a", "p", t - 60, "view", None, t) for t in (10, 10.5, 11)]
    assert starts(log)[1]["clocks_off"] == 0
    log = [Event("a", "p", t - 60, "view", None, t) for t in (10, 10.5, 11.1)]
    assert starts(log)[1]["clocks_off"] == 1


def test_events_without_a_receipt_go_with_their_device() -> None:
    log = [*online("a", "p", [0, 10, 20], off=-120, wait=0), Event("a", "p", -95, "view"), Event("b", "p", 500, "view")]
    found, extras = starts(log)
    assert found == [("a", 0, 25, 4), ("b", 500, 500, 1)]
    assert extras["shifted"] == 4


def test_users_and_devices_have_their_own_clocks() -> None:
    log = [*online("a", None, [0, 10, 20], off=-120, wait=0), *online("b", None, [0, 10, 20], wait=0)]  # type: ignore[arg-type]
    assert starts(log)[0] == [("a", 0, 20, 3), ("b", 0, 20, 3)]
    # Without a device column the user's events share a clock; one that came at once says that it is right.
    mixed = [*online("a", "p", [0, 10, 20], off=-120, wait=0), *online("a", "q", [5], wait=0)]
    assert starts(mixed, device=False)[1]["clocks_off"] == 0
    assert starts(mixed)[1]["clocks_off"] == 1


def test_what_is_refused() -> None:
    events = table(online("a", "p", [0, 10]))
    with pytest.raises(UsageError, match="no column nosuch"):
        sessions(events, received="nosuch")
    with pytest.raises(UsageError, match="e is text and 'view' is no time"):
        sessions(events, received="e")
    with pytest.raises(UsageError, match="tolerance is minutes above 0"):
        sessions(events, received="r", tolerance=0)


LOG = st.lists(
    st.builds(
        lambda user, device, at, name, kind, wait: Event(
            user, device, at, name, None, None if kind == "none" else at + {"behind": 240, "ahead": -240, "on": 0}[kind] + wait
        ),
        st.sampled_from(["a", "b"]), st.sampled_from(["p", "q", None]), st.integers(0, 300).map(float),
        st.sampled_from(["view", "app_background"]), st.sampled_from(["on", "behind", "behind", "ahead", "ahead", "none"]),
        st.sampled_from([0.0, 0.25, 0.75, 1.0, 1.25, 2.0, 60.0]),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(log=LOG, device=st.booleans(), devices=st.sampled_from(["apart", "together", "joined"]))
def test_any_log_as_the_definition_reads(log: list[Event], device: bool, devices: str) -> None:
    mode = devices if device else "together"
    found, extras = starts(log, device, devices=mode)
    right, done = oracle.settled(log, device)
    expected = [(r[0].user, r[0].at, r[-1].at, len(r)) for r in oracle.sessions(right, mode)]
    assert sorted(found) == sorted(expected)
    assert {name: extras[name] for name in done} == done


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(dialect: str) -> None:
    events = table(online("a", "p", [0, 10]))
    for devices in ("apart", "together", "joined"):
        answer = sessions(events, received="r", platform="p", devices=devices, tz="Europe/Berlin")
        assert render(answer.statements[0][0], dialect)
