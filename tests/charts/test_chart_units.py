"""Numbers as text."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from prodsense.charts.rows import fill_periods, period_label, plain_rows
from prodsense.charts.units import axis_format, format_change, format_value, unit_note
from prodsense.errors import UsageError


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8244, "share", "82.4%"),
        (1.0, "share", "100.0%"),
        (0.0042, "share", "0.42%"),
        (0, "share", "0%"),
        (-0.5, "share", "−50.0%"),
        (1234, "count", "1,234"),
        (32.46, "minutes", "32.5 min"),
        (3.456, "miles", "3.46 mi"),
        (1234.5, "currency", "1,234.50"),
        (-12.3, "USD", "−$12.30"),
        (4.216, "score", "4.22"),
        (7, "orders/hour", "7 orders/hour"),
        (None, "count", "–"),
        (float("nan"), "share", "–"),
        (float("inf"), "", "–"),
        (True, "", "yes"),
        ("text", "share", "text"),
    ],
)
def test_values_are_written_with_their_unit(value: object, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"), [(9999, "9,999"), (12345, "12.3k"), (999_950, "1M"), (2_500_000, "2.5M"), (3.1e9, "3.1B")]
)
def test_large_numbers_are_shortened_where_asked(value: float, text: str) -> None:
    assert format_value(value, "count", compact=True) == text


def test_a_change_is_points_for_a_share_and_per_cent_else() -> None:
    assert format_change(0.834, 0.812, "share") == "+2.2 pp"
    assert format_change(90, 100, "count") == "−10.0%"
    assert format_change(-90, -100, "count") == "+10.0%"
    assert format_change(100, 100.001) == "±0.0%"
    assert format_change(5, 0) == ""
    assert format_change(None, 3) == format_change(3, None) == ""


def test_axis_formats_follow_the_span() -> None:
    assert axis_format("share", 0, 1) == ".0%"
    assert axis_format("share", 0.80, 0.81) == ".1%"
    assert axis_format("count", 0, 50_000).endswith("s")


def test_a_unit_that_ticks_cannot_carry_gets_a_note() -> None:
    assert unit_note("orders/hour") == "In orders/hour."
    assert unit_note("share") == unit_note("minutes") == unit_note("") == ""


def test_rows_become_json_values() -> None:
    moment = dt.datetime(2024, 1, 2, 3, 4, 5)
    row = {"d": dt.date(2024, 1, 2), "t": moment, "n": Decimal("1.50"), "x": float("nan"), "b": True, "s": "a\x01b"}
    assert plain_rows([row]) == [
        {"d": "2024-01-02", "t": "2024-01-02T03:04:05", "n": 1.5, "x": None, "b": True, "s": "a\ufffdb"}
    ]


def test_rows_come_from_arrow_polars_and_pandas() -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    expected = [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
    columns = {"k": ["a", "b"], "v": [1, 2]}
    for table in (pa.table(columns), pl.DataFrame(columns), pd.DataFrame(columns)):
        assert plain_rows(table) == expected
    with pytest.raises(UsageError, match="needs rows"):
        plain_rows(3)


def test_periods_are_filled_and_named() -> None:
    assert fill_periods(["2024-01-03", "2024-01-01"], "day") == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert fill_periods(["2023-11-01", "2024-02-01"], "month") == [
        "2023-11-01",
        "2023-12-01",
        "2024-01-01",
        "2024-02-01",
    ]
    # A Tuesday does not lie on the weeks from a Monday: nothing is made up.
    assert fill_periods(["2024-01-01", "2024-01-16"], "week") == ["2024-01-01", "2024-01-16"]
    assert period_label("2024-04-01", "quarter") == "Q2 2024"
    assert period_label("2024-04-01", "week") == "week of 1 Apr 2024"
    assert period_label("2024-04-01T13:30:00") == "1 Apr 2024 13:30"
