"""Event tables and behaviour analyses that packs declare: found by name, run with parameters, drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.behavior import EventTable
from prodsense.contracts.vocabulary import Analysis, EventSource
from prodsense.errors import ContractError, UsageError
from prodsense.packs import declared
from prodsense.warehouse import Warehouse

START = datetime(2024, 5, 1)
#: (user, minutes after the start, event, country)
LOG = [
    (1, 0, "view", "de"), (1, 5, "cart", "de"), (1, 9, "pay", "de"), (1, 1500, "view", "de"),
    (2, 0, "view", "fr"), (2, 60, "cart", "fr"), (3, 10, "view", "fr"), (9, 0, "view", "staff"),
]  # fmt: skip
COLUMNS = {"user": "u", "time": "t", "event": "e"}


@pytest.fixture(scope="module")
def shop() -> Iterator[Warehouse]:
    with ps.open(":memory:") as warehouse:
        rows = pa.table({
            "u": [u for u, *_ in LOG], "t": [START + timedelta(minutes=m) for _, m, *_ in LOG],
            "e": [e for _, _, e, _ in LOG], "c": [c for *_, c in LOG],
        })  # fmt: skip
        with warehouse.engine.temporary(rows) as name:
            warehouse.engine.replace("shop.clicks", f"SELECT * FROM {name}")
            warehouse.engine.replace("delivery.clicks", f"SELECT * FROM {name}")
        yield warehouse


@pytest.fixture
def logged(shop: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The shop, as if the pack delivery had declared its clicks."""
    pack = shop.pack("delivery")
    log = EventSource("clicks", "u", "t", "e", dimensions=("c",), where="c <> 'staff'")
    monkeypatch.setitem(pack.__dict__, "event_source", log)
    return shop


def run(warehouse: Warehouse, analysis: Analysis, **params: Any) -> Any:
    """As `Warehouse.analyze` does it."""
    from prodsense.metrics.queries import coerce_params

    return analysis.run(warehouse, **coerce_params(analysis.params, params, analysis.name))


def test_a_warehouse_gives_the_events_that_its_pack_declares(logged: Warehouse) -> None:
    for events in (logged.events(), logged.events("delivery"), logged.events("clicks"), logged.events("delivery.clicks")):
        assert (events.relation, events.user, events.time, events.event) == ("delivery.clicks", "u", "t", "e")
        assert events.dimensions == ("c",)
    assert len(ps.cohort(logged.events, "all")) == 3  # staff is left out
    assert len(ps.cohort(logged.events("clicks", where="c = 'fr'"), "all")) == 2
    found = ps.funnel(logged.events, steps=["view", "cart", ps.optional("coupon"), "pay"], within="7d", by="c",
                      as_of="2024-06-01")  # fmt: skip
    assert [(r["c"], r["count"]) for r in found.rows if r["name"] == "view"] == [("fr", 2), ("de", 1)]
    assert found.notes[0] == "of delivery.clicks only rows where c <> 'staff'"
    # Columns that are given are as given, whatever a pack declares.
    assert len(ps.cohort(logged.events("delivery.clicks", "u", "t"), "all")) == 4
    assert logged.events("shop.clicks", "u", "t").event is None


def test_where_nothing_is_declared_columns_must_be_named(shop: Warehouse) -> None:
    with pytest.raises(UsageError, match=r"shop\.clicks is no pack's event table: name a table with its columns"):
        shop.events("shop.clicks", "u")
    with ps.open(":memory:") as empty, pytest.raises(UsageError, match="no pack here declares an event table"):
        empty.events()
    assert shop.events("shop.clicks", **COLUMNS).relation == "shop.clicks"


def test_a_funnel(shop: Warehouse, logged: Warehouse) -> None:
    steps = ["view", "cart", "pay"]
    told = declared.funnel_analysis("f", "Says.", "shop.clicks", steps=steps, within="1d", **COLUMNS)
    assert [r["count"] for r in run(shop, told, as_of="2024-06-01").rows] == [4, 2, 1]
    assert [r["count"] for r in run(shop, told, as_of="2024-06-01", within="10m").rows] == [4, 1, 1]
    by = run(shop, told, as_of="2024-06-01", by="c")
    assert {r["c"]: r["count"] for r in by.rows if r["name"] == "cart"} == {"de": 1, "fr": 1, "staff": 0}
    assert by.chart() is not None
    drops = run(shop, told, as_of="2024-06-01", drops="c")
    assert drops.method == "drops" and drops.notes[0].startswith("cart: 2 dropped and 2 went on, too few")
    # Of the pack's own event table, without columns and without staff.
    own = declared.funnel_analysis("f", "Says.", "delivery", steps=steps, within="1d")
    assert [r["count"] for r in run(logged, own, as_of="2024-06-01").rows] == [3, 2, 1]
    names = {p.name: (p.type, p.default) for p in told.params}
    assert names["within"] == ("text", "1d") and names["since"] == ("date", None)


def test_retention_lifecycle_and_cohorts(shop: Warehouse) -> None:
    back = declared.retention_analysis("r", "Says.", "shop.clicks", days=1, grain="all", return_event="view", **COLUMNS)
    rows = run(shop, back, as_of="2024-05-03").rows
    assert [(r["day"], r["size"], r["retained"]) for r in rows] == [(0, 4, 4), (1, 4, 1)]
    inside = run(shop, back, as_of="2024-05-03", days=0, inside="payers: event=pay; all: where=u > 0").rows
    assert {(r["payers"], r["all"]): r["size"] for r in inside} == {("in", "in"): 1, ("not in", "in"): 3}
    sliced = run(shop, back, as_of="2024-05-03", by="c", days="0").rows
    assert {r["c"]: r["size"] for r in sliced} == {"de": 1, "fr": 2, "staff": 1}

    cycle = declared.lifecycle_analysis("l", "Says.", "shop.clicks", active=["view"], grain="day", by="c", **COLUMNS)
    found = {(r["period"], r["c"]): r["active"] for r in run(shop, cycle).rows}
    assert found[date(2024, 5, 1), "fr"] == 2 and found[date(2024, 5, 2), "de"] == 1

    sets = declared.cohorts_analysis("c", "Says.", "shop.clicks", groups=["payers: event=pay", "fr: where=c = 'fr'"],
                                     **COLUMNS)  # fmt: skip
    assert run(shop, sets).extras["sizes"] == {"payers": 1, "fr": 2}
    assert run(shop, sets, inside="carts: event=cart").extras["sizes"] == {"carts": 2}


def test_paths_and_survival(shop: Warehouse) -> None:
    walk = declared.paths_analysis("p", "Says.", "shop.clicks", gap="2h", **COLUMNS)
    links = {(r["source"], r["target"]): r["count"] for r in run(shop, walk, as_of="2024-05-04").rows if r["step"] == 1}
    assert links == {("view", "cart"): 2, ("view", "(end)"): 3}
    pairs = declared.paths_analysis("t", "Says.", "shop.clicks", shape="transitions", gap="2h", **COLUMNS)
    assert {(r["source"], r["target"]): r["count"] for r in run(shop, pairs, as_of="2024-05-04").rows}[
        "cart", "pay"
    ] == 1
    assert {p.name for p in pairs.params} == {"gap", "merge", "since", "until", "as_of", "tz"}
    with pytest.raises(ContractError, match="no paths of shape 'circle'"):
        declared.paths_analysis("x", "Says.", "shop.clicks", shape="circle")

    wait = declared.survival_analysis("s", "Says.", "shop.clicks", end="cart", start="view", unit="minutes", **COLUMNS)
    answer = run(shop, wait, as_of="2024-05-02")
    assert [(r["time"], r["at_risk"], r["survival"]) for r in answer.rows] == [
        (0.0, 4, 1.0), (5.0, 4, 0.75), (60.0, 3, 0.5),
    ]  # fmt: skip
    assert len(run(shop, wait, by="c", as_of="2024-05-02").extras["groups"]) == 3


def test_the_doctor_sees_a_wrong_event_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from prodsense.doctor import definition_checks
    from prodsense.errors import ProdsenseError
    from prodsense.packs import load_pack

    pack = load_pack("delivery")
    for log, found in [
        (EventSource("orders", "customer_id", "order_timestamp", where="is_delivered"), ""),
        (EventSource("orders", "customer", "order_timestamp"), "customer"),
        (EventSource("order", "customer_id", "order_timestamp"), "order"),
        (EventSource("orders", "customer_id", "order_timestamp", where="delivered"), "delivered"),
    ]:
        monkeypatch.setitem(pack.__dict__, "event_source", log)
        [check] = [check for about, check in definition_checks(pack) if about == "event table of delivery"]
        if found:
            with pytest.raises(ProdsenseError, match=found):
                check()
        else:
            check()


def test_events_table_of_a_pack_is_optional() -> None:
    from prodsense.packs import load_pack
    from prodsense.packs.pack import Pack

    assert Pack("x", "X", "X.", "prodsense.packs").event_source is None
    log = load_pack("delivery").event_source
    assert log is not None and (log.table, log.user) == ("orders", "customer_id")
    assert isinstance(EventTable.read([{"u": 1, "t": START}], "u", "t"), EventTable)
