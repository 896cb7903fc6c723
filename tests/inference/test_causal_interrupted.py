"""Interrupted series: against statsmodels, planted steps, gaps, seasons, placebo dates, refusals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

import prodsense as ps
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError

sm = pytest.importorskip("statsmodels.api")


def days(step: float = 4.0, bend: float = 0.0, n: int = 120, at: int = 80, seed: int = 0, rho: float = 0.3) -> list[dict[str, Any]]:
    """Orders a day with a week's rhythm, and a change on day `at`."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(n)
    for t in range(n):
        noise[t] = (rho * noise[t - 1] if t else 0) + rng.normal()
    return [
        {"day": date(2024, 1, 1) + timedelta(days=t), "quiet": 40 + rng.normal(),
         "orders": 50 + 0.05 * t + 3 * (t % 7 >= 5) + (t >= at) * (step + bend * (t - at)) + noise[t]}
        for t in range(n)
    ]  # fmt: skip


SINCE = date(2024, 1, 1) + timedelta(days=80)


def test_coefficients_and_errors_equal_statsmodels() -> None:
    rows = days(bend=0.1)
    t = np.arange(120)
    post = (t >= 80).astype(float)
    x = np.column_stack([np.ones(120), t - 80, post, post * (t - 80), *(t % 7 == k for k in range(1, 7))]).astype(float)
    fit = sm.OLS([r["orders"] for r in rows], x).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    found = ps.interrupted_series(rows, "orders", time="day", since=SINCE)
    assert found.extras["season"] == 7
    assert [c["estimate"] for c in found.extras["coefficients"]] == pytest.approx(fit.params, rel=1e-8)
    assert [c["std_error"] for c in found.extras["coefficients"]] == pytest.approx(fit.bse, rel=1e-7)
    by = {r["term"]: r for r in found.rows}
    weights = np.zeros(10)
    weights[2], weights[3] = 1, np.arange(40).mean()
    assert by["mean effect"]["estimate"] == pytest.approx(weights @ fit.params)
    assert by["mean effect"]["std_error"] == pytest.approx((weights @ fit.cov_params() @ weights) ** 0.5)
    assert by["step"]["estimate"] == found.value == pytest.approx(fit.params[2])
    # The interval is wider than that of the normal distribution, which covers too little.
    low, high = found.interval
    assert low is not None and high is not None and high - low > 2 * 1.96 * by["step"]["std_error"]


@pytest.mark.slow
def test_a_planted_step_is_found_and_clean_series_are_silent() -> None:
    found = ps.interrupted_series(days(), "orders", time="day", since=SINCE, control="quiet")
    low, high = found.interval
    assert low is not None and high is not None and low < 4 < high and low > 0 and found.extras["estimate"]["p_value"] < 0.01
    assert found.extras["control"]["p_value"] > 0.05
    assert 5 <= len(found.extras["placebo_dates"]) <= 10
    assert sum(p["p_value"] < 0.05 for p in found.extras["placebo_dates"]) <= 1
    assert found.label == "quasi-experimental"
    clean = ps.interrupted_series(days(step=0, seed=5), "orders", time="day", since=SINCE)
    assert clean.extras["estimate"]["p_value"] > 0.05
    assert any("no control series" in w for w in clean.warnings)
    last = found.extras["series"][-1]
    assert last["cumulative"] == pytest.approx(found.extras["total"])
    assert last["cumulative_low"] < last["cumulative"] < last["cumulative_high"]
    assert found.extras["total"] == pytest.approx(40 * found.rows[2]["estimate"], rel=1e-6)
    moved = ps.interrupted_series(days(), "quiet", time="day", since=SINCE, control="orders")
    assert any("moved too" in w for w in moved.warnings)


def test_logarithms_give_relative_effects() -> None:
    rows = [{**r, "orders": float(np.exp(r["orders"] / 50))} for r in days()]
    found = ps.interrupted_series(rows, "orders", time="day", since=SINCE, log=True)
    assert found.extras["estimate"]["relative"] == pytest.approx(np.exp(found.value) - 1)
    assert found.value == pytest.approx(4 / 50, abs=0.04)
    one = found.extras["series"][100]
    assert one["gap"] == pytest.approx(one["actual"] - one["counterfactual"])
    with pytest.raises(UsageError, match="no logarithm"):
        ps.interrupted_series([{**rows[0], "orders": 0.0}, *rows[1:]], "orders", time="day", since=SINCE, log=True)


@pytest.mark.slow
def test_missing_days_are_gaps() -> None:
    rows = days()
    holes = [r for t, r in enumerate(rows) if t not in (10, 11, 40)]
    holes[50]["orders"] = None
    found = ps.interrupted_series(holes, "orders", time="day", since=SINCE)
    assert "4 of 120 periods without a value" in found.notes
    assert found.extras["observations"] == 116 and found.extras["series"][10]["actual"] is None
    assert found.value == pytest.approx(ps.interrupted_series(days(), "orders", time="day", since=SINCE).value, abs=0.5)
    with pytest.raises(UsageError, match="have no row; fill them"):
        ps.interrupted_series(rows[:20] + rows[70:], "orders", time="day", since=SINCE)


@pytest.mark.slow
def test_moments_and_grains() -> None:
    hours = [{"at": f"{r['day']} {h:02}:00:00", "orders": r["orders"] + h} for r in days() for h in (1, 3)]
    found = ps.interrupted_series(hours, "orders", time="at", since=SINCE, grain="day")
    assert found.value == pytest.approx(ps.interrupted_series(days(), "orders", time="day", since=SINCE).value)
    assert "several rows in a period: their mean counts" in found.notes
    weekly = ps.interrupted_series(days(), "orders", time="day", since=date(2024, 3, 25), grain="week")
    assert weekly.extras["season"] == 0 and len(weekly.extras["series"]) == 18
    flat = ps.interrupted_series(days(), "orders", time="day", since=SINCE, slope=False)
    assert [r["term"] for r in flat.rows] == ["step"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_are_said_in_every_dialect(dialect: str) -> None:
    found = ps.interrupted_series(days(), "orders", time="day", since=SINCE, grain="day", covariates="quiet")
    assert found.statements and all(render(sql, dialect) for sql, _ in found.statements)


@pytest.mark.slow
def test_what_is_degenerate_is_refused() -> None:
    rows = days()
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("7 known periods before and 113 after are too few: 8 and 3", rows, {"since": date(2024, 1, 8)}),
        ("14 known periods before .* too few: 15 and 3", rows, {"since": date(2024, 1, 15), "covariates": "quiet"}),
        ("1 after are too few", rows, {"since": rows[-1]["day"]}),
        ("one value in all periods", [{**r, "orders": 7.0} for r in rows], {}),
        ("without any error", [{**r, "orders": float(t)} for t, r in enumerate(rows)], {"season": 0}),
        ("season is a number", rows, {"season": 1}),
        ("less than two seasons", rows, {"season": 50}),
        ("99 lags do not fit", rows, {"lags": 99}),
        ("has 1 periods", rows[:1], {}),
        ("no column sales", rows, {"covariates": "sales"}),
        ("999999999880 of 1000000000000 periods have no row", [{**r, "day": 999999999999 if t == 119 else t} for t, r in enumerate(rows)], {"since": 80}),
        ("infinite", [{**rows[0], "orders": float("inf")}, *rows[1:]], {}),
    ]  # fmt: skip
    for message, data, options in cases:
        with pytest.raises(UsageError, match=message):
            ps.interrupted_series(data, "orders", **{"time": "day", "since": SINCE, **options})
    wandering = [{**r, "orders": v} for r, v in zip(rows, np.random.default_rng(0).normal(size=120).cumsum(), strict=True)]
    found = ps.interrupted_series(wandering, "orders", time="day", since=SINCE)
    assert any("wanders" in w for w in found.warnings)
