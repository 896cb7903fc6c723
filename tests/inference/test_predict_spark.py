"""What the engine computes for predictions and forecasts is on Spark what it is on DuckDB."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference import features


def asked(engine: Any) -> dict[str, Any]:
    rng = np.random.default_rng(6)
    rate, life = rng.gamma(1, 0.3, 200) + 0.01, rng.exponential(50, 200)
    users, times = [], []
    for user in range(200):
        at = start = rng.uniform(0, 100)
        while at < min(150, start + life[user]):
            users.append(user)
            times.append(datetime(2024, 1, 1) + timedelta(seconds=int(86400 * at)))
            at += rng.exponential(1 / rate[user])
    rows = pa.table({"u": users, "t": times, "e": [("view", "pay")[i % 5 == 0] for i in range(len(users))],
                     "paid": np.round(rng.gamma(2, 10, len(users)), 2)})  # fmt: skip
    with engine.temporary(rows) as relation:
        sample = ps.Sample.of(engine, relation)
        with features.log_of(sample, "u", "t", "e", "") as log:
            cuts = features.subject_features(log, 3, horizon=21, gap=2, goal="pay", tz="Europe/Berlin")
        value = ps.ltv(sample, customer="u", time="t", amount="paid", horizon="4w", cut="2024-04-01", top=None)
        ahead = ps.forecast(sample, time="t", grain="day", horizon=7, tz="Europe/Berlin")
        return {"features": cuts.arrow.to_pylist(), "judged": value.extras["judged"]["metrics"][0],
                "value": {r["u"]: r["purchases"] for r in value.rows}, "ahead": ahead.rows,
                "history": ahead.history.to_pylist() if ahead.history else None}  # fmt: skip


@pytest.mark.slow
@pytest.mark.spark
def test_spark_gives_the_same(spark_session: Any, tmp_path: Any) -> None:
    from prodsense.engines.spark import SparkEngine

    ours, theirs = asked(DuckDBEngine()), asked(SparkEngine(tmp_path, session=spark_session))
    assert theirs["features"] == ours["features"]
    assert theirs["history"] == ours["history"]
    assert theirs["judged"]["total"] == pytest.approx(ours["judged"]["total"], rel=1e-6)
    assert theirs["value"] == pytest.approx(ours["value"], rel=1e-6)
    assert [r["forecast"] for r in theirs["ahead"]] == pytest.approx([r["forecast"] for r in ours["ahead"]], rel=1e-9)
