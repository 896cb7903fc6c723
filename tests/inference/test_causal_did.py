"""Difference in differences and event studies: by hand, against regressions with all dummies, and refusals."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

import prodsense as ps
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError

sm = pytest.importorskip("statsmodels.api")

#: Four rows a cell: means 10, 12 (untreated), 11, 16 (treated), so the effect is 5 - 2 = 3.
HAND = [
    {"t": t, "a": a, "y": mean + step}
    for (t, a), mean in {(0, 0): 10, (0, 1): 12, (1, 0): 11, (1, 1): 16}.items() for step in (-3, -1, 1, 3)
]  # fmt: skip


def shops(seed: int = 0, effect: float = 2.0, drift: float = 0.0) -> list[dict[str, Any]]:
    """30 shops over 6 months, half of them treated from the fourth; `drift` makes the treated move apart before."""
    rng = np.random.default_rng(seed)
    rows = []
    for shop in range(30):
        level, treated = rng.normal(), shop % 2
        for month in range(6):
            y = 5 + level + 0.5 * month + treated * (drift * month + effect * (month >= 3)) + rng.normal() * 0.5
            rows.append({"shop": f"s{shop:02}", "month": date(2024, month + 1, 1), "pilot": bool(treated), "sales": y,
                         "size": shop % 5, "kind": "abc"[shop % 3], "cohort": date(2024, 4, 1) if treated else None})  # fmt: skip
    return rows


def test_the_effect_by_hand() -> None:
    found = ps.did(HAND, "y", treated="t", after="a", errors="classic")
    assert [(r["term"], pytest.approx(r["estimate"])) for r in found.rows] == [
        ("effect", 3), ("treated", 1), ("after", 2), ("constant", 10)
    ]  # fmt: skip
    # Within a cell the squares sum to 20: variance 80 / 12, and each of the four means has 4 rows.
    assert found.std_error == pytest.approx((80 / 12) ** 0.5)
    assert [m["mean"] for m in found.extras["means"]] == pytest.approx([10, 12, 11, 16])
    assert found.extras["relative"] == pytest.approx(3 / 13)
    assert found.label == "quasi-experimental" and found.to_dict()["label"] == "quasi-experimental"
    assert found.extras["pre_trend"] is None and any("cannot be tested" in w for w in found.warnings)
    assert "quasi-experimental: effect 3" in str(found)


def test_clusters_and_covariates_equal_statsmodels() -> None:
    rows = shops()
    y = np.array([r["sales"] for r in rows])
    d, post = np.array([r["pilot"] for r in rows], float), np.array([r["month"] >= date(2024, 4, 1) for r in rows], float)
    groups = np.unique([r["shop"] for r in rows], return_inverse=True)[1]
    plain = np.column_stack([d * post, d, post, np.ones(len(y))])
    kinds = np.array([[r["size"], r["kind"] == "b", r["kind"] == "c"] for r in rows], float)
    for covariates, x in (((), plain), (("size", "kind"), np.column_stack([plain, kinds]))):
        fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": groups})
        found = ps.did(rows, "sales", treated="pilot", time="month", since="2024-04-01", unit="shop", covariates=covariates)
        assert [r["estimate"] for r in found.rows] == pytest.approx(fit.params, rel=1e-9)
        assert [r["std_error"] for r in found.rows] == pytest.approx(fit.bse, rel=1e-7)
        assert found.extras["clusters"] == [30]
    listed = ps.did(rows, "sales", treated=[f"s{i:02}" for i in range(1, 30, 2)], time="month", since=date(2024, 4, 1), unit="shop")
    assert listed.value == pytest.approx(found.value, abs=0.2)


def test_an_event_study_equals_a_regression_with_all_dummies() -> None:
    rows = shops(1)
    found = ps.event_study(rows, "sales", time="month", treated="pilot", since="2024-04-01", unit="shop")
    units = np.unique([r["shop"] for r in rows], return_inverse=True)[1]
    months = np.array([r["month"].month - 1 for r in rows])
    d, y = np.array([r["pilot"] for r in rows], float), np.array([r["sales"] for r in rows])
    events = [d * (months == m) for m in (0, 1, 3, 4, 5)]
    x = np.column_stack([*events, *(months == m for m in range(1, 6)), *(units == u for u in range(30))]).astype(float)
    fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": units})
    kept = [r for r in found.rows if r["relative"] != -1]
    assert [r["relative"] for r in kept] == [-3, -2, 0, 1, 2]
    assert [r["estimate"] for r in kept] == pytest.approx(fit.params[:5], rel=1e-8)
    # The shops' dummies are nested in the clusters: they cost statsmodels degrees, and none here.
    factor = ((180 - 40) / (180 - 10)) ** 0.5
    assert [r["std_error"] for r in kept] == pytest.approx(fit.bse[:5] * factor, rel=1e-7)
    assert found.value == pytest.approx(fit.params[2:5].mean())
    assert all(r["band_low"] < r["low"] < r["high"] < r["band_high"] for r in kept)
    same = ps.event_study(rows, "sales", time="month", cohort="cohort", unit="shop")
    assert same.value == pytest.approx(found.value)


def test_drifting_groups_are_told_and_steady_ones_are_not() -> None:
    asked: dict[str, Any] = {"treated": "pilot", "time": "month", "since": "2024-04-01", "unit": "shop"}
    steady, drifting = (ps.did(shops(2, drift=drift), "sales", **asked) for drift in (0.0, 1.0))
    assert steady.extras["pre_trend"]["p_value"] > 0.05 and not steady.warnings
    assert [p["since"] for p in steady.extras["placebo"]] == [date(2024, 2, 1), date(2024, 3, 1)]
    assert drifting.extras["pre_trend"]["p_value"] < 1e-6 and any("apart before" in w for w in drifting.warnings)
    study = ps.event_study(shops(2, drift=1.0), "sales", **asked)
    assert study.extras["pre_trend"]["p_value"] < 1e-6 and any("apart before" in w for w in study.warnings)


def test_rows_without_a_value_are_counted_not_zero() -> None:
    found = ps.did([*HAND, {"t": 1, "a": 1, "y": None}], "y", treated="t", after="a")
    assert found.value == pytest.approx(3) and "1 row without y, a, t left out" in found.notes


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_are_said_in_every_dialect(dialect: str) -> None:
    found = ps.did(shops(), "sales", treated="pilot", time="month", since="2024-04-01", unit="shop", grain="month")
    assert found.statements and all(render(sql, dialect) for sql, _ in found.statements)


@pytest.mark.slow
def test_what_is_degenerate_is_refused() -> None:
    rows = shops()
    asked: dict[str, Any] = {"treated": "pilot", "time": "month", "unit": "shop"}
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("either after", rows, {**asked}),
        ("no rows before", rows, {**asked, "since": "2023-01-01"}),
        ("no rows at or after", rows, {**asked, "since": "2025-01-01"}),
        ("should be a date", rows, {**asked, "since": "soon"}),
        ("no row is untreated before", [{**r, "pilot": True} for r in rows], {**asked, "since": "2024-04-01", "errors": "robust"}),
        ("s01 is treated in some rows.*use staggered_did", [{**r, "pilot": r["pilot"] and r["month"].month > 3} for r in rows], {**asked, "since": "2024-04-01"}),
        ("1 treated cluster", [r for r in rows if not r["pilot"] or r["shop"] == "s01"], {**asked, "since": "2024-04-01"}),
        ("one value in all rows", [{**r, "sales": 1} for r in rows], {**asked, "since": "2024-04-01"}),
        ("holds string, not numbers", [{**r, "sales": "x"} for r in rows], {**asked, "since": "2024-04-01"}),
        ("it holds 2", [{**r, "pilot": 2} for r in rows], {**asked, "since": "2024-04-01"}),
        ("infinite", [{**r, "sales": float("inf")} for r in rows], {**asked, "since": "2024-04-01"}),
        ("too large to square", [{**r, "sales": 1e300} for r in rows], {**asked, "since": "2024-04-01"}),
        ("is 1 in no row", [{**r, "a": 0} for r in HAND], {"treated": "t", "after": "a"}),
        ("no column profit", rows, {**asked, "since": "2024-04-01", "covariates": "profit"}),
        ("repeats", rows, {**asked, "since": "2024-04-01", "covariates": ["size", "size"]}),
        ("confidence lies", rows, {**asked, "since": "2024-04-01", "confidence": 95}),
        ("name the unit's column", rows, {"treated": ["s01"], "time": "month", "since": "2024-04-01"}),
        ("shop has no value nobody", rows, {**asked, "treated": ["nobody"], "since": "2024-04-01"}),
        ("need a column to cluster by", HAND, {"treated": "t", "after": "a", "errors": "cluster"}),
    ]  # fmt: skip
    for message, data, options in cases:
        outcome = "sales" if "sales" in data[0] else "y"
        with pytest.raises(UsageError, match=message):
            ps.did(data, outcome, **options)
    several = [{**r, "cohort": date(2024, 3 + i % 2, 1)} for i, r in enumerate(rows)]
    with pytest.raises(UsageError, match=r"2 dates of adoption.*use staggered_did"):
        ps.event_study(several, "sales", time="month", cohort="cohort", unit="shop")
    with pytest.raises(UsageError, match="reference 0 is no period before"):
        ps.event_study(rows, "sales", time="month", treated="pilot", since="2024-04-01", reference=0)
    with pytest.raises(UsageError, match="rows of one group only"):
        gone = [r for r in rows if r["pilot"] or r["month"] != date(2024, 2, 1)]
        ps.event_study(gone, "sales", time="month", treated="pilot", since="2024-04-01")


def test_regression_of_columns() -> None:
    rows = shops()
    found = ps.cluster_ols(rows, "sales", ["size", "kind"], cluster="shop")
    x = np.array([[r["size"], r["kind"] == "b", r["kind"] == "c", 1] for r in rows], float)
    groups = np.unique([r["shop"] for r in rows], return_inverse=True)[1]
    fit = sm.OLS([r["sales"] for r in rows], x).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert [r["term"] for r in found.rows] == ["size", "kind=b", "kind=c", "constant"]
    assert [r["std_error"] for r in found.rows] == pytest.approx(fit.bse, rel=1e-8)
    assert found.label == "observational"
    with pytest.raises(UsageError, match="errors are classic or robust"):
        ps.cluster_ols(rows, "sales", "size", errors="cluster")
