"""Propensity methods: against statsmodels and plain loops, planted effects, balance, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import prodsense as ps
from prodsense.errors import UsageError
from prodsense.inference.causal_propensity import balance_of, logit, match, robust_effect, weighted_effect

sm = pytest.importorskip("statsmodels.api")


def users(n: int = 600, seed: int = 0, effect: float = 1.0) -> list[dict[str, Any]]:
    """Users who take a feature more often when they are active already: the plain difference is far too large."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        activity, plan = rng.normal(), ("free", "pro", "team")[i % 3]
        took = rng.random() < 1 / (1 + np.exp(1 - 1.2 * activity - 0.5 * (plan == "pro")))
        before = 3 * activity + rng.normal()
        rows.append({"activity": activity * 1e4, "plan": plan, "took": bool(took), "before": before,
                     "orders": 2 + 3 * activity + (plan == "pro") + effect * took + rng.normal()})  # fmt: skip
    return rows


ASKED: dict[str, Any] = {"treated": "took", "covariates": ["activity", "plan"]}


def arrays(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.array([[1, r["activity"], r["plan"] == "pro", r["plan"] == "team"] for r in rows], float)
    return np.array([r["took"] for r in rows], float), x, np.array([r["orders"] for r in rows])


def test_the_score_is_that_of_statsmodels_whatever_the_scale() -> None:
    d, x, _ = arrays(users())
    fit = sm.Logit(d, x / [1, 1e4, 1, 1]).fit(disp=0)
    found = logit(d, x)
    assert found.coefficients * [1, 1e4, 1, 1] == pytest.approx(fit.params, abs=1e-7)
    assert found.probability == pytest.approx(fit.predict(), abs=1e-9)
    # The mean square of the influence is the variance of the coefficients (sandwich form).
    robust = sm.GLM(d, x / [1, 1e4, 1, 1], family=sm.families.Binomial()).fit(cov_type="HC0")
    ours = np.sqrt((found.influence**2).sum(axis=0)) / len(d) * [1, 1e4, 1, 1]
    assert ours == pytest.approx(robust.bse, rel=1e-6)


def test_effects_by_weights_of_statsmodels() -> None:
    rows = users()
    d, x, y = arrays(rows)
    p = sm.Logit(d, x / [1, 1e4, 1, 1]).fit(disp=0).predict()
    on, off = d == 1, d == 0

    def gap(w: np.ndarray, values: np.ndarray = y) -> float:
        return float(np.average(values[on], weights=w[on]) - np.average(values[off], weights=w[off]))

    expected = {
        "treated": gap(np.where(on, 1, p / (1 - p))), "all": gap(np.where(on, 1 / p, 1 / (1 - p))),
        "overlap": gap(np.where(on, 1 - p, p)),
    }  # fmt: skip
    for target, value in expected.items():
        found = ps.propensity(rows, "orders", method="weighting", target=target, **ASKED)
        assert found.value == pytest.approx(value, abs=1e-7), target
    fits = [sm.OLS(y[arm], x[arm]).fit() for arm in (on, off)]
    lines = [f.predict(x) for f in fits]
    both = (lines[0] + d / p * (y - lines[0])).mean() - (lines[1] + (1 - d) / (1 - p) * (y - lines[1])).mean()
    assert ps.propensity(rows, "orders", target="all", **ASKED).value == pytest.approx(both, abs=1e-7)
    overlap = ps.propensity(rows, "orders", method="weighting", target="overlap", **ASKED)
    # Overlap weights balance the means of all covariates exactly.
    assert max(abs(b["after"]) for b in overlap.extras["balance"]) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weighting treated", "weighting all", "weighting overlap", "robust treated", "robust all"])
def test_errors_equal_a_jackknife(kind: str) -> None:
    """Errors from formulas against leaving one row out at a time."""
    rng, n = np.random.default_rng(3), 500
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    # Mild selection: where a few rows weigh much, no formula equals a jackknife.
    d = (rng.random(n) < 1 / (1 + np.exp(0.3 - 0.5 * x[:, 1]))).astype(float)
    y = d + x[:, 1] + x[:, 2] ** 2 + rng.normal(size=n)
    method, target = kind.split()
    effect = weighted_effect if method == "weighting" else robust_effect

    def at(kept: np.ndarray) -> tuple[float, float]:
        return effect(d[kept], y[kept], logit(d[kept], x[kept]), x[kept], target)

    out = np.array([at(np.arange(n) != i)[0] for i in range(n)])
    jackknife = ((n - 1) / n * ((out - out.mean()) ** 2).sum()) ** 0.5
    assert at(np.ones(n, bool))[1] == pytest.approx(jackknife, rel=0.03)


@pytest.mark.parametrize("method", ["doubly_robust", "weighting", "matching"])
def test_a_planted_effect_is_found_where_the_plain_difference_is_far_off(method: str) -> None:
    found = ps.propensity(users(1500, seed=1), "orders", method=method, placebo_outcome="before", **ASKED)
    assert found.rows[-1]["estimator"] == "difference of means" and found.rows[-1]["estimate"] > 2.5
    low, high = found.interval
    assert low is not None and high is not None and low < 1 < high and low > 0
    assert found.extras["placebo"]["p_value"] > 0.01
    assert found.label == "observational" and "observational" in str(found)


def test_a_hidden_confounder_shows_in_the_placebo_outcome() -> None:
    found = ps.propensity(users(1500), "orders", treated="took", covariates="plan", placebo_outcome="before")
    assert found.extras["placebo"]["p_value"] < 1e-6
    assert any("confounders are left" in w for w in found.warnings)
    silent = ps.propensity(users(), "orders", **ASKED)
    assert any("no placebo outcome was tested" in w for w in silent.warnings)


def test_matching_by_a_plain_loop() -> None:
    rng = np.random.default_rng(8)
    p = rng.random(120).round(2)  # many ties
    d = (rng.random(120) < 0.3).astype(float)
    for replace in (False, True):
        for ratio in (1, 2):
            found = match(d, p, ratio=ratio, replace=replace)
            free = [i for i in range(120) if d[i] == 0]
            expected = []
            for row in sorted(np.flatnonzero(d == 1), key=lambda i: (-p[i], i)):
                near = sorted(free, key=lambda i: (abs(p[i] - p[row]), 0))[:ratio]
                expected.append(sorted(abs(p[i] - p[row]) for i in near))
                if not replace:
                    # Of equal distances the loop must take what the code took, so that the free ones stay equal.
                    took = found.control_rows[found.treated_rows == row]
                    free = [i for i in free if i not in set(took)]
            got = [
                sorted(abs(p[i] - p[row]) for i in found.control_rows[found.treated_rows == row])
                for row in sorted(np.flatnonzero(d == 1), key=lambda i: (-p[i], i))
            ]
            assert [pytest.approx(e) for e in expected] == got, (replace, ratio)
            if not replace:
                assert len(set(found.control_rows)) == len(found.control_rows)
    tight = match(d, np.where(d == 1, p + 0.003, p), caliper=0.02)
    spread = np.where(d == 1, p + 0.003, p).std(ddof=1)
    gaps = [abs(p[c] - (p[t] + 0.003)) for t, c in zip(tight.treated_rows, tight.control_rows, strict=True)]
    assert max(gaps) <= 0.02 * spread and tight.alone + tight.pairs == d.sum()


def test_matched_weights_and_balance_by_hand() -> None:
    d = np.array([1.0, 1, 0, 0, 0])
    found = match(d, np.array([0.8, 0.5, 0.79, 0.5, 0.1]))
    assert dict(zip(found.treated_rows, found.control_rows, strict=True)) == {0: 2, 1: 3}
    x = np.array([[4.0], [2], [3], [1], [100]])
    line = balance_of(d, x, ["x"], found.weights, "treated")[0]
    sd = 2**0.5  # of 4 and 2
    assert line["before"] == pytest.approx((3 - 104 / 3) / sd) and line["after"] == pytest.approx((3 - 2) / sd)


def test_what_is_degenerate_is_refused() -> None:
    rows = users(200)
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("tell the treated from the others completely", [{**r, "activity": r["took"] * 5 + r["activity"] / 1e6} for r in rows], {}),
        ("0 untreated rows cannot carry", [{**r, "took": True} for r in rows], {}),
        ("one value in all rows", [{**r, "activity": 1.0} for r in rows], {}),
        ("there is nothing to compare", [{**r, "orders": 1.0} for r in rows], {}),
        ("too many for a covariate", [{**r, "plan": f"p{i}"} for i, r in enumerate(rows)], {}),
        ("no method named", rows, {"method": "magic"}),
        ("matching gives the effect on the treated", rows, {"method": "matching", "target": "all"}),
        ("the overlap target is for weighting", rows, {"target": "overlap"}),
        ("cannot give 9 to each", rows, {"method": "matching", "ratio": 9}),
        ("no treated row has a match", rows, {"method": "matching", "caliper": 1e-12}),
        ("caliper is a distance above 0", rows, {"method": "matching", "caliper": -1}),
        ("trim lies between", rows, {"trim": 0.7}),
        ("name the covariates", rows, {"covariates": []}),
        ("repeat each other", [{**r, "twice": 2 * r["activity"]} for r in rows], {"covariates": ["activity", "twice"]}),
        ("has no rows with", [{**r, "orders": None} for r in rows[:3]] + [{**rows[4], "activity": None}], {}),
    ]  # fmt: skip
    for message, data, options in cases:
        with pytest.raises(UsageError, match=message):
            ps.propensity(data, "orders", **{**ASKED, **options})
