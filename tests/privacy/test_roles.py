"""Roles on a pack: what each sees equals what an oracle of plain Python lets it see, and nothing else is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prodsense.contracts.vocabulary import Role
from prodsense.errors import ForbiddenError, ProdsenseError, UsageError
from prodsense.packs import load_pack, pack_names
from prodsense.privacy.restrict import Restricted
from prodsense.privacy.roles import STANDARD, check_settings, grant, is_personal
from prodsense.warehouse import Warehouse
from prodsense.warehouse import open as open_warehouse

from .conftest import SECRET

Tables = Callable[[str], list[dict[str, Any]]]
HIDDEN = ("special_instructions", "delivery_instructions", "delivery_address_lat", "delivery_address_lng")


@pytest.fixture(scope="module")
def wh(built: Path) -> Iterator[Warehouse]:
    with open_warehouse(built, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def orders(rows_of: Tables) -> list[dict[str, Any]]:
    """Orders that count, with the kind of their restaurant."""
    internal = {r["customer_id"] for r in rows_of("dim_customers") if r["is_internal"]}
    kinds = {r["restaurant_id"]: r["cuisine_type"] for r in rows_of("dim_restaurants")}
    return [{**r, "kind": kinds[r["restaurant_id"]]} for r in rows_of("fact_orders") if r["customer_id"] not in internal]


@pytest.fixture(scope="module")
def shop(orders: list[dict[str, Any]]) -> int:
    """A restaurant with days of few customers and days of many."""
    return int(sorted({o["restaurant_id"] for o in orders})[1])


# -- rows and columns --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["analyst", "operations"])
def test_no_relation_shows_a_personal_column(wh: Warehouse, role: str) -> None:
    seen = wh.as_role(role)
    for relation in seen.engine.relations():
        if relation == "prodsense.quarantine":
            assert not {"original", "cells", "reason"} & set(seen.show(relation).arrow.column_names)
        rows = seen.show(relation, limit=None if relation == "delivery.fact_orders" else 40)
        assert not set(HIDDEN) & set(rows.arrow.column_names)
        assert SECRET not in rows.to_json()
        assert "12.34567" not in rows.to_json()
    assert SECRET in wh.show("fact_orders", limit=None).to_json()
    assert wh.show("prodsense.quarantine").rows[0]["original"] is not None


def test_operations_see_where_drivers_are_and_analysts_do_not(wh: Warehouse) -> None:
    assert "driver_lat" in wh.as_role("operations").show("batch_states", limit=1).arrow.column_names
    assert "driver_lat" not in wh.as_role("analyst").show("batch_states", limit=1).arrow.column_names
    with pytest.raises(ForbiddenError, match="may not see driver_lat"):
        wh.as_role("analyst").query("open_batches")
    wh.as_role("operations").query("open_batches")


def test_a_condition_cannot_ask_for_a_hidden_column(wh: Warehouse) -> None:
    for ask in (
        lambda: wh.as_role("analyst").show("fact_orders", where=f"special_instructions = '{SECRET}'"),
        lambda: wh.as_role("operations").events(
            "fact_orders", "customer_id", "order_timestamp", where=f"special_instructions = '{SECRET}'"
        ).engine.query(f"SELECT 1 AS x FROM delivery.fact_orders WHERE special_instructions = '{SECRET}'"),
    ):  # fmt: skip
        with pytest.raises(ProdsenseError, match=r"special_instructions"):
            ask()


@pytest.mark.slow
def test_models_carry_no_personal_column_under_another_name() -> None:
    """A column that is made of a personal one is personal by its name too, or its pack says that it is not."""
    with open_warehouse(":memory:") as empty:
        for name in pack_names():
            pack = load_pack(name)
            if not pack.roles:
                continue
            role = grant("analyst", [pack], {}).packs[name]
            for model in pack.models:
                for column, sources in empty.lineage(f"{name}.{model}").to_dict()["columns"].items():
                    if column.startswith("is_"):
                        continue  # a yes or no made of free words is none
                    personal = [s for s in sources if role.hides(*s.removeprefix(f"{name}.").rsplit(".", 1))]
                    said = {column, f"{model}.{column}"} & set(role.public)
                    assert not personal or said or role.hides(model, column), f"{name}.{model}.{column}: {personal}"


@pytest.mark.parametrize(
    ("relation", "column", "personal"),
    [("users", "name", True), ("dim_customers", "name", True), ("files", "name", False), ("users", "email", True),
     ("dim_restaurants", "restaurant_name", False), ("users", "first_name", True), ("users", "display_name", True),
     ("trips", "start_latitude", True), ("trips", "dropoff_lng", True), ("plates", "plate", False),
     ("features", "feature_name", False), ("logins", "ip_address", True), ("logins", "ip", True),
     ("posts", "text", True), ("messages", "message_type", False), ("users", "date_of_birth", True),
     ("users", "age_group", False), ("users", "home_address", True), ("shipments", "ship_date", False),
     ("orders", "delivery_instructions", True), ("contacts", "phone_number", True), ("t", "platform", False)],
)  # fmt: skip
def test_columns_are_personal_by_their_names(relation: str, column: str, personal: bool) -> None:
    assert is_personal(relation, column) is personal


# -- groups ------------------------------------------------------------------------------------------


def test_an_executive_sees_groups_of_five_or_more(wh: Warehouse, orders: list[dict[str, Any]]) -> None:
    """Order volume by day and kind of restaurant: each number shown is right, and is about five customers or more."""
    people: dict[Any, set[int]] = {}
    count: dict[Any, int] = {}
    for order in orders:
        cell = (order["order_timestamp"].date(), order["kind"])
        people.setdefault(cell, set()).add(order["customer_id"])
        count[cell] = count.get(cell, 0) + 1
    seen = wh.as_role("executive").metric("total_order_volume", by="restaurant_type", grain="day")
    shown = 0
    for row in seen.rows:
        cell = (row["period"], row["restaurant_type"])
        if row["total_order_volume"] is not None:
            assert row["total_order_volume"] == count[cell]
            assert len(people[cell]) >= 5
            assert row["suppressed"] is False
            shown += 1
        else:
            assert row["suppressed"] == (cell in count)
    assert shown
    assert any(row["suppressed"] for row in seen.rows)
    for day in {row["period"] for row in seen.rows}:
        line = [row for row in seen.rows if row["period"] == day]
        gone = [row for row in line if row["suppressed"]]
        assert len(gone) != 1 or len([r for r in line if (day, r["restaurant_type"]) in count]) == 1
    assert "groups of fewer than 5 are not shown" in " ".join(seen.notes)
    # Whole, it is as anybody sees it.
    total = wh.as_role("executive").metric("total_order_volume", grain="all").rows
    assert total == [{"total_order_volume": len(orders), "suppressed": False}]


def test_what_is_compared_with_a_small_group_is_hidden_too(wh: Warehouse, shop: int) -> None:
    seen = wh.as_role("partner", restaurant_id=shop)
    rows = seen.metric("total_order_volume", grain="day", compare="previous").rows
    by_day = {row["period"]: row for row in rows}
    assert any(row["suppressed"] for row in rows)
    for day, row in by_day.items():
        if row["suppressed"]:
            assert row["total_order_volume"] is row["total_order_volume_delta"] is None
        if row["suppressed_previous"]:
            assert row["total_order_volume_previous"] is row["total_order_volume_change"] is None
        before = by_day.get(date.fromordinal(day.toordinal() - 1))
        if before is not None:
            assert row["suppressed_previous"] == before["suppressed"]


def test_a_few_left_out_by_a_condition_hide_the_rest(wh: Warehouse, orders: list[dict[str, Any]]) -> None:
    """Everything less everything but one small kind would tell of that kind."""
    kinds = {order["kind"] for order in orders}
    seen = wh.as_role("executive")
    checked = 0
    for day in sorted({order["order_timestamp"].date() for order in orders})[:14]:
        mine = [order for order in orders if order["order_timestamp"].date() == day]
        for kind in sorted(kinds):
            inside = {order["customer_id"] for order in mine if order["kind"] == kind}
            outside = {order["customer_id"] for order in mine if order["kind"] != kind}
            if not 0 < len(inside) < 5 <= len(outside):
                continue
            window = {"since": day, "until": date.fromordinal(day.toordinal() + 1), "grain": "all"}
            row = seen.metric("total_order_volume", where=f"restaurant_type <> '{kind}'", **window).rows[0]
            assert row["suppressed"] is True
            assert row["total_order_volume"] is None
            checked += 1
            break
        if checked > 2:
            break
    assert checked


def test_metrics_of_several_sources_count_the_people_of_each(wh: Warehouse) -> None:
    plain = {r["delivery_type"]: r for r in wh.metric("logistics_cost_per_order", by="delivery_type").rows}
    for row in wh.as_role("executive").metric("logistics_cost_per_order", by="delivery_type").rows:
        if not row["suppressed"]:
            value = plain[row["delivery_type"]]["logistics_cost_per_order"]
            assert row["logistics_cost_per_order"] == (None if value is None else pytest.approx(value, rel=1e-12))


@pytest.mark.slow
def test_every_metric_runs_for_an_executive(wh: Warehouse) -> None:
    """The count of people fits each form of metric: rolling, per day, last, matured, shares, derived."""
    seen = wh.as_role("executive")
    for name, metric in load_pack("delivery").metrics.items():
        if metric.hidden:
            continue
        answer = seen.metric(name, grain="week")
        assert "_people" not in answer.to_json() + str(answer)
        plain, rows = wh.metric(name, grain="week").rows, answer.rows
        assert [row["period"] for row in rows] == [row["period"] for row in plain]
        for mine, other in zip(rows, plain, strict=True):
            assert mine[name] in (other[name], None) or mine[name] == pytest.approx(other[name])
            assert (mine[name] is None) == (other[name] is None or mine["suppressed"])


# -- a partner's own ---------------------------------------------------------------------------------


def test_a_partner_sees_its_own_numbers_and_nothing_of_others(
    wh: Warehouse, orders: list[dict[str, Any]], rows_of: Tables, shop: int
) -> None:
    seen = wh.as_role("partner", restaurant_id=str(shop))
    mine = [order for order in orders if order["restaurant_id"] == shop]
    assert seen.metric("total_order_volume", grain="all").rows[0]["total_order_volume"] == len(mine)
    rows = seen.metric("total_order_volume", "on_time_rate", by="restaurant", grain="week")
    assert {row["restaurant"] for row in rows.rows} == {shop}
    both = wh.as_role("partner", restaurant_id=[shop, shop + 1]).metric("total_order_volume", by="restaurant")
    assert {row["restaurant"] for row in both.rows} == {shop, shop + 1}
    assert wh.as_role("partner", restaurant_id=424242).metric("total_order_volume").rows[0]["total_order_volume"] is None
    names = {r["restaurant_name"] for r in rows_of("dim_restaurants") if r["restaurant_id"] != shop}
    told = [rows.to_json(), rows.to_csv(), str(rows), json.dumps(seen.catalog(), default=str), repr(rows.sql)]
    assert not [name for name in names if any(name in text for text in told)]
    assert rows.sql == []


def test_a_partner_is_refused_all_else(wh: Warehouse, shop: int) -> None:
    seen = wh.as_role("partner", restaurant_id=shop)
    refused: dict[str, Callable[[], Any]] = {
        "show": lambda: seen.show("fact_orders"), "show other": lambda: seen.show("dim_drivers"),
        "system": lambda: seen.show("prodsense.loads"), "query": lambda: seen.query("driver_batching_performance"),
        "analyze": lambda: seen.analyze("order_funnel"), "experiment": lambda: seen.experiment("batching_algorithm_ab_test"),
        "policies": lambda: seen.policies(), "detect": lambda: seen.detect(pack="delivery"),
        "dashboard": lambda: seen.dashboard("batching_success_scorecard"), "answer": lambda: seen.answer("Q9.1.1"),
        "explain": lambda: seen.explain("total_order_volume", "2024-01-01..2024-01-07", "2024-01-08..2024-01-14"),
        "findings": lambda: seen.findings(), "doctor": lambda: seen.doctor(),
        "events": lambda: seen.events("fact_orders", "customer_id", "order_timestamp"),
        "closed source": lambda: seen.metric("average_batch_size"),
        "closed slice": lambda: seen.metric("total_order_volume", by="vehicle_type"),
        "one person": lambda: seen.metric("total_order_volume", by="driver"),
        "by number": lambda: seen.metric("total_order_volume", where="customer_id = 1"),
        "sql": lambda: seen.engine.query("SELECT * FROM delivery.dim_customers"),
        "ingest": lambda: seen.ingest("x.csv"), "build": lambda: seen.build(), "forget": lambda: seen.forget("1"),
        "restate": lambda: seen.restate("orders", "2024-01-01", "2024-01-02"),
        "pipeline": lambda: seen.run_pipeline("anything"),
    }  # fmt: skip
    for what, ask in refused.items():
        with pytest.raises(ForbiddenError, match=r"role partner") as error:
            ask()
        assert "\n" not in str(error.value), what


def test_a_partner_stands_beside_peers_without_seeing_one(wh: Warehouse, shop: int) -> None:
    seen = wh.as_role("partner", restaurant_id=shop)
    row = seen.benchmark("total_order_volume", grain="all").rows[0]
    moment = seen.metric("total_order_volume", grain="all").as_of
    whole = wh.metric("total_order_volume", by="restaurant", as_of=moment)
    each = {r["restaurant"]: r["total_order_volume"] for r in whole.rows}
    others = sorted(value for restaurant, value in each.items() if restaurant != shop)
    assert row["own"] == each[shop]
    assert (row["alike"], row["peers"], row["refused"]) == ("all", len(others), None)
    assert len(others) == 11
    assert row["low"] == pytest.approx(sum(others[1:4]) / 3)
    assert row["middle"] == pytest.approx(sum(others[4:7]) / 3)
    assert row["high"] == pytest.approx(sum(others[7:10]) / 3)
    with pytest.raises(ForbiddenError, match="has no peers"):
        wh.as_role("executive").benchmark("total_order_volume")
    with pytest.raises(UsageError, match="role that has peers"):
        wh.benchmark("total_order_volume")


# -- other verbs -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_executive_s_pages_hold_no_row_and_no_sql(wh: Warehouse) -> None:
    seen = wh.as_role("executive")
    page = seen.dashboard("batch_operations_monitor")
    text = repr(page) + str(page)
    assert "SELECT" not in text
    assert SECRET not in text
    assert "may not ask for delivery.open_batches" in repr(page.sections)
    rows = seen.query("batch_state_counts")
    assert "suppressed" in rows.arrow.column_names
    assert all(row["batches"] is None or row["batches"] >= 5 for row in rows.rows)
    for result in seen.policies(pack="delivery"):
        assert all(set(row) == {"violation"} for row in result.violations.rows)
    with pytest.raises(ForbiddenError):
        seen.query("open_batches")
    with pytest.raises(ForbiddenError):
        seen.show("orders")


@pytest.mark.slow
@pytest.mark.parametrize("role", ["analyst", "operations"])
def test_who_sees_all_rows_gets_the_answers_of_the_owner(wh: Warehouse, role: str) -> None:
    """Queries, policies, analyses, methods: hidden columns apart, the guard changes nothing."""
    import prodsense as ps

    seen = wh.as_role(role)
    asks: dict[str, Callable[[Any], Any]] = {
        **{f"query {q}": lambda w, q=q: w.query(q).rows for q in load_pack("delivery").queries},
        "policies": lambda w: [(p.name, p.state, len(p.violations)) for p in w.policies(pack="delivery")],
        "funnel": lambda w: w.analyze("order_funnel").rows, "retention": lambda w: w.analyze("reorder_retention").rows,
        "sessions": lambda w: ps.sessions(w.events("fact_orders", "customer_id", "order_timestamp")).rows,
        "explain": lambda w: w.explain("on_time_rate", "2024-01-01..2024-01-07", "2024-01-08..2024-01-14").rows,
        "experiment": lambda w: w.experiment("batching_algorithm_ab_test").rows,
    }  # fmt: skip
    if role == "analyst":
        del asks["query open_batches"]

    def rounded(value: Any) -> Any:
        """Sums of floats may differ in their last digits."""
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [rounded(inner) for inner in value]
        return f"{value:.7g}" if isinstance(value, float) else value

    for what, ask in asks.items():
        assert rounded(ask(seen)) == rounded(ask(wh)), what


def test_an_analyst_sees_the_sql_as_it_ran(wh: Warehouse) -> None:
    shown = wh.as_role("analyst").show("fact_orders", limit=1)
    assert "special_instructions" not in shown.sql[0]
    assert "restaurant_id" in shown.sql[0]
    assert wh.as_role("operations").show("fact_orders", limit=1).sql == []


def test_a_role_is_never_widened(wh: Warehouse, shop: int) -> None:
    partner = wh.as_role("partner", restaurant_id=shop)
    assert wh.as_role("admin") is wh
    assert partner.as_role("admin") is partner
    inner = partner.as_role("analyst")
    assert isinstance(inner, Restricted)
    assert inner.metric("total_order_volume", grain="all").rows[0]["total_order_volume"] == (
        partner.metric("total_order_volume", grain="all").rows[0]["total_order_volume"]
    )
    for ask in (lambda: inner.show("fact_orders"), lambda: inner.show("dim_drivers"), lambda: inner.policies()):
        with pytest.raises(ForbiddenError):
            ask()
    assert inner.metric("total_order_volume").sql == []
    other = partner.as_role("partner", restaurant_id=shop + 1)
    assert other.metric("total_order_volume", grain="all").rows[0]["total_order_volume"] is None


def test_the_catalogue_lists_what_may_be_asked(wh: Warehouse, shop: int) -> None:
    seen = {(e["kind"], e["name"]) for e in wh.as_role("partner", restaurant_id=shop).catalog("delivery")}
    assert ("metric", "total_order_volume") in seen
    assert ("metric", "average_batch_size") not in seen
    assert not {kind for kind, _ in seen} & {"table", "model", "query", "policy", "dashboard", "chart", "experiment"}
    everything = {(e["kind"], e["name"]) for e in wh.catalog("delivery")}
    assert {(e["kind"], e["name"]) for e in wh.as_role("operations").catalog("delivery")} == everything


# -- who asks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "attributes", "said"),
    [("chef", {}, "no role named chef"), ("partners", {}, "Did you mean partner"), ("partner", {}, "restaurant_id"),
     ("partner", {"restaurant_id": ""}, "restaurant_id"), ("partner", {"restaurant_id": "x"}, "integer"),
     ("partner", {"restaurant_id": [1, "x"]}, "integer"), ("partner", {"restaurant": 1}, "Did you mean restaurant_id"),
     ("analyst", {"restaurant_id": 1}, "no attribute restaurant_id")],
)  # fmt: skip
def test_who_asks_must_be_clear(wh: Warehouse, name: str, attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wh.as_role(name, **attributes)


def test_a_project_takes_away_and_adds(wh: Warehouse, shop: int) -> None:
    pack = [load_pack("delivery")]
    settings = {
        "analyst": {"hide": ["delivery.dim_drivers.vehicle_type", "tip_amount_cents"], "raw_sql": False,
                    "rows": {"delivery.fact_orders": "item_count > 1"}, "may": {"queries": ["open_batches"]}},
        "partner": {"k": 9}, "executive": {"k": 2},
        "night": {"like": "operations", "rows": {"fact_orders": "item_count > :least"}, "attributes": {"least": "integer"}},
        "auditor": {"rows": {"fact_deliveries": ""}, "may": {"rows": ["*"]}, "k": 0},
    }  # fmt: skip
    check_settings(settings)
    analyst = grant("analyst", pack, {}, settings)
    assert analyst.hides("delivery.dim_drivers", "vehicle_type")
    assert not analyst.hides("delivery.other", "vehicle_type")
    assert analyst.hides("delivery.orders", "tip_amount_cents")
    assert analyst.condition("delivery.fact_orders") == "(item_count > 1)"
    assert analyst.condition("delivery.dim_drivers") == ""
    assert analyst.may("queries", "delivery", "open_batches")
    assert not analyst.may("queries", "delivery", "batch_state_counts")
    assert not analyst.raw_sql
    assert grant("partner", pack, {"restaurant_id": 1}, settings).k("delivery") == 9
    assert grant("executive", pack, {}, settings).k("delivery") == 5
    night = grant("night", pack, {"least": "2"}, settings)
    assert (night.name, night.values, night.may("rows", "delivery")) == ("night", {"least": 2}, True)
    auditor = grant("auditor", pack, {}, settings)
    assert auditor.condition("delivery.fact_deliveries") == ""
    assert auditor.condition("delivery.fact_orders") is None
    assert not auditor.may("metrics", "delivery")
    assert auditor.k("delivery") == STANDARD["partner"].k
    wh.role_settings = settings
    try:
        assert all(row["item_count"] > 2 for row in wh.as_role("night", least=2).show("fact_orders", limit=None).rows)
    finally:
        wh.role_settings = {}


def test_an_analysis_that_is_opened_runs_over_the_role_s_own_rows(wh: Warehouse) -> None:
    """What it is made of need not be open by itself."""
    wh.role_settings = {"timer": {"rows": {"delivery.order_steps": "order_id < 10000100"}, "k": 0,
                                  "may": {"analyses": ["order_funnel"]}}}  # fmt: skip
    try:
        seen = wh.as_role("timer")
        placed = seen.analyze("order_funnel").rows[0]
        count = wh.engine.query("SELECT COUNT(DISTINCT order_id) AS n FROM delivery.order_steps"
                                " WHERE order_id < 10000100 AND step = 'placed'")["n"][0].as_py()  # fmt: skip
        assert placed["count"] + placed["censored"] == count
        assert placed["count"] < wh.analyze("order_funnel").rows[0]["count"]
        for ask in (
            lambda: seen.analyze("reorder_retention"), lambda: seen.show("order_steps"),
            lambda: seen.events("order_steps", "order_id", "happened_at"), lambda: seen.relation("order_steps"),
        ):  # fmt: skip
            with pytest.raises(ForbiddenError):
                ask()
    finally:
        wh.role_settings = {}


def test_records_are_closed_but_those_of_loads_and_builds(wh: Warehouse) -> None:
    pack = [load_pack("delivery")]
    for role in ("analyst", "operations"):
        granted = grant(role, pack, {})
        assert granted.condition("prodsense.loads") == granted.condition("prodsense.findings") == ""
        assert granted.condition("prodsense.forgotten") is granted.condition("prodsense.streams") is None
        assert granted.condition("prodsense.users") is None
    assert grant("executive", pack, {}).condition("prodsense.loads") is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"a": 1}, "should be a table"), ({"a": {"kk": 1}}, "no setting kk"), ({"a": {"k": -1}}, "should be"),
     ({"a": {"k": "5"}}, "should be a int"), ({"a": {"may": {"queriez": []}}}, "no kind queriez"),
     ({"a": {"like": "admin"}}, "like admin")],
)  # fmt: skip
def test_settings_that_cannot_be_read_are_said(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_settings(settings)


def test_a_role_of_no_pack_has_no_rights() -> None:
    class Bare:
        name = "bare"
        roles: ClassVar[dict[str, Role]] = {}

        def privacy(self, name: str, default: Any) -> Any:
            return default

    partner = grant("partner", [Bare()], {})
    assert partner.condition("bare.anything") is None
    assert not any(partner.may(kind, "bare") for kind in ("metrics", "rows", "queries"))
    assert grant("analyst", [Bare()], {}).condition("other.anything") is None
