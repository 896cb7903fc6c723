"""Experiments on real data: the figures of each folder's README, and of independent libraries run beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tea_tasting as tt
from scipy import stats

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference.designs import cluster_fit, cluster_products
from prodsense.inference.estimators import Outcome, compare
from prodsense.inference.formula import Formula
from prodsense.inference.multiplicity import adjust
from prodsense.inference.sequential import always_valid_interval
from prodsense.inference.srm import srm
from prodsense.inference.suffstats import Moments


@pytest.fixture(scope="module")
def cats(shared_data: Path) -> Path:
    return shared_data / "cookie_cats" / "cookie_cats.parquet"


def by_metric(found: ps.Warehouse) -> dict[str, dict[str, float]]:
    return {row["metric"]: row for row in found.rows}  # type: ignore[attr-defined]


def test_cookie_cats(cats: Path) -> None:
    found = ps.experiment(
        str(cats), arm="version", control="gate_30", metrics=["retention_1", "retention_7", "sum_game_rounds"],
        guardrails={"one=retention_7": 0.01, "two=retention_7": 0.02},
    )
    assert found.srm["statistic"] == pytest.approx(6.9024049, abs=5e-8)
    assert found.srm["p_value"] == pytest.approx(0.0086080, abs=5e-8)
    assert found.srm["status"] == "warning"
    rows = by_metric(found)
    for metric, control, treatment, effect, low, high, p in (
        ("retention_1", 0.4481879, 0.4422827, -0.0059052, -0.0123926, 0.0005823, 0.0744144),
        ("retention_7", 0.1902013, 0.1820000, -0.0082013, -0.0132817, -0.0031209, 0.00155653),
    ):
        row = rows[metric]
        assert (row["control_mean"], row["treatment_mean"], row["effect"], row["ci_low"], row["ci_high"]) == (
            pytest.approx((control, treatment, effect, low, high), abs=6e-8))
        assert row["p_value"] == pytest.approx(p, rel=1e-5)
    assert (rows["retention_7"]["relative_low"], rows["retention_7"]["relative_high"]) == pytest.approx(
        (-0.068902, -0.016636), abs=1e-6)
    assert rows["sum_game_rounds"]["p_value"] == pytest.approx(0.3759244, abs=1e-7)
    assert rows["one"]["p_margin"] == pytest.approx(0.2438633, abs=1e-7)
    assert rows["one"]["margin_bound"] == pytest.approx(-0.0124649, abs=1e-7)
    assert rows["two"]["p_margin"] == pytest.approx(2.66e-6, rel=2e-3)
    assert (rows["one"]["guardrail"], rows["two"]["guardrail"]) == ("not shown", "within")
    assert found.decision == "stop"  # retention after seven days is worse


def test_cookie_cats_beside_tea_tasting(cats: Path) -> None:
    frame = pd.read_parquet(cats).assign(variant=lambda d: (d.version == "gate_40").astype(int), one=1.0)
    expected = tt.Experiment(
        rounds=tt.Mean("sum_game_rounds"), kept=tt.Mean("retention_7"), cuped=tt.Mean("retention_7", "sum_game_rounds"),
        ratio=tt.RatioOfMeans("retention_7", "sum_game_rounds"),
    ).analyze(frame.astype({"retention_7": float}))
    found = by_metric(ps.experiment(
        str(cats), arm="version", control="gate_30",
        metrics=["rounds=sum_game_rounds", "kept=retention_7", "cuped=retention_7", "ratio=ratio:retention_7/sum_game_rounds"],
        covariates={"cuped": "sum_game_rounds"},
    ))
    for name in ("rounds", "kept", "cuped", "ratio"):
        theirs = expected[name]
        ours = found[name]
        assert (ours["effect"], ours["ci_low"], ours["ci_high"]) == pytest.approx(
            (theirs.effect_size, theirs.effect_size_ci_lower, theirs.effect_size_ci_upper), rel=1e-8)
        assert ours["p_value"] == pytest.approx(theirs.pvalue, rel=1e-6)


def test_cookie_cats_sequential_winsorised_and_quantiles(cats: Path) -> None:
    always = by_metric(ps.experiment(str(cats), arm="version", control="gate_30", sequential=True,
                                     metrics=["retention_7", "retention_1"]))
    assert (always["retention_7"]["ci_low"], always["retention_7"]["ci_high"]) == pytest.approx(
        (-0.0168132, 0.0004106), abs=2e-7)
    assert always["retention_7"]["p_value"] == pytest.approx(0.083284, abs=2e-5)
    assert always["retention_1"]["p_value"] == 1.0
    cut = by_metric(ps.experiment(str(cats), arm="version", control="gate_30", metrics="sum_game_rounds",
                                  winsorize=0.99))["sum_game_rounds"]
    assert (cut["control_mean"], cut["treatment_mean"]) == pytest.approx((49.13584, 48.85392), abs=5e-6)
    assert cut["p_value"] == pytest.approx(0.615193, abs=1e-6)
    middle = by_metric(ps.experiment(str(cats), arm="version", control="gate_30",
                                     metrics=["quantile:sum_game_rounds@0.5", "top=quantile:sum_game_rounds@0.9"]))
    row = middle["sum_game_rounds 0.5-quantile"]
    assert (row["control_mean"], row["treatment_mean"]) == (17, 16)
    assert (middle["top"]["control_mean"], middle["top"]["treatment_mean"]) == (135, 134)


def test_the_same_numbers_from_rows_days_and_aggregates(cats: Path) -> None:
    frame = pd.read_parquet(cats)
    whole = {a: Moments.of(d.sum_game_rounds) for a, d in frame.groupby("version")}
    pieces = {}
    for arm, d in frame.groupby("version"):
        parts = [Moments.of(chunk) for chunk in np.array_split(d.sum_game_rounds.to_numpy(), 14)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        pieces[arm] = total
    reported = {a: Moments.of_variance(len(d), d.sum_game_rounds.mean(), d.sum_game_rounds.var())
                for a, d in frame.groupby("version")}
    outcome = Outcome(Formula.mean())
    effects = [compare(m["gate_30"], m["gate_40"], outcome) for m in (whole, pieces, reported)]
    row = ps.experiment(str(cats), arm="version", control="gate_30", metrics="sum_game_rounds").rows[0]
    # Rows added up by unit are the units.
    doubled = pd.concat([frame.assign(sum_game_rounds=frame.sum_game_rounds * share) for share in (0.25, 0.75)])
    events = ps.experiment(doubled, arm="version", control="gate_30", unit="userid", metrics="sum_game_rounds").rows[0]
    for effect, se in [*((e.effect, e.se) for e in effects), (events["effect"], events["se"])]:
        assert (effect, se) == pytest.approx((row["effect"], row["se"]), rel=1e-10)


def test_asos_experiments(shared_data: Path) -> None:
    """165 tests at their last snapshot, as others have aggregated them."""
    frame = pq.read_table(shared_data / "asos_experiments" / "asos.parquet").to_pandas()
    keys = ["experiment_id", "variant_id", "metric_id"]
    columns = ["count_c", "count_t", "mean_c", "mean_t", "variance_c", "variance_t"]
    whole = frame.dropna(subset=columns)
    last = whole.sort_values("time_since_start").groupby(keys).tail(1)
    assert (len(last), last[keys[:2]].drop_duplicates().shape[0]) == (165, 45)

    def effect_of(row: pd.Series) -> object:
        sides = (Moments.of_variance(row[f"count_{s}"], row[f"mean_{s}"], row[f"variance_{s}"]) for s in "ct")
        return compare(*sides, Outcome(Formula.mean()))

    effects = [effect_of(row) for _, row in last.iterrows()]
    p = [2 * stats.norm.sf(abs(e.effect) / e.se) for e in effects]
    assert sum(value < 0.05 for value in p) == 50
    assert sum(value < 0.05 for value in adjust(p, "bh")) == 31
    assert sum(value < 0.05 for value in adjust(p, "holm")) == 17
    assert sum(not low <= 0 <= high for low, high in map(always_valid_interval, effects)) == 14
    first = last[last.metric_id == 1]
    splits = [srm({"c": int(r.count_c), "t": int(r.count_t)}).p_value for r in first.itertuples()]
    assert (len(splits), sum(value < 0.001 for value in splits)) == (45, 5)
    # Peeking at each snapshot finds what is not there; the sequence is crossed by few.
    z = (whole.mean_t - whole.mean_c) / np.sqrt(whole.variance_c / whole.count_c + whole.variance_t / whole.count_t)
    assert whole.assign(hit=z.abs() > 1.96).groupby(keys).hit.any().sum() == 93


def test_petersen(shared_data: Path) -> None:
    engine = DuckDBEngine()
    frame = pd.read_csv(shared_data / "petersen_clustered" / "petersen.csv")
    with engine.temporary(frame) as name:
        for cluster, se in (("firm", 0.0505957), ("year", 0.0333889)):
            xx, xy, rows, _ = cluster_products(engine, f"SELECT * FROM {name}", "y", ["x"], [cluster])
            found = cluster_fit(xx, xy, rows, kind="CR1")
            assert found.beta[1] == pytest.approx(1.0348334, abs=5e-8)
            assert found.se[1] == pytest.approx(se, abs=5e-8)


@pytest.mark.slow
def test_switchback_synthetic(shared_data: Path) -> None:
    """True effect −1.5 minutes; the first half hour of each window still holds the state before."""
    from prodsense.inference.designs import Clusters, cluster_effect

    frame = pq.read_table(shared_data / "switchback_synthetic" / "switchback.parquet").to_pandas()
    frame["hour"] = (frame.window * 2 + frame.slot // 2) % 24
    for rows, n, effect, se, fixed, fixed_se in (
        (frame, 32176, -1.1252, 0.2055, -1.2877, 0.1229),
        (frame[frame.slot > 0], 24084, -1.2780, 0.2143, -1.4952, 0.1325),
    ):
        g = rows.groupby(["region", "window", "hour"])
        cells = g.delivery_minutes.agg(["sum", "size"]).assign(treated=g.treated.first()).reset_index()
        block = cells.region.astype(str) + " " + cells.window.astype(str)
        assert (len(rows), block.nunique()) == (n, 1344)
        for strata, b, s in (((), effect, se), ((cells.region, cells.hour), fixed, fixed_se)):
            fit = cluster_effect(Clusters(
                cells["sum"].to_numpy(), cells["size"].to_numpy(float), cells.treated.to_numpy() == 1,
                tuple(s.to_numpy() for s in strata), n, block.to_numpy()), "CR1")
            assert (fit.beta[0], fit.se[0]) == pytest.approx((b, s), abs=6e-5)
    found = ps.experiment(frame, arm="treated", control="0", metrics="delivery_minutes", where="slot > 0",
                          lower_is_better="delivery_minutes", cluster=["region", "window"], strata=["region", "hour"])
    row = found.rows[0]
    assert row["effect"] == pytest.approx(-1.4952, abs=6e-5)
    assert row["ci_low"] < -1.5 < row["ci_high"] < 0
    assert row["p_randomisation"] == pytest.approx(0.001)
    assert found.decision == "ship"
