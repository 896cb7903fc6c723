"""Periods: boundaries, report zones with a change of clocks, empty periods, comparison, what is incomplete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_shop import Ask, load, put, scope

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.metrics import Request, Result, periods, run

Row = tuple[Any, ...]
EMPTY: dict[str, list[Row]] = {n: [] for n in ("orders", "cities", "customers", "lines", "tickets", "stock")}


def order(number: int, at: datetime, customer: int | None = 1, status: str = "done", amount: float = 50.0) -> Row:
    return (number, customer, None, None, at, at.date(), status, amount, None)


@pytest.fixture(scope="module")
def scratch() -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine()
    load(engine, EMPTY)
    yield engine
    engine.close()


@pytest.fixture
def small(scratch: DuckDBEngine) -> Any:
    """Ask metrics of the orders given."""

    def ask(orders: list[Row], metrics: str | list[str] = "orders", **options: Any) -> Result:
        put(scratch, orders)
        return run(scratch, Request(metrics, **options), scope(scratch.columns))

    return ask


# -- the calendar ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "week", "month", "quarter", "year"),
    [
        ("2024-01-01", "2024-01-01", "2024-01-01", "2024-01-01", "2024-01-01"),
        ("2023-12-31", "2023-12-25", "2023-12-01", "2023-10-01", "2023-01-01"),
        ("2024-02-29", "2024-02-26", "2024-02-01", "2024-01-01", "2024-01-01"),
        ("2024-06-30", "2024-06-24", "2024-06-01", "2024-04-01", "2024-01-01"),
        ("2021-01-03", "2020-12-28", "2021-01-01", "2021-01-01", "2021-01-01"),
    ],
)
def test_starts(day: str, week: str, month: str, quarter: str, year: str) -> None:
    starts = [periods.start_of(date.fromisoformat(day), g).isoformat() for g in ("week", "month", "quarter", "year")]
    assert starts == [week, month, quarter, year]


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.sampled_from(["day", "week", "month", "quarter", "year"]))
def test_periods_tile_the_calendar(day: date, grain: str) -> None:
    start = periods.start_of(day, grain)
    assert start <= day <= periods.last_day(start, grain)
    assert periods.start_of(periods.last_day(start, grain) + timedelta(days=1), grain) == periods.shift(start, grain, 1)
    assert periods.shift(periods.shift(start, grain, 7), grain, -7) == start
    assert len(periods.spine(start, periods.shift(start, grain, 5), grain)) == 6


def test_year_before() -> None:
    assert periods.year_before(date(2024, 1, 1), "week") == date(2023, 1, 2)
    assert periods.year_before(date(2024, 3, 1), "month") == date(2023, 3, 1)
    assert periods.year_before(date(2024, 2, 29), "day") is None


# -- report zones ----------------------------------------------------------------------------------


def test_days_of_a_zone_across_the_change_of_clocks(small: Any) -> None:
    """New York, 10 March 2024: a day of 23 hours. Each hour of five UTC days, counted by zoneinfo beside us."""
    start = datetime(2024, 3, 8)
    moments = [start + timedelta(hours=h) for h in range(24 * 5)]
    result = small([order(i, at) for i, at in enumerate(moments)], grain="day", tz="America/New_York")
    utc, there = ZoneInfo("UTC"), ZoneInfo("America/New_York")
    expected: dict[date, int] = {}
    for at in moments:
        local = at.replace(tzinfo=utc).astimezone(there).date()
        expected[local] = expected.get(local, 0) + 1
    assert {row["period"]: row["orders"] for row in result.rows} == expected
    assert expected[date(2024, 3, 10)] == 23


def test_since_and_until_are_midnights_of_the_zone(small: Any) -> None:
    """Berlin is one hour ahead on 30 March 2024 and two on 31 March."""
    moments = [datetime(2024, 3, 29, 22, 59), datetime(2024, 3, 29, 23, 0), datetime(2024, 3, 31, 21, 59),
               datetime(2024, 3, 31, 22, 0)]
    found = [order(i, at) for i, at in enumerate(moments)]
    inside = small(found, since="2024-03-30", until="2024-04-01", tz="Europe/Berlin")
    assert inside.rows == [{"orders": 2}]
    assert any("Europe/Berlin" in note for note in inside.notes)


def test_hours_are_those_of_the_zone(small: Any) -> None:
    found = small([order(1, datetime(2024, 7, 1, 23, 30))], by=["hour", "weekday"], tz="Asia/Kolkata")
    assert found.rows == [{"hour": 5, "weekday": 2, "orders": 1}]


def test_as_of_a_day_ends_in_the_zone(small: Any) -> None:
    found = [order(1, datetime(2024, 1, 16, 4, 59)), order(2, datetime(2024, 1, 16, 5, 0))]
    assert small(found, as_of="2024-01-15", tz="America/New_York").rows == [{"orders": 1}]
    assert small(found, as_of="2024-01-16T00:00:00-05:00", tz="America/New_York").rows == [{"orders": 2}]


def test_unknown_zone() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(UsageError, match="no time zone named"):
            Request("orders", tz=name)


# -- empty periods ---------------------------------------------------------------------------------


def test_periods_without_data_are_there_and_null(small: Any) -> None:
    found = [order(1, datetime(2024, 1, 3)), order(2, datetime(2024, 1, 20), status="cancelled")]
    result = small(found, ["orders", "done_orders", "revenue"], grain="week")
    assert [tuple(row.values()) for row in result.rows] == [
        (date(2024, 1, 1), 1, 1, 50.0),
        (date(2024, 1, 8), None, None, None),
        # Orders there are, done ones none: that is 0, and no amount to add up.
        (date(2024, 1, 15), 1, 0, None),
    ]


def test_asked_window_is_shown_in_full(small: Any) -> None:
    result = small([order(1, datetime(2024, 1, 10))], grain="month", since="2023-11-01", until="2024-04-01")
    assert [(row["period"].month, row["orders"]) for row in result.rows] == [
        (11, None), (12, None), (1, 1), (2, None), (3, None)
    ]


def test_whole_window_without_data_is_null_not_0(small: Any) -> None:
    result = small([order(1, datetime(2024, 1, 10))], ["orders", "revenue"], since="2024-02-01", until="2024-03-01")
    assert result.rows == [{"orders": None, "revenue": None}]


def test_each_seen_slice_is_shown_in_each_period(small: Any) -> None:
    found = [order(1, datetime(2024, 1, 3)), order(2, datetime(2024, 1, 20), status="cancelled")]
    result = small(found, "orders", by="status", grain="week")
    assert len(result) == 6
    assert [(r["status"], r["orders"]) for r in result.rows if r["period"] == date(2024, 1, 15)] == [
        ("cancelled", 1), ("done", None)
    ]


def test_slices_in_which_nothing_counts_are_left_out(small: Any) -> None:
    found = [order(1, datetime(2024, 1, 3)), order(2, datetime(2024, 1, 4), status="cancelled")]
    assert small(found, "done_orders", by="status").rows == [{"status": "done", "done_orders": 1}]
    daily = small(found, "done_orders", by="status", grain="day").rows
    assert [tuple(r.values()) for r in daily] == [(date(2024, 1, 3), "done", 1), (date(2024, 1, 4), "done", None)]


def test_too_many_periods_are_not_filled_and_it_is_said(small: Any) -> None:
    result = small([order(1, datetime(2024, 1, 3))], grain="day", since="1200-01-01", until="2024-02-01")
    assert result.rows == [{"period": date(2024, 1, 3), "orders": 1}]
    assert any("periods without data are not shown" in note for note in result.notes)


def test_no_rows_at_all(small: Any) -> None:
    for options in ({}, {"grain": "day"}, {"by": "status"}, {"grain": "month", "since": "2024-01-01"}):
        result = small([], ["orders", "revenue"], **({"grain": "all"} | options))
        assert all(row["orders"] is None for row in result.rows)
        assert "no data in shop.orders" in result.notes
    assert small([], "active_7", grain="day").rows == []


# -- comparison ------------------------------------------------------------------------------------


def test_compare_with_the_previous_period_across_missing_ones(small: Any) -> None:
    found = [order(i, at) for i, at in enumerate([
        datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 1, 9), datetime(2024, 1, 23), datetime(2024, 1, 24),
    ])]  # fmt: skip
    result = small(found, grain="week", since="2024-01-08", compare="previous")
    assert result.arrow.column_names == ["period", "orders", "orders_previous", "orders_delta", "orders_change"]
    assert [tuple(row.values())[1:] for row in result.rows] == [
        (1, 2, -1, -0.5), (None, 1, None, None), (2, None, None, None)
    ]


def test_change_is_relative_to_the_size_of_a_negative_value(small: Any) -> None:
    """From a loss of 20 to a profit of 10 is up by 30, 150 % of the loss: never a negative change."""
    found = [order(1, datetime(2024, 1, 5), amount=20), order(2, datetime(2024, 2, 5), amount=50),
             order(3, datetime(2024, 3, 5), amount=40), order(4, datetime(2024, 4, 5), amount=45)]
    rows = small(found, "profit", grain="month", compare="previous").rows
    assert [(r["profit"], r["profit_delta"], r["profit_change"]) for r in rows] == [
        (-20.0, None, None), (10.0, 30.0, 1.5), (0.0, -10.0, -1.0), (5.0, 5.0, None)
    ]


@pytest.mark.parametrize(
    ("grain", "now", "then"),
    [("day", datetime(2024, 3, 5), datetime(2023, 3, 5)), ("month", datetime(2024, 3, 5), datetime(2023, 3, 30)),
     ("week", datetime(2024, 3, 5), datetime(2023, 3, 7)), ("quarter", datetime(2024, 3, 5), datetime(2023, 1, 1)),
     ("year", datetime(2024, 3, 5), datetime(2023, 12, 31))],
)  # fmt: skip
def test_compare_with_the_year_before(small: Any, grain: str, now: datetime, then: datetime) -> None:
    found = [order(1, now), order(2, then), order(3, then)]
    since = periods.start_of(now.date(), grain)
    (row,) = small(found, grain=grain, since=since, compare="year").rows
    assert (row["period"], row["orders"], row["orders_previous"]) == (since, 1, 2)


def test_compare_a_whole_window(small: Any) -> None:
    found = [order(i, datetime(2024, 1, d)) for i, d in enumerate([1, 2, 5, 6, 7, 8, 9, 9])]
    (row,) = small(found, grain="all", since="2024-01-06", until="2024-01-10", compare="previous").rows
    assert (row["orders"], row["orders_previous"], row["orders_delta"], row["orders_change"]) == (5, 2, 3, 1.5)
    # Without until the window ends with the day of as_of, the 9th.
    assert small(found, grain="all", since="2024-01-06", compare="previous").rows == [row]
    with pytest.raises(UsageError, match="needs --since"):
        small(found, grain="all", compare="previous")


def test_compare_slices_that_came_and_went(small: Any) -> None:
    found = [order(1, datetime(2024, 1, 1), status="old"), order(2, datetime(2024, 1, 2), status="new")]
    rows = small(found, by="status", since="2024-01-02", compare="previous").rows
    assert [(r["status"], r["orders"], r["orders_previous"]) for r in rows] == [("new", 1, None), ("old", None, 1)]


def test_a_cut_first_period_is_not_filled_with_what_is_read_to_compare(small: Any) -> None:
    found = [order(1, datetime(2023, 12, 5)), order(2, datetime(2024, 1, 5)), order(3, datetime(2024, 1, 15))]
    result = small(found, grain="month", since="2024-01-10", compare="previous")
    assert [(r["orders"], r["orders_previous"]) for r in result.rows] == [(1, 1)]
    assert any("only days from 2024-01-10" in note for note in result.notes)


def test_a_cut_first_period_of_a_source_dated_by_days(scratch: DuckDBEngine) -> None:
    """The same where the time is a DATE: the lower bound is that of the request, not the first day of the data."""
    put(scratch, [order(1, datetime(2023, 12, 5)), order(2, datetime(2024, 1, 5)), order(3, datetime(2024, 1, 15))])
    known = scope(scratch.columns)
    by_day = replace(known.metrics["orders"], time="day")
    known = replace(known, metrics={**known.metrics, "orders": by_day})
    result = run(scratch, Request("orders", grain="month", since="2024-01-10", compare="previous"), known)
    assert [(r["orders"], r["orders_previous"]) for r in result.rows] == [(1, 1)]


# -- incomplete ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grain", "last", "incomplete"),
    [
        ("day", datetime(2024, 1, 14, 12), []),
        ("week", datetime(2024, 1, 14, 12), []),
        ("week", datetime(2024, 1, 13, 23, 59), ["2024-01-08"]),
        ("month", datetime(2024, 1, 31), []),
        ("month", datetime(2024, 1, 30), ["2024-01-01"]),
        ("quarter", datetime(2024, 3, 30), ["2024-01-01"]),
        ("year", datetime(2024, 12, 31), []),
    ],
)
def test_period_that_as_of_falls_inside(small: Any, grain: str, last: datetime, incomplete: list[str]) -> None:
    result = small([order(1, datetime(2024, 1, 2)), order(2, last)], grain=grain)
    assert [p.isoformat() for p in result.incomplete] == incomplete


def test_matures_counts_only_rows_whose_window_has_passed(small: Any) -> None:
    """as_of is 20 January, noon: orders up to the 13th, noon, have had their 7 days."""
    found = [order(1, datetime(2024, 1, 2)), order(2, datetime(2024, 1, 13, 12)),
             order(3, datetime(2024, 1, 13, 13), status="cancelled"), order(4, datetime(2024, 1, 20, 12))]
    result = small(found, "matured_done_rate", grain="week")
    assert [(r["period"].day, r["matured_done_rate"]) for r in result.rows] == [(1, 1.0), (8, 1.0), (15, None)]
    # The week of the 8th ends on the 14th: its last rows have not had their days yet.
    assert [p.day for p in result.incomplete if p] == [8, 15]
    whole = small(found, "matured_done_rate")
    assert whole.rows == [{"matured_done_rate": 1.0}]
    assert whole.incomplete == (None,)
    assert any("7 days" in note for note in whole.notes)


def test_what_is_watched_beside_the_source_moves_as_of(ask: Ask, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    ordered, opened = max(row[4] for row in rows["orders"]), max(row[2] for row in rows["tickets"])
    assert ordered != opened
    assert ask("matured_done_rate").as_of == ordered
    result = ask("watched_done_rate", grain="day")
    assert result.as_of == max(ordered, opened)
    # The first day shown is that of the first order, whenever the first ticket was opened.
    assert result.rows[0]["period"] == min(row[5] for row in rows["orders"])
    assert ask("watched_done_rate", as_of="2024-03-01").as_of == ask("matured_done_rate", as_of="2024-03-01").as_of


def test_a_watched_column_that_is_ahead_lets_rows_ripen(small: Any, scratch: DuckDBEngine) -> None:
    """Orders end on the 3rd: alone they never ripen; tickets are known up to the 12th."""
    found = [order(1, datetime(2024, 1, 2)), order(2, datetime(2024, 1, 3), status="cancelled")]
    assert small(found, "matured_done_rate").rows == [{"matured_done_rate": None}]
    scratch.raw("DELETE FROM shop.tickets")
    scratch.raw("INSERT INTO shop.tickets VALUES (1, 1, TIMESTAMP '2024-01-12 09:00:00', 'late')")
    assert small(found, "watched_done_rate").rows == [{"watched_done_rate": 0.5}]
    scratch.raw("DELETE FROM shop.tickets")
    assert small(found, "watched_done_rate").rows == [{"watched_done_rate": None}]


def test_grain_finer_than_the_metric_is_refused(ask: Ask) -> None:
    with pytest.raises(UsageError, match="weekly_buyers is defined per week"):
        ask("weekly_buyers", grain="day")
    with pytest.raises(UsageError, match="no time; ask for grain all"):
        ask("city_count", grain="day")


def test_default_grain_is_the_coarsest_of_the_metrics(ask: Ask) -> None:
    assert ask("revenue").grain == "month"
    assert ask("revenue", "orders").grain == "all"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grain": "fortnight"}, "grain 'fortnight' is none of day, week"),
        ({"compare": "twin"}, "neither previous nor year"),
        ({"since": "soon"}, "since should be a date like 2024-01-31"),
        ({"since": "2024-02-01", "until": "2024-02-01"}, "until is outside the window"),
        ({"since": "0001-01-01"}, "outside the years"),
        ({"as_of": "2024-13-01"}, "as_of should be a date or a moment"),
        ({"by": ["tier", "tier"]}, "asked for twice"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Request("orders", **options)
    with pytest.raises(UsageError, match="at least one metric"):
        Request([])
