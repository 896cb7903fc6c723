"""Time spent by feature: by hand, and any log against plain Python."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
import session_oracle as oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_oracle import Event

from prodsense.behavior import EventTable, feature_time
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError

BASE = datetime(2024, 3, 1, 23)
ENGINE = DuckDBEngine()


def table(log: list[Event], device: bool = True) -> EventTable:
    return EventTable.of(ENGINE, oracle.stored(ENGINE, log, BASE), "u", "t", "e", device="d" if device else None)


def at(user: str, minute: float, feature: str | None, name: str = "view", device: str = "p", platform: str = "ios") -> Event:
    return Event(user, device, minute, name, platform, None, feature)


#: a: feed 0 to 10 (10 minutes), chat 10 to 12 (2), away from 12 until 16 (0), feed from 16, the last (0); then after a
#: gap feed at 60 (0). b: chat 55 to 84.5 across midnight (29.5), the last is without a feature.
LOG = [
    at("a", 10, "chat"), at("a", 0, "feed"), at("a", 12, None, "app_background"), at("a", 16, "feed"), at("a", 60, "feed"),
    at("b", 55, "chat", platform="web"), at("b", 84.5, None, platform="web"),
]  # fmt: skip


def test_time_by_hand() -> None:
    answer = feature_time(table(LOG), "f")
    names = ("feature", "users", "sessions", "events", "seconds", "seconds_per_user")
    assert [tuple(row[n] for n in names) for row in answer.rows] == [
        ("chat", 2, 2, 2, 60 * 31.5, 60 * 15.75), ("feed", 1, 2, 3, 600, 600), (None, 2, 2, 2, 0, 0),
    ]  # fmt: skip
    assert [row["share"] for row in answer.rows] == pytest.approx([31.5 / 41.5, 10 / 41.5, 0])
    assert answer.chart().to_dict()
    assert '"feature": null' in answer.to_json()
    # The last event of a session for a minute each: feed twice, the nameless one of b; not what went away.
    longer = {row["feature"]: row["seconds"] for row in feature_time(table(LOG), "f", last=60).rows}
    assert longer == {"chat": 60 * 31.5, "feed": 720, None: 60}


def test_time_by_day_and_dimension() -> None:
    answer = feature_time(table(LOG), "f", grain="day", by="p")
    assert [(r["period"], r["p"], r["feature"], r["seconds"], r["share"]) for r in answer.rows if r["seconds"]] == [
        (date(2024, 3, 1), "ios", "feed", 600, 600 / 720), (date(2024, 3, 1), "ios", "chat", 120, 120 / 720),
        (date(2024, 3, 1), "web", "chat", 60 * 29.5, 1),
    ]  # fmt: skip
    assert answer.incomplete == (date(2024, 3, 2),)
    with pytest.raises(UsageError, match="too much for one picture"):
        answer.chart()
    assert feature_time(table(LOG), "f", by="p").chart().to_dict()
    days = feature_time(table(LOG), "f", grain="day")
    assert days.chart().to_dict()
    # Nothing was spent in the second day's group: no share of nothing.
    assert {r["share"] for r in days.rows if r["period"] == date(2024, 3, 2)} == {None}
    berlin = feature_time(table(LOG), "f", grain="week", tz="Europe/Berlin")
    assert {r["period"] for r in berlin.rows} == {date(2024, 2, 26)}
    assert {r["period"] for r in feature_time(table(LOG), "f", grain="day", tz="Europe/Berlin").rows} == {date(2024, 3, 2)}


def test_devices_spend_apart_or_as_one_log() -> None:
    log = [at("a", 0, "film"), at("a", 20, "film"), at("a", 5, "chat", device="q"), at("a", 15, "chat", device="q")]
    apart = {r["feature"]: r["seconds"] for r in feature_time(table(log), "f").rows}
    assert apart == {"film": 1200, "chat": 600}
    together = {r["feature"]: r["seconds"] for r in feature_time(table(log), "f", devices="together").rows}
    assert together == {"film": 300, "chat": 900}


def test_clocks_are_set_right_first() -> None:
    log = [Event("a", "p", t - 600, "view", None, t, "feed") for t in (0, 10, 20)]
    log += [Event("a", "q", 5, "view", None, 5, "chat")]
    answer = feature_time(table(log), "f", received="r", devices="together")
    assert {r["feature"]: r["seconds"] for r in answer.rows} == {"feed": 900, "chat": 300}
    assert answer.extras["shifted"] == 3


def test_what_is_refused() -> None:
    events = table(LOG)
    for options, words in [
        ({"devices": "joined"}, "apart or together"), ({"last": -1}, "from 0 to less than the gap"),
        ({"last": 1800}, "from 0 to less than the gap"), ({"grain": "hour"}, "no periods of grain"),
        ({"by": ["p", "p"]}, "has that column already"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=words):
            feature_time(events, "f", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no column nosuch"):
        feature_time(events, "nosuch")
    with pytest.raises(UsageError, match="nothing to answer from"):
        feature_time(table([]), "f")


EVENT = st.builds(
    Event, st.sampled_from(["a", "b", None]), st.sampled_from(["p", "q", None]),
    st.one_of(st.none(), st.integers(0, 150).map(float)), st.sampled_from(["view", "app_background"]), st.none(), st.none(),
    st.sampled_from(["feed", "chat", None]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(log=st.lists(EVENT, min_size=1, max_size=25), device=st.booleans(), last=st.sampled_from([0, 30]))
def test_any_log_as_the_definition_reads(log: list[Event], device: bool, last: int) -> None:
    log = [*log, at("z", 0, "chat")]
    answer = feature_time(table(log, device), "f", last=last)
    # Of one moment the feature orders too.
    log = sorted(log, key=lambda e: (e.feature is None, e.feature or ""))
    expected: dict[Any, float] = oracle.feature_time(log, "apart" if device else "together", last / 60)
    got = {r["feature"]: r["seconds"] for r in answer.rows}
    assert got == pytest.approx({name: 60 * minutes for name, minutes in expected.items()})
    spent = sum(expected.values())
    assert sum(r["share"] or 0 for r in answer.rows) == pytest.approx(1 if spent else 0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(dialect: str) -> None:
    answer = feature_time(table(LOG), "f", by="p", grain="week", tz="Europe/Berlin", received="r")
    assert render(answer.statements[0][0], dialect)
