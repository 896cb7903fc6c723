"""Rolling distinct counts beside a naive oracle that looks at every day anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics_shop import Ask, load, put, scope

from prodsense.engines.duckdb import DuckDBEngine
from prodsense.metrics import Request, run

Row = tuple[Any, ...]
LAST = date(2024, 4, 13)


def naive(
    orders: list[Row], day: date, window: int, keep: Callable[[Row], bool] = lambda row: True
) -> int | None:
    """Distinct customers with an order in the `window` days that end with `day`."""
    inside = {row[1] for row in orders if day - timedelta(days=window) < row[5] <= day and keep(row)}
    return len(inside - {None}) or None


@pytest.mark.parametrize("window", [1, 7, 28])
def test_each_day(ask: Ask, rows: dict[str, list[Row]], window: int) -> None:
    result = ask(f"active_{window}", grain="day")
    assert result.rows[0]["period"] == min(row[5] for row in rows["orders"])
    assert result.rows[-1]["period"] == max(row[5] for row in rows["orders"])
    for row in result.rows:
        assert row[f"active_{window}"] == naive(rows["orders"], row["period"], window), row["period"]


def test_several_windows_and_their_ratio_in_one_request(ask: Ask, rows: dict[str, list[Row]]) -> None:
    for row in ask("active_7", "active_28", "stickiness", grain="day").rows:
        daily, weekly, monthly = (naive(rows["orders"], row["period"], k) for k in (1, 7, 28))
        assert (row["active_7"], row["active_28"]) == (weekly, monthly)
        assert row["stickiness"] == (daily / monthly if daily and monthly else None)


def test_coarser_grains_show_the_last_day_and_say_so(ask: Ask, rows: dict[str, list[Row]]) -> None:
    result = ask("active_7", grain="month")
    ends = [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31), LAST]
    assert [row["active_7"] for row in result.rows] == [naive(rows["orders"], end, 7) for end in ends]
    assert any("last day of each month" in note for note in result.notes)


def test_whole_window_is_the_value_at_its_end(ask: Ask, rows: dict[str, list[Row]]) -> None:
    assert ask("active_28").rows == [{"active_28": naive(rows["orders"], LAST, 28)}]
    end = ask("active_28", until="2024-03-01").rows
    assert end == [{"active_28": naive(rows["orders"], date(2024, 2, 29), 28)}]


def test_window_reaches_back_before_since(ask: Ask, rows: dict[str, list[Row]]) -> None:
    result = ask("active_28", grain="day", since="2024-02-20", until="2024-03-01")
    assert len(result) == 10
    for row in result.rows:
        assert row["active_28"] == naive(rows["orders"], row["period"], 28)


@pytest.mark.parametrize(("by", "column"), [("status", 6), ("customer", 1)])
def test_slices(ask: Ask, rows: dict[str, list[Row]], by: str, column: int) -> None:
    result = ask("active_7", by=by, grain="day", since="2024-02-10", until="2024-02-25")
    there = {row[column] for row in rows["orders"] if row[5] == date(2024, 2, 12)} - {None}
    assert there <= {row[by] for row in result.rows}
    for row in result.rows:
        expected = naive(rows["orders"], row["period"], 7, lambda o, value=row[by]: o[column] == value)
        assert row["active_7"] == expected, row


def test_condition_and_filter(ask: Ask, rows: dict[str, list[Row]]) -> None:
    for row in ask("done_active_7", grain="week", where="amount > 30").rows:
        end = min(row["period"] + timedelta(days=6), LAST)
        expected = naive(rows["orders"], end, 7, lambda o: o[6] == "done" and (o[7] or 0) > 30)
        assert row["done_active_7"] == expected


def test_compare_reads_before_since(ask: Ask, rows: dict[str, list[Row]]) -> None:
    first, *_ = ask("active_7", grain="week", since="2024-02-19", compare="previous").rows
    assert first["active_7"] == naive(rows["orders"], date(2024, 2, 25), 7)
    assert first["active_7_previous"] == naive(rows["orders"], date(2024, 2, 18), 7)


def test_a_metric_of_months_is_trailing_where_the_grain_is_finer(ask: Ask, rows: dict[str, list[Row]]) -> None:
    for row in ask("monthly_buyers", grain="day").rows:
        assert row["monthly_buyers"] == naive(rows["orders"], row["period"], 28)
    month = {}
    for order in rows["orders"]:
        month.setdefault(order[5].replace(day=1), set()).add(order[1])
    wanted = {start: len(found - {None}) for start, found in month.items()}
    assert {row["period"]: row["monthly_buyers"] for row in ask("monthly_buyers").rows} == wanted
    (quarter,) = ask("monthly_buyers", grain="quarter", since="2024-01-01", until="2024-04-01").rows
    first = [wanted[date(2024, n, 1)] for n in (1, 2, 3)]
    assert quarter["monthly_buyers"] == pytest.approx(sum(first) / 3)


def test_both_forms_of_one_metric_in_one_request(ask: Ask, rows: dict[str, list[Row]]) -> None:
    for row in ask("daily_buyers", "monthly_buyers", grain="day").rows:
        wanted = (naive(rows["orders"], row["period"], 1), naive(rows["orders"], row["period"], 28))
        assert (row["daily_buyers"], row["monthly_buyers"]) == wanted


visits = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 20)), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def scratch() -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine()
    load(engine, {name: [] for name in ("orders", "cities", "customers", "lines", "tickets", "stock")})
    yield engine
    engine.close()


@settings(max_examples=25, deadline=None)
@given(visits)
def test_any_pattern_of_days(scratch: DuckDBEngine, found: list[tuple[int, int]]) -> None:
    start = date(2024, 2, 20)
    days = [start + timedelta(days=offset) for _, offset in found]
    orders = [
        (i, who, None, None, datetime(day.year, day.month, day.day, 12), day, "done", None, None)
        for i, ((who, _), day) in enumerate(zip(found, days, strict=True))
    ]
    put(scratch, orders)
    result = run(scratch, Request("active_7", grain="day"), scope(scratch.columns))
    assert [row["active_7"] for row in result.rows] == [
        naive(orders, min(days) + timedelta(days=i), 7) for i in range((max(days) - min(days)).days + 1)
    ]
