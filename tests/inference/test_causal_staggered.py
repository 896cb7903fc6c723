"""Staggered adoption: group-time effects by plain loops, planted effects that a two-way regression misses, refusals."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

import prodsense as ps
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError
from prodsense.inference.causal_staggered import METHODS, att
from prodsense.inference.causal_twfe import two_way

sm = pytest.importorskip("statsmodels.api")


def counties(seed: int = 0, growth: float = 1.0, noise: float = 0.3) -> list[dict[str, Any]]:
    """90 counties over 8 years: cohorts 2003 and 2006, a third never; the effect grows by `growth` a year."""
    rng = np.random.default_rng(seed)
    rows = []
    for county in range(90):
        first = (2003, 2006, 0)[county % 3]
        level, x = rng.normal(), rng.normal()
        for year in range(2000, 2008):
            effect = growth * (year - first + 1) if first and year >= first else 0.0
            y = level + 0.2 * (year - 2000) + effect + noise * rng.normal()
            rows.append({"county": county, "year": year, "first": first, "y": y, "x": x, "state": county % 18})
    return rows


ASKED: dict[str, Any] = {"unit": "county", "time": "year", "cohort": "first"}


def mean(rows: list[dict[str, Any]], years: tuple[int, int], cohorts: tuple[int, ...]) -> float:
    """The mean change of cohorts between two years, by a plain loop."""
    at = {(r["county"], r["year"]): r["y"] for r in rows}
    who = [r["county"] for r in rows if r["year"] == 2000 and r["first"] in cohorts]
    return sum(at[c, years[1]] - at[c, years[0]] for c in who) / len(who)


def test_group_time_effects_by_plain_loops() -> None:
    rows = counties()
    for control in ("never", "not_yet"):
        found = ps.staggered_did(rows, "y", aggregate="group_time", control=control, **ASKED)
        for row in found.rows:
            g, t = row["group"], row["period"]
            base = g - 1 if t >= g else t - 1
            later = (2006,) if control == "not_yet" and g == 2003 and max(t, base) < 2006 else ()
            if control == "not_yet" and g == 2006 and max(t, base) < 2003:
                later = (2003,)
            expected = mean(rows, (base, t), (g,)) - mean(rows, (base, t), (0, *later))
            assert row["estimate"] == pytest.approx(expected, abs=1e-12), (control, g, t)
        assert len(found.rows) == 14


def test_errors_of_a_group_time_effect_are_those_of_two_means() -> None:
    rows = counties()
    row = next(r for r in ps.staggered_did(rows, "y", aggregate="group_time", **ASKED).rows
               if (r["group"], r["period"]) == (2006, 2007))  # fmt: skip
    at = {(r["county"], r["year"]): r["y"] for r in rows}
    change = np.array([at[c, 2007] - at[c, 2005] for c in range(90)])
    variance = sum(change[place::3].var() / 30 for place in (1, 2))
    assert row["std_error"] == pytest.approx((variance * 90 / 89) ** 0.5)


def test_growing_effects_are_found_and_the_two_way_regression_is_told() -> None:
    found = ps.staggered_did(counties(noise=0.1), "y", **ASKED)
    by = {r["relative"]: r["estimate"] for r in found.rows}
    for e in range(5):
        assert by[e] == pytest.approx(e + 1, abs=0.15)
    assert all(abs(by[e]) < 0.15 for e in by if e < 0)
    truth = (5 * 3 + 2 * 1.5) / 7  # cohort 2003 is seen 5 years (mean 3), cohort 2006 2 years (mean 1.5)
    assert found.extras["aggregates"]["simple"]["estimate"] == pytest.approx(truth, abs=0.1)
    assert found.extras["aggregates"]["group"]["estimate"] == pytest.approx((3 + 1.5) / 2, abs=0.1)
    naive = found.extras["two_way"]
    assert naive["forbidden_weight"] > 0.1 and naive["estimate"] < truth - 0.2
    assert any("two-way regression" in w for w in found.warnings)
    assert found.extras["pre_trend"]["p_value"] > 0.01
    assert found.label == "quasi-experimental"
    assert [r["relative"] for r in ps.staggered_did(counties(), "y", balance=1, **ASKED).rows][-2:] == [0, 1]


def test_the_two_way_regression_is_that_of_all_dummies_and_its_parts_add_up() -> None:
    rows = counties(3)
    y = np.array([r["y"] for r in rows]).reshape(90, 8)
    cohort = np.array([{2003: 3, 2006: 6, 0: 8}[r["first"]] for r in rows if r["year"] == 2000])
    found = two_way(y, cohort, list(range(2000, 2008)))
    units, years = np.repeat(np.arange(90), 8), np.tile(np.arange(8), 90)
    d = (years >= cohort[units]).astype(float)
    x = np.column_stack([d, units[:, None] == np.arange(90), years[:, None] == np.arange(1, 8)]).astype(float)
    fit = sm.OLS(y.ravel(), x).fit()
    assert found["estimate"] == pytest.approx(fit.params[0], rel=1e-9)
    assert sum(line["weight"] for line in found["comparisons"]) == pytest.approx(1)
    assert sum(line["contribution"] for line in found["comparisons"]) == pytest.approx(found["estimate"], rel=1e-9)


def test_covariates_by_hand() -> None:
    """Estimates of one comparison with covariates, against statsmodels' logit and least squares."""
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    d = (rng.random(400) < 1 / (1 + np.exp(0.5 - 0.8 * x[:, 1]))).astype(float)
    change = 1 + x @ [0, 1, -0.5] + 2 * d + rng.normal(size=400)
    p = sm.Logit(d, x).fit(disp=0).predict()
    fitted = x @ sm.OLS(change[d == 0], x[d == 0]).fit().params
    w = p / (1 - p) * (1 - d)
    expected = {
        "regression": (change - fitted)[d == 1].mean(),
        "weighting": change[d == 1].mean() - np.average(change, weights=w),
        "doubly_robust": (change - fitted)[d == 1].mean() - np.average(change - fitted, weights=w),
    }
    for method in METHODS:
        value, influence = att(change, d, x, method)
        assert value == pytest.approx(expected[method], abs=1e-8)
        assert abs(influence.mean()) < 1e-8
        # The error of a bootstrap of whole rows, roughly.
        assert 0.1 < influence.std() / 20 < 0.3


def test_influence_functions_equal_a_jackknife() -> None:
    """Leaving one row out moves the estimate by its influence: an error without any formula."""
    rng = np.random.default_rng(6)
    n = 400
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    d = (rng.random(n) < 1 / (1 + np.exp(-x[:, 1]))).astype(float)
    change = x[:, 1] + d + rng.normal(size=n)
    for method in METHODS:
        value, influence = att(change, d, x, method)
        out = np.array([att(*(np.delete(a, i, axis=0) for a in (change, d, x)), method)[0] for i in range(n)])
        assert np.corrcoef(value - out, influence)[0, 1] > 0.99
        jackknife = ((n - 1) / n * ((out - out.mean()) ** 2).sum()) ** 0.5
        assert (influence**2).mean() ** 0.5 / n**0.5 == pytest.approx(jackknife, rel=0.08)


def test_clusters_dates_and_left_out_units() -> None:
    rows = counties()
    plain = ps.staggered_did(rows, "y", aggregate="simple", **ASKED)
    by_state = ps.staggered_did(rows, "y", aggregate="simple", cluster="state", **ASKED)
    assert by_state.value == plain.value and by_state.std_error != plain.std_error
    named = [{**r, "state": f"s{r['state']}"} for r in rows]
    assert ps.staggered_did(named, "y", aggregate="simple", cluster="state", **ASKED).std_error == pytest.approx(by_state.std_error)
    dated = [{**r, "year": date(r["year"], 1, 1), "first": date(r["first"], 1, 1) if r["first"] else None} for r in rows]
    assert ps.staggered_did(dated, "y", aggregate="simple", **ASKED).value == pytest.approx(plain.value)
    floats = [{**r, "first": float(r["first"]) or float("inf")} for r in rows]
    assert ps.staggered_did(floats, "y", aggregate="simple", **ASKED).value == pytest.approx(plain.value)
    gone = [r for r in rows if not (r["county"] == 5 and r["year"] == 2002)]
    early = [{**r, "first": 2000} if r["county"] == 4 else r for r in gone]
    found = ps.staggered_did(early, "y", **ASKED)
    assert found.extras["units"] == 88
    assert any("1 of 90 units not seen in all 8 periods" in n for n in found.notes)
    assert any("1 units treated in the first period" in n for n in found.notes)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_are_said_in_every_dialect(dialect: str) -> None:
    rows = [{**r, "year": date(r["year"], 1, 1), "first": date(2003, 1, 1) if r["first"] else None} for r in counties()]
    found = ps.staggered_did(rows, "y", covariates="x", cluster="state", **ASKED)
    assert all(render(sql, dialect) for sql, _ in found.statements)


def test_what_is_degenerate_is_refused() -> None:
    rows = counties()
    nobody = [r for r in rows if r["first"]]
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("no unit is never treated", nobody, {}),
        ("nothing to estimate", [{**r, "first": 0} for r in rows], {}),
        ("several values of cohort", [{**r, "first": r["year"]} for r in rows], {}),
        ("no control named", rows, {"control": "all"}),
        ("has one value only", [r for r in rows if r["year"] == 2003], {}),
        ("a smaller balance", rows, {"balance": 9}),
        ("of different kinds", [{**r, "year": date(r["year"], 1, 1)} for r in rows], {}),
        ("is in 2 clusters", [{**r, "state": r["year"] % 2} for r in rows], {"cluster": "state"}),
        ("tell the treated from the others completely", [{**r, "x": bool(r["first"]) + r["county"] / 1e3} for r in rows], {"covariates": "x"}),
        ("of the controls repeat each other", [{**r, "x": float(bool(r["first"]))} for r in rows], {"covariates": "x", "method": "regression"}),
        ("holds 2000.5; a time", [{**r, "year": r["year"] + 0.5} for r in rows], {}),
    ]  # fmt: skip
    for message, data, options in cases:
        with pytest.raises(UsageError, match=message):
            ps.staggered_did(data, "y", **ASKED, **options)
    later = ps.staggered_did(nobody, "y", control="not_yet", **ASKED)
    assert any("nobody left to compare with" in w for w in later.warnings)
