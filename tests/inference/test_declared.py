"""Declared experiments: what each unit adds to a metric, derived from the metric itself, checked row by row by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.contracts.tables import read_schema
from prodsense.contracts.vocabulary import Experiment, Metric
from prodsense.engines.dialect import DIALECTS, render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import UsageError
from prodsense.inference.analysis import analyse
from prodsense.inference.declared import Options, assignments, compiled, study_of
from prodsense.inference.readout import Readout, readout
from prodsense.metrics.scope import Scope

SCHEMA = """
-- Users.
CREATE TABLE users (user_id BIGINT PRIMARY KEY, country VARCHAR(2));
-- Orders.
-- time: ordered_at
CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY, user_id BIGINT REFERENCES users (user_id), ordered_at TIMESTAMP, cents INT,
    is_late BOOLEAN
);
-- Visits.
-- time: visited_at
CREATE TABLE visits (visit_id BIGINT PRIMARY KEY, user_id BIGINT, visited_at TIMESTAMP);
-- Tickets of an order.
-- time: opened_at
CREATE TABLE tickets (ticket_id BIGINT PRIMARY KEY, order_id BIGINT REFERENCES orders (order_id), opened_at TIMESTAMP);
-- Who saw what.
CREATE TABLE experiment_assignments (
    experiment VARCHAR(20), unit_id VARCHAR(20), variant VARCHAR(20), assigned_at TIMESTAMP, country VARCHAR(2)
);
"""

_order = {"source": "orders", "unit": "share", "better": "up"}
METRICS = [
    Metric("revenue", "", "currency", "up", "SUM(cents) / 100.0", source="orders"),
    Metric("orders_placed", "", "count", "up", "COUNT(*)", source="orders"),
    Metric("basket", "", "currency", "up", "mean(cents) / 100", source="orders"),
    Metric("late_rate", "", "share", "down", "share(is_late)", source="orders"),
    Metric("big_late_rate", "", "share", "down", "share(is_late) FILTER (WHERE cents > 500)", source="orders",
           where="cents < 5000"),
    Metric("ticket_count", "", "count", "down", "COUNT(*)", source="tickets"),
    Metric("visit_count", "", "count", "up", "COUNT(*)", source="visits"),
    Metric("orders_per_visit", "", "ratio", "up", "ratio(orders_placed, visit_count)"),
    Metric("basket_p50", "", "currency", "up", "quantile(cents, 0.5)", source="orders"),
    Metric("biggest", "", "currency", "up", "MAX(cents)", source="orders"),
    Metric("weekly", "", "count", "up", "COUNT(DISTINCT user_id)", source="orders", rolling=7),
]
START = datetime(2024, 3, 1)


def rows_of(seed: int = 6, users: int = 300, effect: int = 0) -> dict[str, list[tuple[Any, ...]]]:
    """Users assigned over four days from the fifth; some order nothing, some before they are assigned."""
    rng = np.random.default_rng(seed)
    log, orders, visits, tickets = [], [], [], []
    for user in range(users):
        arm = "new" if rng.random() < 0.5 else "control"
        minute = int(rng.integers(4 * 1440, 8 * 1440))
        log.append(("test", str(user), arm, minute, ["de", "fr"][user % 2]))
        for _ in range(rng.poisson(rng.gamma(2, 2))):
            at = int(rng.integers(0, 20 * 1440))
            more = effect if arm == "new" and at >= minute else 0
            orders.append((len(orders), user, at, int(rng.integers(100, 6000)) + more, bool(rng.random() < 0.3)))
            if rng.random() < 0.2:
                tickets.append((len(tickets), len(orders) - 1, at + 60))
        visits += [(0, user, int(rng.integers(0, 20 * 1440))) for _ in range(rng.poisson(5))]
    visits = [(i, *row[1:]) for i, row in enumerate(visits)]
    return {"experiment_assignments": log, "orders": orders, "visits": visits, "tickets": tickets}


@pytest.fixture(scope="module")
def data() -> dict[str, list[tuple[Any, ...]]]:
    return rows_of()


def load(engine: DuckDBEngine, data: dict[str, list[tuple[Any, ...]]]) -> Scope:
    tables = read_schema(SCHEMA, "shop", "test")
    for name, table in tables.items():
        engine.create_table(f"shop.{name}", {c.name: c.type for c in table.columns.values()})
        if rows := data.get(name):
            columns = {
                column: [START + timedelta(minutes=v) if column.endswith("_at") else v for v in values]
                for column, values in zip(table.columns, zip(*rows, strict=True), strict=True)
            }
            engine.append(f"shop.{name}", pa.table(columns))
    return Scope("shop", {m.name: m for m in METRICS}, {}, tables, {}, {}, engine.columns)


@pytest.fixture(scope="module")
def shop(data: dict[str, list[tuple[Any, ...]]]) -> Iterator[tuple[DuckDBEngine, Scope]]:
    engine = DuckDBEngine()
    yield engine, load(engine, data)
    engine.close()


TEST = Experiment("test", "", "user", ("control", "new"),
                  ("revenue", "basket", "late_rate", "big_late_rate", "ticket_count", "orders_per_visit"), key="user_id")


def run(shop: tuple[DuckDBEngine, Scope], experiment: Experiment = TEST, **options: Any) -> Readout:
    engine, scope = shop
    return readout(analyse(engine, study_of(engine, compiled(experiment, scope, Options.read(options, "test")))))


def by_hand(data: dict[str, list[tuple[Any, ...]]], within: int | None = None, before: int | None = None) -> Any:
    """Each metric's numerator and denominator of each user, by plain loops."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    orders = {row[0]: row for row in data["orders"]}
    for _, unit, arm, minute, _ in data["experiment_assignments"]:
        user = int(unit)

        def counts(owner: int, at: int, who: int = user, start: int = minute) -> bool:
            if owner != who:
                return False
            if before is not None:
                return start - before * 1440 <= at < start
            return at >= start and (within is None or at < start + within * 1440)

        mine = [o for o in data["orders"] if counts(o[1], o[2])]
        big = [o for o in mine if 500 < o[3] < 5000]
        found.setdefault(arm, {})[unit] = {
            "revenue": [sum(o[3] for o in mine) / 100, 1], "basket": [sum(o[3] for o in mine) / 100, len(mine)],
            "late_rate": [sum(o[4] for o in mine), len(mine)], "big_late_rate": [sum(o[4] for o in big), len(big)],
            "ticket_count": [sum(counts(orders[t[1]][1], t[2]) for t in data["tickets"]), 1],
            "orders_per_visit": [len(mine), sum(counts(v[1], v[2]) for v in data["visits"])],
        }
    return found


@pytest.mark.parametrize("within", [None, 3])
def test_units_sums_are_those_of_plain_loops(
    shop: tuple[DuckDBEngine, Scope], data: dict[str, list[tuple[Any, ...]]], within: int | None
) -> None:
    expected = by_hand(data, within)
    found = {row["metric"]: row for row in run(shop, within_days=within or 0).rows}
    for metric, row in found.items():
        value, variance = [], 0.0
        for arm in ("control", "new"):
            pairs = np.array([unit[metric] for unit in expected[arm].values()], float)
            mean = pairs.sum(axis=0)
            r = mean[0] / mean[1]
            value.append(r)
            residual = (pairs[:, 0] - r * pairs[:, 1]) / pairs[:, 1].mean()
            variance += residual.var(ddof=1) / len(pairs)
        assert (row["control_mean"], row["treatment_mean"]) == pytest.approx(tuple(value), rel=1e-10)
        assert row["se"] == pytest.approx(np.sqrt(variance), rel=1e-8)
        assert row["n_control"] == len(expected["control"])


def test_a_metric_of_the_time_before_explains_variance(
    shop: tuple[DuckDBEngine, Scope], data: dict[str, list[tuple[Any, ...]]]
) -> None:
    import tea_tasting as tt

    after, before = by_hand(data), by_hand(data, before=4)
    import pandas as pd

    frame = pd.DataFrame([
        {"variant": int(arm == "new"), "y": after[arm][unit]["revenue"][0], "x": before[arm][unit]["revenue"][0]}
        for arm in after for unit in after[arm]
    ])
    expected = tt.Experiment(m=tt.Mean("y", "x")).analyze(frame)["m"]
    row = run(shop, replace(TEST, primary=("revenue",)), before_days=4).rows[0]
    assert (row["effect"], row["p_value"]) == pytest.approx((expected.effect_size, expected.pvalue), rel=1e-7)
    assert row["adjusted_for"] == "revenue before"
    refused = run(shop, replace(TEST, primary=("ticket_count", "revenue"), since_assignment=True), before_days=0)
    assert refused.rows[0]["adjusted_for"] is None


def test_a_quantile_of_rows(shop: tuple[DuckDBEngine, Scope], data: dict[str, list[tuple[Any, ...]]]) -> None:
    row = run(shop, replace(TEST, primary=("basket_p50",))).rows[0]
    start = {int(u): (arm, minute) for _, u, arm, minute, _ in data["experiment_assignments"]}
    cents = {arm: [o[3] for o in data["orders"] if start[o[1]][0] == arm and o[2] >= start[o[1]][1]]
             for arm in ("control", "new")}
    assert (row["control_mean"], row["treatment_mean"]) == (np.median(cents["control"]), np.median(cents["new"]))
    assert row["se"] > 0


def test_what_does_not_add_up_is_refused_and_the_rest_runs(shop: tuple[DuckDBEngine, Scope]) -> None:
    found = run(shop, replace(TEST, primary=("revenue", "biggest", "weekly")))
    why = {row["metric"]: row["refused"] for row in found.rows}
    assert why["revenue"] is None
    assert "MAX(cents) does not add up over units" in why["biggest"]
    assert "trailing 7 days" in why["weekly"]
    assert found.decision == "hold"
    with pytest.raises(UsageError, match="does not add up"):
        run(shop, replace(TEST, primary=("biggest",)))
    with pytest.raises(UsageError, match="cannot be read by device_id"):
        run(shop, replace(TEST, key="device_id", sql="SELECT unit_id AS unit, variant AS arm, assigned_at FROM"
                          " experiment_assignments"))


def test_planted_effect_and_clean_run(shop: tuple[DuckDBEngine, Scope]) -> None:
    assert run(shop, replace(TEST, guardrails={"late_rate": 0.2})).decision == "hold"
    engine = DuckDBEngine()
    planted = (engine, load(engine, rows_of(effect=1500)))
    found = run(planted, replace(TEST, primary=("basket",), guardrails={"late_rate": 0.2, "orders_placed": "50%"}))
    assert found.decision == "ship"
    row = found.rows[0]
    assert row["ci_low"] < 15 < row["ci_high"]
    engine.close()


def test_units_of_two_arms_are_left_out(data: dict[str, list[tuple[Any, ...]]]) -> None:
    engine = DuckDBEngine()
    log = data["experiment_assignments"]
    extra = [("test", log[0][1], "new" if log[0][2] == "control" else "control", 9000, "de"), log[1],
             ("other", "5", "new", 9000, "de"), ("test", None, "new", 9000, "de")]
    found = run((engine, load(engine, {**data, "experiment_assignments": [*log, *extra]})))
    assert found.extras["facts"] == {"units": 300, "several_arms": 1, "logged_again": 1, "no_arm": 0}
    assert sum(found.srm["observed"].values()) == 299
    engine.close()


def test_segments_and_windows_of_assignment(shop: tuple[DuckDBEngine, Scope]) -> None:
    found = run(shop, replace(TEST, primary=("revenue",), segments=("country",)))
    assert [s["value"] for s in found.extras["segments"]] == ["de", "fr"]
    early = run(shop, replace(TEST, primary=("revenue",)), since="2024-03-05", until="2024-03-06")
    assert 0 < sum(early.srm["observed"].values()) < 150
    with pytest.raises(UsageError, match="no column continent"):
        run(shop, replace(TEST, segments=("continent",)))
    with pytest.raises(UsageError, match="no parameter sinse"):
        run(shop, sinse="2024-03-05")


def test_the_statements_can_be_written_for_every_engine(shop: tuple[DuckDBEngine, Scope]) -> None:
    experiment = replace(TEST, primary=("late_rate", "orders_per_visit", "basket_p50"), segments=("country",))
    found = run(shop, experiment, before_days=4, within_days=3)
    texts = {text for text, _ in found.statements}
    assert len(texts) > 4
    for dialect in DIALECTS:
        assert all(render(text, dialect) for text in texts)
        assert render(assignments(experiment, shop[1]), dialect)


# -- the delivery pack -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ps.Warehouse]]:
    """A city with its planted effects, and one with nothing planted."""
    from prodsense.packs import load_pack

    found = {}
    for name, clean in (("planted", False), ("clean", True)):
        folder: Path = tmp_path_factory.mktemp(name)
        found[name] = ps.open(folder / "city.duckdb")
        found[name].ingest(load_pack("delivery").simulate(days=48, scale=0.15, seed=7, clean=clean).tables,  # type: ignore[call-arg]
                           pack="delivery")
        assert found[name].build("delivery").ok
    yield found
    for warehouse in found.values():
        warehouse.close()


@pytest.mark.slow
def test_the_delivery_tests_find_what_was_planted(cities: dict[str, ps.Warehouse]) -> None:
    found = cities["planted"].experiment("delivery.batching_algorithm_ab_test")
    rows = {(row["metric"], row["role"]): row for row in found.rows}
    assert found.srm["status"] == "ok"
    delay = rows["avg_batch_delay", "secondary"]
    assert delay["ci_low"] < -3.0 < delay["ci_high"] < -1  # −3 minutes on batched orders
    assert rows["on_time_rate", "primary"]["verdict"] == "better"
    assert rows["actual_delivery_time", "guardrail"]["guardrail"] == "within"
    assert not [row for row in found.rows if row["refused"]]
    split = cities["planted"].experiment("algorithm_traffic_split")
    delays = {row["arm"]: row for row in split.rows if row["metric"] == "route_efficiency_ratio"}
    assert delays["ml_optimized v1.5"]["effect"] < delays["nearest_neighbor v1.0"]["effect"]
    told = cities["planted"].experiment("batching_transparency_test")
    assert {row["arm"] for row in told.rows} == {"brief", "detailed"}


@pytest.mark.slow
def test_the_delivery_tests_find_nothing_in_a_clean_city(cities: dict[str, ps.Warehouse]) -> None:
    found = cities["clean"].experiment("batching_algorithm_ab_test")
    assert not [row for row in found.rows if row["role"] == "primary" and row["verdict"] in ("better", "worse")]
    assert found.decision == "hold"
    assert cities["clean"].experiment("batching_transparency_test").decision in ("hold",)


def test_an_effect_that_fades_is_seen() -> None:
    """Orders of the treated are dearer in the first three days only."""
    def shop_of(fading: bool) -> Readout:
        rows = rows_of(seed=3, users=900)
        start = {int(u): (arm, minute) for _, u, arm, minute, _ in rows["experiment_assignments"]}
        rows["orders"] = [
            (o, u, at, cents + 2500 * (start[u][0] == "new" and (not fading or 0 <= at - start[u][1] < 3 * 1440)), late)
            for o, u, at, cents, late in rows["orders"]
        ]
        engine = DuckDBEngine()
        found = run((engine, load(engine, rows)), replace(TEST, primary=("basket",), secondary=("late_rate",)),
                    novelty_days=3)
        engine.close()
        return found

    fades = shop_of(True)
    line = fades.extras["novelty"][0]
    assert line["ci_low"] < -25 < line["ci_high"] < 0
    assert [c["check"] for c in fades.extras["checks"] if c["status"] == "warning"] == ["novelty"]
    stays = shop_of(False)
    assert stays.extras["novelty"][0]["p_adjusted"] > 0.05
    assert "novelty" not in [c["check"] for c in stays.extras["checks"]]
