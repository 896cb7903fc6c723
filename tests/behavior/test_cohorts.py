"""Cohorts on a log that can be read at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from prodsense.behavior import EventTable, cohort, cohorts, read_cohort
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError

LOG = [
    ("ann", "open", "2024-01-01 10:00", "Berlin"), ("ann", "buy", "2024-01-01 11:00", "Berlin"),
    ("ann", "buy", "2024-01-03 09:00", "Berlin"),
    ("bob", "buy", "2024-01-02 08:00", "Paris"), ("bob", "buy", "2024-01-02 20:00", "Paris"),
    ("cem", "open", "2024-01-01 23:30", "Berlin"), ("cem", "buy", "2024-01-20 12:00", "Berlin"),
    ("dee", "open", "2024-01-05 12:00", None),
]  # fmt: skip


@pytest.fixture
def events() -> Iterator[EventTable]:
    rows = [{"who": u, "what": e, "at": datetime.fromisoformat(t), "city": c} for u, e, t, c in LOG]
    with EventTable.read(rows, "who", "at", "what") as table:
        yield table


def who(found: object) -> list[str]:
    return [row["user_id"] for row in found.users().rows]  # type: ignore[attr-defined]


def test_by_event_count_days_and_attribute(events: EventTable) -> None:
    assert who(cohort(events, "all")) == ["ann", "bob", "cem", "dee"]
    assert who(cohort(events, "buyers", event="buy")) == ["ann", "bob", "cem"]
    assert who(cohort(events, "twice", event="buy", at_least=2)) == ["ann", "bob"]
    # Bob bought twice, but on one day.
    assert who(cohort(events, "two days", event="buy", on_days=2)) == ["ann"]
    assert who(cohort(events, "Berlin", where="city = 'Berlin'")) == ["ann", "cem"]
    assert len(cohort(events, "twice", event="buy", at_least=2)) == 2
    assert len(cohort(events, "nobody", event="sell")) == 0


def test_within_days_counts_from_the_first_event_of_any_kind(events: EventTable) -> None:
    # Cem opened on the 1st and bought on the 20th; Ann within the hour; Bob's first event is a purchase.
    assert who(cohort(events, "fast", event="buy", within_days=1)) == ["ann", "bob"]
    assert who(cohort(events, "slow", event="buy", within_days=19)) == ["ann", "bob", "cem"]
    assert who(cohort(events, "too slow", event="buy", within_days=18)) == ["ann", "bob"]


def test_windows_are_days_of_the_zone(events: EventTable) -> None:
    assert who(cohort(events, "second", since="2024-01-02", until="2024-01-03")) == ["bob"]
    # 23:30 in UTC is half past midnight of the next day in Berlin.
    assert who(cohort(events, "second", since="2024-01-02", until="2024-01-03", tz="Europe/Berlin")) == ["bob", "cem"]


def test_sets_of_cohorts(events: EventTable) -> None:
    buyers, berlin = cohort(events, "buyers", event="buy", at_least=2), cohort(events, "b", where="city = 'Berlin'")
    assert who(buyers & berlin) == ["ann"]
    assert who(buyers | berlin) == ["ann", "bob", "cem"]
    assert who(buyers - berlin) == ["bob"]
    assert who((cohort(events, "all") - buyers) - berlin) == ["dee"]
    assert len(buyers & cohort(events, "once", event="open", since="2024-01-05")) == 0


def test_what_cannot_be_is_refused(events: EventTable) -> None:
    for wrong in ({"at_least": 0}, {"on_days": 0}, {"within_days": 0}):
        with pytest.raises(UsageError):
            cohort(events, "wrong", **wrong)  # type: ignore[arg-type]
    with EventTable.read([{"who": 1, "at": datetime(2024, 1, 1)}], "who", "at") as other:
        with pytest.raises(UsageError, match="different warehouses"):
            cohort(events, "a") & cohort(other, "b")
        with pytest.raises(UsageError, match="name the event column"):
            cohort(other, "b", event="buy")


def test_size_and_overlap(events: EventTable) -> None:
    buyers, berlin = cohort(events, "buyers", event="buy"), cohort(events, "Berlin", where="city = 'Berlin'")
    answer = cohorts(events, [buyers, berlin, cohort(events, "nobody", event="sell")])
    both = {(row["cohort"], row["other"]): row["users"] for row in answer.rows}
    # Ann, Bob and Cem buy; Ann and Cem are from Berlin; Dee does neither.
    assert both["(everyone)", "(everyone)"] == 4 and both["(everyone)", "buyers"] == both["buyers", "buyers"] == 3
    assert both["buyers", "Berlin"] == both["Berlin", "buyers"] == both["Berlin", "Berlin"] == 2
    share = {(row["cohort"], row["other"]): row["share"] for row in answer.rows}
    assert share["buyers", "Berlin"] == 2 / 3 and share["Berlin", "buyers"] == 1
    assert share["nobody", "buyers"] is None and answer.notes == ("nobody is in nobody",)
    assert answer.extras["sizes"] == {"buyers": 3, "Berlin": 2, "nobody": 0}
    assert answer.chart() is not None and cohorts(events, buyers).chart() is not None
    # As of an earlier moment Dee has not come yet.
    assert cohorts(events, buyers, as_of="2024-01-04").extras["everyone"] == 3
    for wrong, message in (([], "1 to 20 cohorts"), ([buyers, buyers], "share a name")):
        with pytest.raises(UsageError, match=message):
            cohorts(events, wrong)


def test_a_cohort_does_not_see_what_comes_later(events: EventTable) -> None:
    from prodsense.behavior import retention

    # Ann buys again on the 3rd; until then only Bob has bought twice.
    twice, fast = cohort(events, "twice", event="buy", at_least=2), cohort(events, "fast", event="buy", within_days=1)
    assert who(twice.as_of(datetime(2024, 1, 3))) == ["bob"]
    assert who((twice & fast).as_of(datetime(2024, 1, 3))) == ["bob"] and who(twice & fast) == ["ann", "bob"]
    assert cohorts(events, twice, as_of="2024-01-02").extras["sizes"] == {"twice": 1}
    rows = retention(events, by=twice, days=0, grain="all", as_of="2024-01-02").rows
    assert {row["twice"]: row["size"] for row in rows} == {"in": 1, "not in": 2}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_said_in_every_dialect(events: EventTable, dialect: str) -> None:
    one, other = cohort(events, "a", event="buy", on_days=2, within_days=7), cohort(events, "b", where="city = 'x'")
    for sql, _ in (*cohorts(events, [one, other, (one - other).named("c")]).statements, *(one | other).users().statements):
        assert render(sql, dialect)


def test_a_rule_as_text_is_the_rule_in_code(events: EventTable) -> None:
    for text, options in [
        ("twice: event=buy, at_least=2", {"event": "buy", "at_least": 2}),
        ("fast:event = buy,within_days=1", {"event": "buy", "within_days": 1}),
        ("second: since=2024-01-02, until=2024-01-03", {"since": "2024-01-02", "until": "2024-01-03"}),
        ("some: event=buy, where=city IN ('Berlin', 'Paris')", {"event": "buy", "where": "city IN ('Berlin', 'Paris')"}),
        ("early: where=at < '2024-01-02 00:00:00'", {"where": "at < '2024-01-02 00:00:00'"}),
    ]:  # fmt: skip
        read = read_cohort(events, text)
        assert read.name == text.split(":")[0]
        assert who(read) == who(cohort(events, "same", **options)) != []  # type: ignore[arg-type]


def test_a_method_takes_what_gives_events(events: EventTable) -> None:
    from prodsense.behavior import active_users, funnel, lifecycle, paths, retention, sessions, survival

    def later() -> EventTable:
        return events

    assert who(cohort(later, "all")) == ["ann", "bob", "cem", "dee"]
    assert retention(later, days=0).rows == retention(events, days=0).rows
    assert lifecycle(later).rows == lifecycle(events).rows
    assert sessions(later).rows == sessions(events).rows
    assert active_users(later).rows == active_users(events).rows
    assert paths(later).rows == paths(events).rows
    assert survival(later, "buy").rows == survival(events, "buy").rows
    assert funnel(later, ["open", "buy"], within="1d").rows == funnel(events, ["open", "buy"], within="1d").rows
