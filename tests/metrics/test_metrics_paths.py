"""Joins go many-to-one only; what would repeat rows is refused with the reason and what to use instead."""

from __future__ import annotations

import pytest
from metrics_shop import DIMENSIONS, Ask, scope

from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.metrics import Request, Scope, compile, run
from prodsense.packs.pack import read_model


def test_fan_out_is_refused_with_the_reason(ask: Ask) -> None:
    with pytest.raises(UsageError) as error:
        ask("orders", by="quantity")
    message = error.value.message
    for part in ("shop.orders", "quantity", "shop.lines has many rows for one of shop.orders", "order_id"):
        assert part in message
    works = message.split("dimensions that work: ")[1].split(", ")
    assert {"tier", "customer", "status", "weekday", "hour"} <= set(works)
    assert "quantity" not in works


def test_unrelated_dimension_is_refused(ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"tickets cannot be sliced by status: no many-to-one reference"):
        ask("tickets", by="status")


def test_one_source_of_several_is_named(ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"shop\.tickets cannot be sliced by status"):
        ask("orders", "tickets", by="status")


def test_two_equal_ways_are_refused(ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"two equally short ways .*bill_city_id or ship_city_id"):
        ask("orders", by="city_name")


def test_model_references_are_an_order_of_preference(engine: DuckDBEngine) -> None:
    header = "-- Orders again.\n-- key: order_id\n-- references: ship_city_id cities, bill_city_id cities\n"
    engine_sql = "SELECT order_id, ship_city_id, bill_city_id FROM orders"
    again = scope(
        models={"routes": read_model("routes", header + engine_sql, "routes.sql")},
        metrics={"routes": Metric("routes", "Rows.", "count", "up", "count(*)", source="routes")},
    )
    sql = compile(Request("routes", by="city_name"), again).sql("duckdb", {})
    assert "routes.ship_city_id = cities.city_id" in sql
    assert "bill_city_id" not in sql


def test_nearest_home_wins(ask: Ask) -> None:
    """`country` is at orders itself and at cities, two references away: no join is made."""
    assert "JOIN" not in ask("orders", by="country").sql[0]


def test_only_what_is_asked_for_is_joined(ask: Ask) -> None:
    assert "JOIN" not in ask("orders").sql[0]
    assert "JOIN" not in ask("orders", by="customer").sql[0]
    assert ask("pieces", by="customer").sql[0].count("JOIN") == 1
    assert ask("pieces", by=["customer", "tier"]).sql[0].count("JOIN") == 2


def test_reference_to_no_key_is_no_way(engine: DuckDBEngine) -> None:
    """A model without a key may hold several rows for one value: it cannot be joined to."""
    with pytest.raises(UsageError, match="cannot be sliced by month"):
        run(
            engine, Request("orders", by="month"),
            scope(engine.columns, dimensions={"month": Dimension("month", "Month.", {"customer_months": "month"})}),
        )  # fmt: skip


def test_hours_of_days_are_refused(ask: Ask) -> None:
    with pytest.raises(UsageError, match="its time day holds only days"):
        ask("pieces", by="hour")


def test_unknown_names_suggest_near_ones(ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"no metric named ordrs in shop\. Did you mean orders"):
        ask("ordrs")
    with pytest.raises(UsageError, match=r"no dimension named teir in shop\. Did you mean tier"):
        ask("orders", by="teir")


def test_names_may_carry_the_pack(ask: Ask) -> None:
    assert ask("shop.orders", by="shop.tier").rows == ask("orders", by="tier").rows
    with pytest.raises(UsageError, match="another pack"):
        ask("delivery.orders")


def test_special_words_as_names(engine: DuckDBEngine) -> None:
    """`user` unquoted is the session's user in DuckDB and PostgreSQL, not the column."""
    special = {d.name: d for d in (*DIMENSIONS, Dimension("user", "Customer.", {"customers": "customer_id"}))}
    words = Scope("shop", scope().metrics, special, scope().tables, {}, {}, engine.columns)
    plain = run(engine, Request(["orders", "tickets"], by="customer"), words)
    quoted = run(engine, Request(["orders", "tickets"], by="user"), words)
    assert [list(row.values()) for row in quoted.rows] == [list(row.values()) for row in plain.rows]
