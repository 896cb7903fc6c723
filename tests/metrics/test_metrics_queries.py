"""Named queries: parameters are typed, as_of comes from the declared source."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from metrics_shop import Ask

from prodsense.contracts.vocabulary import Param, Query
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import SqlError, UsageError
from prodsense.metrics import Scope
from prodsense.metrics.queries import coerce, coerce_params, run_query
from prodsense.metrics.validate import check_query


def top(orders: list[Any], least: int, until: datetime = datetime.max, keep: Any = lambda who: True) -> dict[Any, int]:
    counts = Counter(o[1] for o in orders if o[4] <= until and keep(o[1]))
    return {who: n for who, n in counts.items() if n >= least}


def test_defaults(engine: DuckDBEngine, scope: Scope, rows: dict[str, list[Any]]) -> None:
    found = run_query(engine, "top_customers", {}, scope)
    assert {r["customer_id"]: r["orders"] for r in found.rows} == top(rows["orders"], 2)
    assert found.rows == sorted(found.rows, key=lambda r: (-r["orders"], r["customer_id"] is None, r["customer_id"]))
    newest = max(o[4] for o in rows["orders"])
    assert newest.isoformat(" ") in found.sql[0]


def test_given_parameters(engine: DuckDBEngine, scope: Scope, rows: dict[str, list[Any]]) -> None:
    gold = {c[0] for c in rows["customers"] if c[2] == "gold"}
    found = run_query(engine, "top_customers", {"min_orders": "3", "tier": "gold", "as_of": "2024-03-15"}, scope)
    expected = top(rows["orders"], 3, datetime(2024, 3, 15, 23, 59, 59, 999999), lambda who: who in gold)
    assert expected and {r["customer_id"]: r["orders"] for r in found.rows} == expected


def test_unknown_and_missing_parameters(engine: DuckDBEngine, scope: Scope) -> None:
    with pytest.raises(UsageError, match=r"no parameter min_order\. Did you mean min_orders"):
        run_query(engine, "top_customers", {"min_order": 3}, scope)
    with pytest.raises(UsageError, match=r"no query named top_customer in shop\. Did you mean top_customers"):
        run_query(engine, "top_customer", {}, scope)
    with pytest.raises(UsageError, match=r"x needs the parameter user_id \(integer\)"):
        coerce_params([Param("user_id", "integer")], {}, "x")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", " 7 ", 7), ("integer", 7.0, 7), ("number", "1e3", 1000.0), ("boolean", "No", False),
        ("date", "2024-02-29", datetime(2024, 2, 29).date()), ("text", "x'y", "x'y"), ("text", None, None),
        ("timestamp", "2024-02-29T12:00:00+02:00", datetime(2024, 2, 29, 10)),
        ("timestamp", "2024-02-29", datetime(2024, 2, 29, 23, 59, 59, 999999)),
    ],
)  # fmt: skip
def test_coerced(kind: Any, value: Any, expected: Any) -> None:
    found = coerce(value, Param("p", kind), "q")
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "7.5"), ("integer", "x"), ("integer", 7.5), ("integer", True), ("integer", "1" * 30),
        ("number", "nan"), ("number", "ten"), ("boolean", "maybe"), ("date", "2024-02-30"), ("date", "now"),
        ("timestamp", "noon"), ("text", "a\0b"), ("integer", float("inf")),
    ],
)  # fmt: skip
def test_refused_values_name_the_parameter(kind: Any, value: Any) -> None:
    with pytest.raises(UsageError, match="q: p should be"):
        coerce(value, Param("p", kind), "q")


@pytest.mark.parametrize(
    ("sql", "more", "message"),
    [
        ("SELECT nothing FROM orders", {}, "nothing"),
        ("SELECT order_id FROM order_s", {}, "order_s"),
        ("SELECT order_id FROM orders WHERE amount > :least", {}, "reads :least, which is no declared parameter"),
        ("SELECT order_id FROM orders", {"params": (Param("least", "number", 1),)}, "never reads it"),
        ("SELECT order_id FROM orders WHERE ordered_at < :as_of", {}, "does not say where its default comes from"),
        ("SELECT order_id FROM orders WHERE ordered_at < :as_of", {"as_of": "orders.at"}, "has no column at"),
        ("SELECT order_id FROM orders WHERE day < current_date", {}, "reads the clock"),
        ("DELETE FROM orders", {}, "expected a SELECT"),
        ("SELECT FROM WHERE", {}, "shop.bad"),
    ],
)
def test_wrong_declarations_are_found(scope: Scope, sql: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(SqlError, match=message):
        check_query(Query("bad", "A bad query.", sql, **more), scope)


def test_read_of_an_unfinished_request(ask: Ask) -> None:
    """Asking twice gives the same answer: nothing is kept between requests but parsed text."""
    assert ask("orders", by="tier").rows == ask("orders", by="tier").rows
