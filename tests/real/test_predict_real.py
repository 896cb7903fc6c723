"""Predictions and forecasts on published data: figures of the papers, or of the packages that the READMEs name."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import prodsense as ps
from prodsense.inference.ltv_math import fit_bgnbd


@pytest.fixture(scope="module")
def file(shared_data: Path) -> Any:
    def find(name: str) -> Path:
        path = shared_data / name
        if not path.is_file():
            pytest.skip(f"no data at {path}")
        return path

    return find


def test_cox_of_rossi(file: Any) -> None:
    names = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    found = ps.cox(file("survival/rossi.csv"), "week", "arrest", names)
    published = {"fin": (-0.3794, 0.1914), "age": (-0.0574, 0.0220), "race": (0.3139, 0.3080), "wexp": (-0.1498, 0.2122),
                 "mar": (-0.4337, 0.3819), "paro": (-0.0849, 0.1958), "prio": (0.0915, 0.0286)}  # fmt: skip
    for row in found.rows:
        assert (row["coefficient"], row["std_error"]) == pytest.approx(published[row["covariate"]], abs=1e-4)
    assert found.extras["log_likelihood"] == pytest.approx(-658.748, abs=1e-3)
    assert found.extras["concordance"] == pytest.approx(0.640, abs=1e-3)


@pytest.mark.slow
def test_bgnbd_of_cdnow(file: Any) -> None:
    with file("cdnow/cdnow_rfm_summary.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    x, recency, age = (np.array([float(row[name]) for row in rows]) for name in ("frequency", "recency", "T"))
    model = fit_bgnbd(x, recency, age)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=1e-3)
    assert model.loglik == pytest.approx(-9582.43, abs=0.01)
    # The same from the purchases themselves, whose calibration ends on 30 September 1997; and the 39 weeks after it.
    found = ps.ltv(file("cdnow/cdnow_sample_transactions.csv"), customer="customer_id", time="date", amount="amount",
                   horizon="39w", cut="1997-09-30")  # fmt: skip
    judged = found.extras["judged"]
    assert list(judged["parameters"].values()) == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=1e-3)
    assert judged["beats"] and judged["metrics"][0]["total"] == pytest.approx(judged["metrics"][0]["actual"], rel=0.15)


@pytest.mark.slow
def test_telco_churn(file: Any) -> None:
    found = ps.predict(file("telco_churn/telco.parquet"), label="Churn", id="customerID")
    logit = found.extras["metrics"][0]
    assert logit["auc"] >= 0.845 and logit["ece"] <= 0.015 and logit["average_precision"] >= 0.653
    assert logit["brier"] <= 0.1354 and logit["lift"] >= 2.84 and found.beats
    assert found.extras["positives"] == 1869 and "TotalCharges is text that holds numbers" in " ".join(found.notes)
    straight = ps.predict(file("telco_churn/telco.parquet"), label="Churn", id="customerID", bends=False, penalty=1.0)
    assert straight.extras["metrics"][0]["auc"] == pytest.approx(0.845, abs=1e-3)


@pytest.mark.slow
def test_telco_churn_with_trees(file: Any) -> None:
    found = ps.predict(file("telco_churn/telco.parquet"), label="Churn", id="customerID", learner="boosting")
    trees = found.extras["metrics"][0]
    assert trees["auc"] >= 0.845 and trees["ece"] <= 0.015 and found.beats


@pytest.mark.slow
def test_m4_hourly(file: Any) -> None:
    """All 414 series, 48 hours ahead: the published error of the seasonal naive rule, and ours."""
    found = ps.forecast(file("m4_hourly/train.parquet"), time="t", value="y", by="series_id", seasons=[24, 168], horizon=48)
    rows = found.arrow.sort_by([("series_id", "ascending"), ("time", "ascending")])
    test = duckdb.sql(f"SELECT y FROM '{file('m4_hourly/test.parquet')}' ORDER BY series_id, t").fetchnumpy()["y"]
    actual = np.asarray(test, dtype=float).reshape(414, 48)
    ours, rule, low, high = (rows[name].to_numpy().reshape(414, 48) for name in ("forecast", "baseline", "low", "high"))
    y = found.history
    assert y is not None
    scale = {}
    for key, values in _by(y["series_id"].to_pylist(), y["value"].to_numpy()).items():
        scale[key] = np.abs(values[24:] - values[:-24]).mean()
    mean = np.array([scale[key] for key in sorted(scale)])

    def scores(guess: Any) -> tuple[float, float]:
        smape = 200 * np.abs(actual - guess) / (np.abs(actual) + np.abs(guess))
        return float(smape.mean()), float((np.abs(actual - guess).mean(axis=1) / mean).mean())

    assert scores(rule) == pytest.approx((13.912, 1.193), abs=5e-4)
    smape, mase = scores(ours)
    assert smape <= 13.5 and mase <= 1.10
    assert 0.93 <= ((actual >= low) & (actual <= high)).mean() <= 0.97


def _by(keys: list[str], values: Any) -> dict[str, Any]:
    cuts = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return {keys[a]: values[a:b] for a, b in pairwise(cuts)}
