"""Declarations that are wrong are found before anybody asks, and all right ones run on every engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from metrics_shop import DIMENSIONS, METRICS, scope

from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import NotBuiltError, SqlError, UsageError
from prodsense.metrics import Request, Scope, compile, run
from prodsense.metrics.validate import check_dimension, check_metric, check_scope, sliceable


def metric(sql: str, source: str = "orders", **more: Any) -> Metric:
    return Metric("bad", "A bad metric.", "count", "up", sql, source=source, **more)


WRONG: list[tuple[Metric, str]] = [
    (metric("sum(amuont)"), r"shop\.bad: shop\.orders has no column amuont\. Did you mean amount"),
    (metric("sum(amount)", where="statsu = 'done'"), "has no column statsu. Did you mean status"),
    (metric("sum(amount)", source="odrers"), r"no table or model named shop\.odrers\. Did you mean orders"),
    (metric("amount"), "aggregates nothing"),
    (metric("sum(amount) + minutes"), "minutes stands outside any aggregate"),
    (metric("sum(amount"), "shop.bad:1"),
    (metric("sum(amount); DROP TABLE x"), "expected one statement"),
    (metric("count(*)", where="count(*) > 1"), "holds no aggregate"),
    (metric("count(*)", where="day > current_date"), "reads the clock"),
    (metric("sum(amount)", where="amount > (SELECT 1)"), "put the subquery in a model"),
    (metric("count(*)", where="amount > :least"), "no parameter but :as_of"),
    (metric("sum(amount)", rolling=7), r"must read count\(distinct x\)"),
    (metric("count(distinct customer_id)", rolling=7, last=True), "rolling and last exclude"),
    (metric("count(*)", as_of="opened_at"), r"as_of reads relation\.column, not 'opened_at'"),
    (metric("count(*)", as_of="tickets.opend_at"), "shop.tickets has no column opend_at. Did you mean opened_at"),
    (metric("orders + 1", source="", as_of="tickets.opened_at"), "is derived; .*as_of.* belong to its parts"),
    (metric("count(*)", share_of=(), last=True), "share_of takes a plain aggregate"),
    (metric("count(*)", source="cities", matures=7), "matures needs a time, and shop.cities has none"),
    (metric("count(*)", time="placed_at"), "has no column placed_at"),
    (metric("orders / nothing", source=""), "no metric named nothing"),
    (metric("1", source=""), "names no metric"),
    (metric("bad + 1", source=""), "derived from itself"),
    (metric("sum(orders)", source=""), "aggregates need a `source`"),
    (metric("orders", source="", where="status = 'done'"), "belong to its parts"),
    (metric("count(*)", by=("quantity",)), "cannot be sliced by quantity"),
    (metric("count(*)", by=("colour",)), "no dimension named colour"),
    (metric("count(*)", focus=("colour", "status = 'done'")), "no dimension named colour"),
    (metric("count(*)", focus=("status", "statsu = 'done'")), "has no column statsu"),
    (metric("orders + 1", source="", focus=("status", "status = 'done'")), "is derived; .*focus.* belong to its parts"),
]


@pytest.mark.versions
@pytest.mark.slow
@pytest.mark.parametrize(("declared", "message"), WRONG, ids=lambda v: v.sql if isinstance(v, Metric) else "")
def test_wrong_metrics(declared: Metric, message: str) -> None:
    known = scope(metrics={m.name: m for m in (*METRICS, declared)})
    with pytest.raises((SqlError, UsageError), match=message):
        check_metric(declared, known)
    assert [line for line in check_scope(known) if "bad" in line or "odrers" in line]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"customers": "teir"}, r"shop\.customers has no column teir\. Did you mean tier"),
        ({"customer": "tier"}, "no table or model named shop.customer"),
        ({"customers": "max(tier)"}, "without subqueries, aggregates"),
        ({"*": "hour_of(moment)"}, "only the column `time` is known, not moment"),
        ({}, "has no home"),
    ],
)
def test_wrong_dimensions(at: dict[str, str], message: str) -> None:
    with pytest.raises(SqlError, match=message):
        check_dimension(Dimension("bad", "A bad dimension.", at), scope())


def test_reserved_names() -> None:
    with pytest.raises(SqlError, match="result's own column"):
        check_dimension(Dimension("period", "A period.", {"orders": "day"}), scope())
    with pytest.raises(SqlError, match="lower-case"):
        check_dimension(Dimension("my dim", "A dim.", {"orders": "day"}), scope())
    twin = metric("count(*)")
    with pytest.raises(SqlError, match="a dimension has the same name"):
        check_metric(twin, scope(metrics={"bad": twin}, dimensions={"bad": Dimension("bad", "", {"orders": "day"})}))


def test_right_ones_pass_with_and_without_a_warehouse(engine: DuckDBEngine) -> None:
    assert check_scope(scope()) == []
    assert check_scope(scope(engine.columns)) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_form_renders_for_every_engine(dialect: str) -> None:
    known = scope()
    asked = [
        Request("orders", by="tier", grain="week", tz="Europe/Berlin", where="tier is not distinct from 'gold'"),
        Request(["active_7", "stickiness"], by="tier", grain="month", since="2024-02-03", compare="previous"),
        Request(["orders", "tickets_per_order", "pieces"], by=["tier", "customer"], grain="quarter"),
        Request(["stock_pieces", "weekly_buyers"], grain="month"),
        Request(["buyer_share", "order_share_in_country"], by=["country", "status"]),
        Request(["p90_minutes", "matured_done_rate", "big_orders"], grain="day", until="2024-02-01"),
    ]
    for request in asked:
        assert "SELECT" in render(compile(request, known).tree, dialect)


def test_every_metric_by_every_dimension_that_it_allows_runs(engine: DuckDBEngine) -> None:
    """Rows of slices keep the total of what adds up; everything else at least answers."""
    known = scope(engine.columns)
    pairs = [pair for pair in sliceable(known) if pair[0] in ("orders", "pieces", "tickets", "loyal_orders", "revenue")]
    assert len(pairs) > 20
    for name, dimension in pairs:
        try:
            sliced = run(engine, Request(name, by=dimension, grain="all"), known)
        except UsageError as error:
            assert "holds only days" in error.message
            continue
        (total,) = run(engine, Request(name, grain="all"), known).rows
        assert sum(row[name] or 0 for row in sliced.rows) == pytest.approx(total[name])


def test_a_model_never_built_says_what_to_do() -> None:
    empty = DuckDBEngine()
    try:
        with pytest.raises(NotBuiltError, match="customer_months was never built; run: prodsense build --pack shop"):
            run(empty, Request("loyal_orders"), scope(empty.columns))
    finally:
        empty.close()


def test_metric_and_dimension_of_one_name_cannot_meet() -> None:
    twin = replace(metric("count(*)"), name="tier")
    clash = Scope("shop", {"tier": twin}, {d.name: d for d in DIMENSIONS}, scope().tables)
    with pytest.raises(UsageError, match="names a column of the result already"):
        compile(Request("tier", by="tier"), clash)
