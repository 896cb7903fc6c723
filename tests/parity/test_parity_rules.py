"""The rules of docs/sql.md on which engines differ: by hand on each, and the same on both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from parity_rows import differences, equal

from prodsense.engines.duckdb import DuckDBEngine

pytestmark = pytest.mark.spark

#: rule → (SELECT with one column `value`, its values by hand, in the order of `n` where there are several)
RULES: dict[str, tuple[str, list[Any]]] = {
    "time zone: no zone of machine or session": (
        "SELECT CAST('2024-07-01 23:59:59' AS TIMESTAMP) AS value", [datetime(2024, 7, 1, 23, 59, 59)]),
    "time zone: clocks of a place": (
        "SELECT local_time(TIMESTAMP '2024-11-03 05:59:59', 'America/New_York') AS value",
        [datetime(2024, 11, 3, 1, 59, 59)]),
    "time zone: the hour that comes twice": (
        "SELECT local_time(TIMESTAMP '2024-11-03 06:00:00', 'America/New_York') AS value",
        [datetime(2024, 11, 3, 1, 0)]),
    "time zone: the day of a moment is UTC's": (
        "SELECT date_of(TIMESTAMP '2024-03-10 23:30:00') AS value", [date(2024, 3, 10)]),
    "division: two integers": ("SELECT ratio(7, 2) AS value", [3.5]),
    "division: negative": ("SELECT ratio(-7, 2) AS value", [-3.5]),
    "division: by zero": ("SELECT ratio(7, 0) AS value", [None]),
    "division: mean of integers": ("SELECT mean(n) AS value FROM numbers", [7 / 3]),
    "null: last going up": ("SELECT x AS value FROM numbers ORDER BY x", [1, 2, None]),
    "null: last going down": ("SELECT x AS value FROM numbers ORDER BY x DESC", [2, 1, None]),
    "null: last in a window": (
        "SELECT ROW_NUMBER() OVER (ORDER BY x DESC) AS value FROM numbers ORDER BY n", [2, 1, 3]),
    "null: left out of aggregates": ("SELECT COUNT(x) AS value FROM numbers", [2]),
    "null: not distinct from itself": ("SELECT COUNT(*) AS value FROM numbers WHERE x IS NOT DISTINCT FROM NULL", [1]),
    "null: in LEAST and GREATEST left out": ("SELECT LEAST(x, 9) + GREATEST(x, 0) AS value FROM numbers ORDER BY n",
                                             [2, 4, 9]),
    "date_trunc: hour": (
        "SELECT DATE_TRUNC('hour', TIMESTAMP '2024-02-29 23:59:59.999999') AS value", [datetime(2024, 2, 29, 23)]),
    "date_trunc: month": ("SELECT period_start(TIMESTAMP '2024-02-29 23:59:59.999999', 'month') AS value",
                          [date(2024, 2, 1)]),
    "date_trunc: quarter and year": ("SELECT period_start(DATE '2024-12-31', 'quarter') AS value", [date(2024, 10, 1)]),
    "week: starts on Monday": ("SELECT period_start(DATE '2024-03-03', 'week') AS value", [date(2024, 2, 26)]),
    "week: across the year": ("SELECT period_start(DATE '2025-01-01', 'week') AS value", [date(2024, 12, 30)]),
    "week: Sunday is 7": ("SELECT iso_weekday(DATE '2024-03-03') AS value", [7]),
    "quantile: between two values": ("SELECT quantile(n, 0.9) AS value FROM numbers", [3.6]),
    "quantile: of an even number": ("SELECT quantile(n, 0.5) AS value FROM numbers WHERE n > 1", [3.0]),
    "quantile: of nothing": ("SELECT quantile(n, 0.5) AS value FROM numbers WHERE n > 9", [None]),
    "quantile: null left out": ("SELECT quantile(x, 0.25) AS value FROM numbers", [1.25]),
    "decimal: sums are exact": ("SELECT SUM(price) AS value FROM numbers", [Decimal("0.60")]),
    "decimal: products are exact": ("SELECT SUM(price * n) AS value FROM numbers", [Decimal("1.50")]),
    "decimal: a stored half cent is rounded away from zero": (
        "SELECT CAST(CAST(0.125 AS DECIMAL(6, 3)) AS DECIMAL(6, 2)) AS value", [Decimal("0.13")]),
    "moment: microseconds": (
        "SELECT seconds_between(TIMESTAMP '2024-01-01 00:00:00', at) AS value FROM numbers ORDER BY n",
        [0.000001, 1.5, 86399.999999]),
    "moment: kept by a table": ("SELECT at AS value FROM numbers ORDER BY n",
                                [datetime(2024, 1, 1, 0, 0, 0, 1), datetime(2024, 1, 1, 0, 0, 1, 500_000),
                                 datetime(2024, 1, 1, 23, 59, 59, 999_999)]),
    "moment: the last microsecond of a day is of that day": (
        "SELECT COUNT(*) AS value FROM numbers WHERE date_of(at) = DATE '2024-01-01'", [3]),
    "text: compared by its bytes": (
        "SELECT COUNT(*) AS value FROM numbers WHERE 'Zebra' < 'apple' AND 'a' <> 'A'", [3]),
}  # fmt: skip


@pytest.fixture(scope="module")
def engines(spark_session: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """Either engine with one small table, shop.numbers."""
    from prodsense.engines.spark import SparkEngine

    both = [DuckDBEngine(), SparkEngine(tmp_path_factory.mktemp("rules"), session=spark_session)]
    data = pa.table({
        "n": pa.array([1, 4, 2], pa.int32()), "x": [1, None, 2],
        "price": pa.array([Decimal("0.10"), Decimal("0.20"), Decimal("0.30")], pa.decimal128(10, 2)),
        "at": [datetime(2024, 1, 1, 0, 0, 0, 1), datetime(2024, 1, 1, 23, 59, 59, 999_999),
               datetime(2024, 1, 1, 0, 0, 1, 500_000)],
    })  # fmt: skip
    for engine in both:
        engine.create_table("shop.numbers", {"n": "INTEGER", "x": "BIGINT", "price": "DECIMAL(10,2)", "at": "TIMESTAMP"})
        engine.append("shop.numbers", data)
    yield both
    for engine in both:
        engine.close()


@pytest.mark.parametrize("rule", RULES)
def test_rule_by_hand_on_both(engines: list[Any], rule: str) -> None:
    sql, expected = RULES[rule]
    answers = [engine.query(sql.replace("FROM numbers", "FROM shop.numbers")).to_pylist() for engine in engines]
    for engine, answer in zip(engines, answers, strict=True):
        values = [row["value"] for row in answer]
        assert len(values) == len(expected), engine.name
        assert all(equal(value, hand) for value, hand in zip(values, expected, strict=True)), (engine.name, values)
    assert differences(*answers) == []


def test_every_rule_that_is_promised_has_a_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
    kinds = {rule.partition(":")[0] for rule in RULES}
    assert kinds == {"time zone", "division", "null", "date_trunc", "week", "quantile", "decimal", "moment", "text"}
    for heading in ("**Time.**", "**Weeks**", "**Integers.**", "**Null**", "**Order.**", "**Quantiles**", "**Precision.**"):
        assert heading in page, heading
