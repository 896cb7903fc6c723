"""Kept sessions: what an update restates by hand; and any batches in any order give what building anew gives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import session_oracle as oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_oracle import Event

from prodsense.behavior import EventTable, KeptSessions, sessions
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import NotBuiltError, UsageError

BASE = datetime(2024, 3, 1, 23, 30)
DAY = 1440
ENGINE = DuckDBEngine()


def table(log: Sequence[Event], device: bool = True, engine: Any = None) -> EventTable:
    engine = engine or ENGINE
    return EventTable.of(engine, oracle.stored(engine, log, BASE), "u", "t", "e", device="d" if device else None)


def at(user: str, *minutes: float, device: str | None = "p", name: str = "view") -> list[Event]:
    return [Event(user, device, minute, name, "ios", minute) for minute in minutes]


def minutes(moment: datetime) -> float:
    return (moment - BASE) / timedelta(minutes=1)


def told(kept: KeptSessions) -> list[tuple[Any, ...]]:
    assert kept.restated is not None
    return [
        (r["change"], r["user_id"], minutes(r["session_start"]), minutes(r["session_end"]), r["events"])
        for r in kept.restated.rows
    ]


def contents(engine: Any, schema: str) -> dict[str, Any]:
    return {
        name.split(".")[1]: sorted(map(str, engine.query(f"SELECT * FROM {name}").to_pylist()))
        for name in engine.relations(schema)
    }


def test_late_events_restate_what_they_touch() -> None:
    log = [*at("a", 0, 20, 60, 80, 1000), *at("a", 60, device="q"), *at("b", 0, 20), *at("b", 3 * DAY)]
    kept = KeptSessions.build(table(log), "k")
    assert kept.restated is None
    ids = {(r["user_id"], r["device_id"], minutes(r["session_start"])): r["session_id"] for r in kept.sessions().rows}
    assert len(ids) == 6

    kept = kept.update(table(log))
    assert told(kept) == []
    # One between the first two sessions of a's phone joins them; the second loses its start, and so its id.
    late = [*log, *at("a", 40)]
    kept = kept.update(table(late))
    assert told(kept) == [("changed", "a", 0, 80, 5), ("removed", "a", 60, 80, 2)]
    assert kept.restated is not None and kept.restated.extras == {"added": 0, "changed": 1, "removed": 1}
    again = {(r["user_id"], r["device_id"], minutes(r["session_start"])): r["session_id"] for r in kept.sessions().rows}
    assert again == {key: value for key, value in ids.items() if key != ("a", "p", 60)}
    # An earlier event moves the start of b's first session, on the day before; another is new.
    later = [*late, *at("b", -25), *at("c", 5)]
    kept = kept.update(table(later))
    assert told(kept) == [("added", "b", -25, 20, 3), ("removed", "b", 0, 20, 2), ("added", "c", 5, 5, 1)]
    # Events that are gone take their sessions with them.
    kept = kept.update(table([e for e in later if e.user != "b"]))
    assert [change[:2] for change in told(kept)] == [("removed", "b"), ("removed", "b")]
    assert KeptSessions.open(ENGINE, "k").sessions().rows == sessions(table([e for e in later if e.user != "b"])).rows
    assert not [name for name in ENGINE.relations("k") if "stage" in name]


def test_background_across_the_days_that_are_read() -> None:
    # A session crosses midnight (minute 30); what ends it lies on the day before the late event.
    log = [*at("a", 0), *at("a", 26, name="app_background"), *at("a", 29)]
    kept = KeptSessions.build(table(log), "k")
    kept = kept.update(table([*log, *at("a", 31)]), days=["2024-03-02"])
    assert told(kept) == [("changed", "a", 0, 31, 4)]
    gone = [*at("a", 0), *at("a", 26, name="app_background"), *at("a", 31)]
    kept = kept.update(table(gone))
    assert told(kept) == [("changed", "a", 0, 26, 2), ("added", "a", 31, 31, 1)]


def test_only_the_days_named_are_compared() -> None:
    log = [*at("a", 0), *at("a", 2 * DAY)]
    kept = KeptSessions.build(table(log), "k")
    more = [*log, *at("b", 0), *at("b", 2 * DAY), *at("b", 4 * DAY)]
    kept = kept.update(table(more), days=["2024-03-03"])
    assert told(kept) == [("added", "b", 2 * DAY, 2 * DAY, 1)]
    kept = kept.update(table(more), since="2024-03-04")
    assert told(kept) == [("added", "b", 4 * DAY, 4 * DAY, 1)]
    kept = kept.update(table(more))
    assert told(kept) == [("added", "b", 0, 0, 1)]
    assert kept.sessions().rows == sessions(table(more)).rows


def test_a_clock_found_to_be_off_restates_its_device() -> None:
    slow = [Event("a", "p", t - 600, "view", "ios", t) for t in (0, 10, 2000)]
    kept = KeptSessions.build(table(slow[:1]), "k", received="r")
    assert [minutes(r["session_start"]) for r in kept.sessions().rows] == [-600]  # one event says nothing of a clock
    kept = kept.update(table(slow))
    assert told(kept) == [("removed", "a", -600, -600, 1), ("added", "a", 0, 10, 2), ("added", "a", 2000, 2000, 1)]
    assert kept.sessions().extras["clocks_off"] == 1
    # One that came at once: the clock is right, and the others were sent late.
    kept = kept.update(table([*slow, Event("a", "p", 5000, "view", "ios", 5000)]))
    assert kept.sessions().extras["clocks_off"] == 0
    assert [minutes(r["session_start"]) for r in kept.sessions().rows] == [-600, 1400, 5000]
    assert kept.newest == BASE + timedelta(minutes=5000)


def test_a_late_event_beside_a_device_whose_clock_is_off() -> None:
    slow = [Event("a", "tablet", t - 3 * DAY, "view", "ios", t) for t in (5, 100)]
    slow += [Event("a", "tablet", 15 - 3 * DAY, "view", "ios", 5 * DAY)]  # sent late, too
    log = [*slow, *at("a", 0, 20, device="phone")]
    kept = KeptSessions.build(table(log), "k", received="r", devices="joined")
    assert [(minutes(r["session_start"]), r["events"]) for r in kept.sessions().rows] == [(0, 4), (100, 1)]
    kept = kept.update(table([*log, *at("a", 24, device="phone")]))
    assert told(kept) == [("changed", "a", 0, 24, 5)]


def test_open_sessions_and_as_of() -> None:
    kept = KeptSessions.build(table([*at("a", 0), *at("b", 20), *at("c", 20, name="app_background")]), "k")
    assert [r["is_open"] for r in kept.sessions().rows] == [True, True, True]
    later = kept.sessions(as_of=BASE + timedelta(minutes=30))
    assert [(r["user_id"], r["is_open"]) for r in later.rows] == [("a", False), ("b", True), ("c", False)]
    assert later.extras["open"] == 1
    with pytest.raises(UsageError, match="to look from before"):
        kept.sessions(as_of=BASE)


def test_what_is_refused() -> None:
    with pytest.raises(NotBuiltError, match="no sessions kept in nowhere"):
        KeptSessions.open(ENGINE, "nowhere")
    kept = KeptSessions.build(table(at("a", 0)), "k", platform="p")
    with pytest.raises(UsageError, match="made with a column of the device"):
        kept.update(table(at("a", 0), device=False))
    other = EventTable.read([{"u": "a", "d": "p", "t": BASE, "e": "view"}], "u", "t", "e", device="d")
    with other, pytest.raises(UsageError, match="in another engine"):
        kept.update(other)
    with pytest.raises(UsageError, match="no column p"):
        kept.update(_without_platform())
    with pytest.raises(UsageError, match="no time zone"):
        KeptSessions.build(table(at("a", 0)), "k", tz="Mars/Base")
    assert contents(ENGINE, "k")["sessions"]  # a refused build leaves what was there
    assert KeptSessions.build(table([]), "empty").update(table(at("a", 0))).sessions().extras["sessions"] == 1
    with pytest.raises(UsageError, match="hold no events"):
        KeptSessions.build(table([]), "empty").sessions()


def _without_platform() -> EventTable:
    ENGINE.replace("t.bare", "SELECT u, d, t, e FROM t.log")
    return EventTable.of(ENGINE, "t.bare", "u", "t", "e", device="d")


EVENT = st.builds(
    lambda user, device, day, minute, name, platform, off, wait: Event(
        user, device, float(day * DAY + minute + off), name, platform, None if wait is None else day * DAY + minute + wait
    ),
    st.sampled_from(["a", "a", "b", None]), st.sampled_from(["p", "q", None]), st.integers(0, 2), st.integers(0, 120),
    st.sampled_from(["view", "app_background"]), st.sampled_from(["ios", "web", None]),
    st.sampled_from([0, 0, 0, -300, 300]), st.sampled_from([0.0, 0.0, 0.5, 90.0, None]),
)  # fmt: skip
BATCH = st.tuples(st.lists(EVENT, max_size=6), st.integers(0, 2))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=st.lists(EVENT, max_size=12), batches=st.lists(BATCH, min_size=1, max_size=3),
    devices=st.sampled_from(["", "apart", "together", "joined"]), received=st.booleans(),
)
def test_any_batches_give_what_building_anew_gives(
    first: list[Event], batches: list[Any], devices: str, received: bool
) -> None:
    rules: dict[str, Any] = {"devices": devices, "platform": "p", "received": "r" if received else ""}
    log = list(first)
    device = bool(devices)
    kept = KeptSessions.build(table(log, device), "kept", tz="Europe/Berlin", **rules)
    for new, gone in batches:
        before = set(contents(ENGINE, "kept")["sessions"])
        log = [*log[gone:], *new]
        kept = kept.update(table(log, device))
        anew = KeptSessions.build(table(log, device), "anew", tz="Europe/Berlin", **rules)
        assert contents(ENGINE, "kept") == contents(ENGINE, "anew")
        after = set(contents(ENGINE, "kept")["sessions"])
        assert kept.restated is not None
        counts = kept.restated.extras
        assert counts["added"] + counts["changed"] == len(after - before)
        assert counts["removed"] + counts["changed"] == len(before - after)
        if after:
            straight = sessions(table(log, device), tz="Europe/Berlin", **rules)
            assert anew.sessions().rows == straight.rows
            assert {**anew.sessions().extras, "form": ""} == {**straight.extras, "form": ""}
            right = oracle.settled(log, device)[0] if received else log
            found = oracle.sessions(right, devices or "together")
            assert sorted((r["user_id"], minutes(r["session_start"]), minutes(r["session_end"])) for r in straight.rows) == sorted(
                (run[0].user, run[0].at, run[-1].at) for run in found
            )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(ENGINE, "render", lambda sql: said.append(render(sql, dialect)) or render(sql))
    for devices in ("apart", "joined"):
        kept = KeptSessions.build(table(at("a", 0)), "k", devices=devices, received="r", platform="p")
        kept.update(table(at("a", 0, 20)), days=["2024-03-01"]).sessions()
    assert len(said) > 30
