"""Periods beside earlier ones: retention, lifecycle and funnels, worked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest

from prodsense.behavior import EventTable, funnel, lifecycle, retention
from prodsense.errors import UsageError

#: (user, days on which active). 4 March 2024 is a Monday.
ACTIVE = {
    "a": ["2024-03-04", "2024-03-05"], "b": ["2024-03-05"],
    "c": ["2024-03-11", "2024-03-12"], "d": ["2024-03-12", "2024-03-13"], "e": ["2024-03-13"],
    "old": ["2023-03-06", "2023-03-07"],  # 52 weeks before the week of 4 March
}  # fmt: skip


@pytest.fixture
def events() -> Iterator[EventTable]:
    rows = [
        {"user": user, "at": datetime.fromisoformat(day), "event": "open", "plan": "x" if user in "abc" else "y"}
        for user, days in ACTIVE.items() for day in days
    ]  # fmt: skip
    with EventTable.read(rows, "user", "at", "event") as table:
        yield table


def compared(answer: Any, day: int) -> list[tuple[Any, ...]]:
    names = ("size", "retained", "size_previous", "rate_previous", "rate_delta")
    return [(row["cohort"], *(row[name] for name in names)) for row in answer.rows if row["day"] == day]


def test_a_cohort_beside_the_one_before(events: EventTable) -> None:
    answer = retention(events, days=1, grain="week", compare="previous", since="2024-03-04", as_of="2024-04-01")
    assert compared(answer, 1) == [
        (date(2024, 3, 4), 2, 1, None, None, None),
        (date(2024, 3, 11), 3, 2, 2, 0.5, pytest.approx(2 / 3 - 1 / 2)),
    ]
    # The same where the window of entry cuts the earlier cohort off.
    cut = retention(events, days=1, grain="week", compare="previous", since="2024-03-11", as_of="2024-04-01")
    assert compared(cut, 1) == compared(answer, 1)[1:]
    whole = retention(events, days=1, grain="week", compare="year", as_of="2024-04-01")
    assert compared(whole, 1)[1] == (date(2024, 3, 4), 2, 1, 1, 1.0, -0.5)
    assert "rate_delta" in str(answer)


def test_pooled_cohorts_beside_the_window_before(events: EventTable) -> None:
    options: dict[str, Any] = {"days": 1, "grain": "all", "as_of": "2024-04-01"}
    answer = retention(events, since="2024-03-11", until="2024-03-18", compare="previous", **options)
    assert compared(answer, 1) == [(None, 3, 2, 2, 0.5, pytest.approx(2 / 3 - 1 / 2))]
    assert len(answer.sql) == 4
    series = answer.chart().to_json()
    assert "the window before" in series and "now" in series
    # By a column each value beside itself; a value that is new has nothing beside it.
    sliced = retention(events, since="2024-03-11", until="2024-03-18", compare="previous", by="plan", **options)
    assert [(r["plan"], r["size"], r["size_previous"]) for r in sliced.rows if r["day"] == 1] == [
        ("x", 1, 2), ("y", 2, None),
    ]
    year = retention(events, since="2024-03-01", until="2024-03-11", compare="year", **options)
    assert compared(year, 1) == [(None, 2, 1, 1, 1.0, -0.5)]
    with pytest.raises(UsageError, match="needs the window to compare"):
        retention(events, compare="previous", **options)
    with pytest.raises(UsageError, match="no comparison named 'month'"):
        retention(events, compare="month", **options)


def test_a_period_of_the_lifecycle_beside_the_one_before(events: EventTable) -> None:
    rows = lifecycle(events, grain="week", compare="previous", as_of="2024-03-17").rows
    found = {row["period"]: row for row in rows}
    assert (found[date(2024, 3, 11)]["active"], found[date(2024, 3, 11)]["active_previous"]) == (3, 2)
    assert (found[date(2024, 3, 11)]["churned_previous"], found[date(2024, 3, 11)]["churned_delta"]) == (0, 2)
    assert rows[0]["active_previous"] is None and rows[0]["new_delta"] is None
    year = lifecycle(events, grain="week", compare="year", as_of="2024-03-17").rows
    assert {row["period"]: row["active_previous"] for row in year}[date(2024, 3, 4)] == 1
    plans = lifecycle(events, grain="week", by="plan", compare="previous", as_of="2024-03-17").rows
    assert [(r["active"], r["active_previous"]) for r in plans if r["plan"] == "x"] == [(2, None), (1, 2)]
    with pytest.raises(UsageError, match="no comparison named"):
        lifecycle(events, compare="before")


def test_a_funnel_beside_a_year_before() -> None:
    log = [("a", "2024-03-04", "view"), ("a", "2024-03-05", "pay"), ("b", "2024-03-04", "view"),
           ("c", "2023-03-04", "view"), ("d", "2023-02-28", "view"), ("d", "2023-02-28", "pay")]  # fmt: skip
    rows = [{"u": u, "t": datetime.fromisoformat(t), "e": e} for u, t, e in log]
    with EventTable.read(rows, "u", "t", "e") as events:
        options: dict[str, Any] = {"within": "2d", "as_of": "2024-04-01", "compare": "year"}
        found = funnel(events, ["view", "pay"], since="2024-03-01", until="2024-03-10", **options)
        assert [(r["count"], r["count_previous"]) for r in found.rows] == [(2, 1), (1, 0)]
        assert found.rows[1]["of_first_delta"] == 0.5
        assert found.extras["previous_since"] == datetime(2023, 3, 1)
        # 29 February has no day a year before: the window begins on the 28th.
        leap = funnel(events, ["view", "pay"], since="2024-02-29", until="2024-03-10", **options)
        assert [r["count_previous"] for r in leap.rows] == [2, 1]
        assert "a year before" in found.chart().to_json()
