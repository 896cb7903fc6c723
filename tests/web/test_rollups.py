"""Pre-aggregates give what the rows give, on random requests; and are not asked where they could not."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from web_shop import Served, tiny_orders

import prodsense as ps
from prodsense.contracts.sql import sources
from prodsense.contracts.vocabulary import Metric
from prodsense.errors import ProdsenseError
from prodsense.metrics import Request, compile, rollups
from prodsense.metrics.definitions import define
from prodsense.metrics.rollups import taken_apart
from prodsense.metrics.scope import Scope
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse
from prodsense.web.jobs import build_at_once, build_job

PACK = load_pack("delivery")
DIMENSIONS = ("delivery_type", "restaurant_type", "time_of_day", "day_of_week", "vehicle_type", "geography")
WHERES = (
    None, None, None, "delivery_type = 'batched'", "time_of_day BETWEEN 11 AND 14 OR day_of_week > 5",
    "restaurant_type IN ('pizza', 'sushi') AND NOT delivery_type = 'individual'", "restaurant_type IS NULL",
    "geography LIKE '37%'",
)  # fmt: skip


class Rolled(Warehouse):
    """A warehouse that asks its rollups."""

    def rollups(self, pack: str) -> tuple[Any, ...]:
        return rollups.fresh_rollups(self.engine, pack, *self.definitions([pack]))


@pytest.fixture(scope="module")
def both(planted_tables: dict[str, pa.Table]) -> Iterator[tuple[Warehouse, Warehouse]]:
    """The same data, asked by rows and by rollups with all dimensions that the dashboards name."""
    with pytest.MonkeyPatch.context() as patched, ps.open(":memory:") as plain:
        patched.setattr(rollups, "MOST_ROWS", 1e9)
        plain.ingest({f"delivery.{name}": table for name, table in planted_tables.items()})
        assert build_at_once(plain).ok
        yield plain, Rolled(plain.engine)


def request(draw: random.Random) -> dict[str, Any]:
    """A request such as people make."""
    asked: dict[str, Any] = {
        "by": draw.sample(DIMENSIONS, draw.choice((0, 0, 1, 1, 2))),
        "grain": draw.choice(("day", "week", "month", "all", "all")), "where": draw.choice(WHERES),
    }
    if draw.random() < 0.5:
        since = date(2024, 1, 1) + timedelta(days=draw.randrange(-3, 18))
        asked |= {"since": since, "until": since + timedelta(days=draw.randrange(1, 15))}
        asked["compare"] = draw.choice((None, "previous"))
    return asked


@pytest.mark.slow
def test_rollups_give_what_the_rows_give(both: tuple[Warehouse, Warehouse]) -> None:
    plain, rolled = both
    scope = rolled.scope("delivery")
    names = [m.name for m in PACK.metrics.values() if not m.hidden]
    draw = random.Random(8)
    by_rollup = same = 0
    for _ in range(70):
        asked = {"names": draw.sample(names, draw.choice((1, 1, 2))), **request(draw)}
        picked = asked.pop("names")
        try:
            expected = plain.metric(*(f"delivery.{n}" for n in picked), **asked)
        except ProdsenseError as error:
            with pytest.raises(type(error)):
                rolled.metric(*(f"delivery.{n}" for n in picked), **asked)
            continue
        plan = compile(Request(picked, **asked), scope)
        by_rollup += any("rollup" in name for name in sources(plan.tree))
        found = rolled.metric(*(f"delivery.{n}" for n in picked), **asked)
        assert_same(expected, found, (picked, asked))
        same += 1
    assert same > 35 and by_rollup > 10, (same, by_rollup)


def assert_same(expected: Any, found: Any, what: object) -> None:
    assert found.arrow.schema == expected.arrow.schema, what
    assert len(found) == len(expected), what
    for old, new in zip(expected.rows, found.rows, strict=True):
        for name, value in old.items():
            if isinstance(value, float) and new[name] is not None:
                assert math.isclose(value, new[name], rel_tol=1e-9, abs_tol=1e-9), (what, name, value, new[name])
            else:
                assert value == new[name], (what, name, value, new[name])
    assert (found.incomplete, found.as_of, found.notes) == (expected.incomplete, expected.as_of, expected.notes), what


@pytest.mark.slow
@pytest.mark.parametrize("asked", [
    {"as_of": "2024-01-10"}, {"tz": "Europe/Berlin"}, {"where": "order_status = 'delivered'"}, {"by": ["restaurant"]},
])
def test_what_a_rollup_does_not_hold_is_read_from_the_rows(
    both: tuple[Warehouse, Warehouse], asked: dict[str, Any]
) -> None:
    scope = both[1].scope("delivery")
    assert "rollup" in str(sources(compile(Request("total_order_volume"), scope).tree))
    assert "rollup" not in str(sources(compile(Request("total_order_volume", **asked), scope).tree))
    assert_same(
        both[0].metric("total_order_volume", **asked), both[1].metric("total_order_volume", **asked), asked
    )


@pytest.mark.parametrize(("sql", "apart"), [
    ("count(*)", True), ("sum(order_total_cents) / 2", True), ("mean(item_count)", True), ("max(tip_amount_cents)", True),
    ("share(has_alcohol)", True), ("ratio(sum(tip_amount_cents), count(*) filter (where has_alcohol))", True),
    ("count(distinct order_id)", True),  # the key of the table: a count of rows
    ("count(distinct customer_id)", False), ("quantile(item_count, 0.5)", False), ("sum(distinct item_count)", False),
    ("median(item_count)", False),
])  # fmt: skip
def test_which_aggregates_can_be_taken_apart(sql: str, apart: bool) -> None:
    scope = Scope.of(PACK)
    metric = Metric("m", "", "count", "up", sql=sql, source="fact_orders", where="order_status = 'delivered'")
    found = taken_apart(define(scope, metric), scope)
    assert (found is not None) == apart
    if found is not None:
        assert all("FILTER(WHERE" in atom and "order_status = 'delivered'" in atom for atom in found[1])


@pytest.mark.slow
def test_a_rollup_keeps_up_by_partition_and_is_not_asked_while_it_lags(
    tiny: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "MOST_ROWS", 1e9)
    site, admin = tiny.site, tiny.client("admin")

    def run(work: Any) -> Any:
        job = site.jobs.submit("test", "tester", work)
        assert job.finished.wait(60) and job.state == "done", job.error
        return job

    def load(table: pa.Table) -> None:
        run(lambda wh, job: {"accepted": wh.ingest({"delivery.fact_orders": table}).accepted})

    def sql() -> str:
        return str(admin.get("/api/v1/metric?name=total_order_volume").json()["sql"])

    run(lambda wh, job: {"n": wh.ingest({"delivery.dim_customers": pa.table({"customer_id": [1]}),
        "delivery.dim_restaurants": pa.table({"restaurant_id": [1], "restaurant_external_id": ["r"],
            "restaurant_name": ["R"], "restaurant_lat": [1.0], "restaurant_lng": [1.0]})}).accepted})  # fmt: skip
    load(tiny_orders(20))
    run(build_job())
    assert "rollup_orders" in sql()
    load(tiny_orders(1, first=20))
    run(build_job())
    report = run(build_job()).answer  # nothing to do
    assert {m["mode"] for m in report["models"]} <= {"unchanged", "view"}
    with site.reader(tiny.actor("admin")) as warehouse:
        days = warehouse.engine.query(
            "SELECT COUNT(*) AS n FROM prodsense.partitions WHERE relation LIKE '%rollup_orders_order%'"
            " AND partition IS NOT NULL"
        )["n"][0].as_py()
        assert days == 1  # the new day alone
    assert admin.get("/api/v1/metric?name=total_order_volume").json()["rows"][0]["total_order_volume"] == 21
    # Built by hand, without its rollups: they lag behind and are left aside.
    load(tiny_orders(1, first=21))
    run(lambda wh, job: wh.build().to_dict())
    assert "rollup" not in sql()
    assert admin.get("/api/v1/metric?name=total_order_volume").json()["rows"][0]["total_order_volume"] == 22
    run(build_job())
    assert "rollup_orders" in sql()


@pytest.mark.slow
def test_roles_read_a_rollup_only_where_they_may_read_all_that_is_in_it(both: tuple[Warehouse, Warehouse]) -> None:
    rolled = Rolled(both[1].engine)
    known = {one.relation: one for one in rolled.rollups("delivery")}
    assert rolled.as_role("partner", restaurant_id="1001").rollups("delivery") == ()  # sees some rows only
    assert {one.relation for one in rolled.as_role("executive").rollups("delivery")} == known.keys()
    inside = known["delivery.rollup_orders_order_timestamp"].reads
    relation, column = next((name, column) for name, columns in inside.items() for column in columns)
    rolled.role_settings = {"auditor": {"like": "operations", "hide": [f"{relation}.{column}"]}}
    shown = {one.relation for one in rolled.as_role("auditor").rollups("delivery")}
    assert shown and "delivery.rollup_orders_order_timestamp" not in shown
