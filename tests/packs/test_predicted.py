"""Predictions and forecasts that packs declare: run on a warehouse with their defaults and with parameters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.packs.predicted import forecast_analysis, prediction_analysis
from prodsense.warehouse import Warehouse


@pytest.fixture(scope="module")
def shop() -> Iterator[Warehouse]:
    random.seed(4)
    users, times = [], []
    for user in range(200):
        at, rate, end = random.uniform(0, 40), random.uniform(0.05, 0.5), random.expovariate(1 / 60)
        end += at
        while at < min(end, 120):
            users.append(user)
            times.append(datetime(2024, 1, 1) + timedelta(days=at))
            at += random.expovariate(rate)
    with ps.open(":memory:") as warehouse:
        with warehouse.engine.temporary(pa.table({"u": users, "t": times})) as name:
            warehouse.engine.replace("shop.visits", f"SELECT * FROM {name}")
        yield warehouse


def test_a_declared_prediction_runs_with_parameters(shop: Warehouse) -> None:
    churn = prediction_analysis("churn", "Who will not come back.", "shop.visits", user="u", time="t", horizon="21d", cutoffs=3)
    assert {p.name: p.default for p in churn.params}["horizon"] == "21d"
    found = churn.run(shop, horizon="14d", top=3)
    direct = ps.predict(shop.events("shop.visits", "u", "t"), horizon="14d", cutoffs=3, top=3)
    assert found.to_json() == direct.to_json() and len(found) == 3
    called = ps.predict(lambda: shop.events("shop.visits", "u", "t"), horizon="14d", cutoffs=3, top=3)
    assert called.to_json() == direct.to_json()
    assert churn.run(shop, **{p.name: p.default for p in churn.params}).extras["horizon_days"] == 21


@pytest.mark.slow
def test_a_declared_forecast_runs_on_a_metric(tmp_path: object) -> None:
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    folder = tmp_path / "raw"  # type: ignore[operator]
    folder.mkdir()
    write(load_pack("delivery").simulate(days=35, scale=0.05, seed=3), folder)
    ahead = forecast_analysis("ahead", "Orders of the next days.", "delivery.total_order_volume", horizon="5")
    with ps.open(tmp_path / "d.duckdb") as warehouse:  # type: ignore[operator]
        warehouse.ingest(str(folder), pack="delivery")
        assert warehouse.build("delivery").ok
        found = ahead.run(warehouse, **{p.name: p.default for p in ahead.params})
        assert len(found) == 5 and found.extras["step"] == "day" and found.sql
