"""Estimates equal those of scipy, statsmodels and tea-tasting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
import tea_tasting as tt
from scipy import stats

from prodsense.inference import estimators
from prodsense.inference.estimators import Outcome, RefusalError, compare, non_inferior
from prodsense.inference.formula import Formula
from prodsense.inference.multiplicity import adjust
from prodsense.inference.srm import srm
from prodsense.inference.suffstats import Moments

MEAN, RATIO = Outcome(Formula.mean()), Outcome(Formula.quotient())


@pytest.fixture(scope="module")
def users() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 4000
    variant = (rng.random(n) < 0.5).astype(int)
    before_visits = 1 + rng.poisson(3, n)
    before = rng.gamma(2, 10, n) * before_visits
    visits = 1 + rng.poisson(3, n)
    revenue = 0.6 * before + rng.gamma(2, 8, n) * visits + variant * 6
    return pd.DataFrame({"variant": variant, "visits": visits, "revenue": revenue, "before": before,
                         "before_visits": before_visits, "country": rng.choice(["de", "fr", "it"], n)})


def sides(users: pd.DataFrame, *columns: str) -> tuple[Moments, Moments]:
    return tuple(Moments.of(users.loc[users.variant == v, list(columns)].to_numpy(float)) for v in (0, 1))  # type: ignore[return-value]


def agree(found: Any, expected: Any) -> None:
    assert found.effect == pytest.approx(expected.effect_size, rel=1e-9)
    assert found.interval == pytest.approx((expected.effect_size_ci_lower, expected.effect_size_ci_upper), rel=1e-8)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.relative == pytest.approx(expected.rel_effect_size, rel=1e-9)


def test_means_ratios_and_cuped_are_those_of_tea_tasting(users: pd.DataFrame) -> None:
    expected = tt.Experiment(
        mean=tt.Mean("revenue"), ratio=tt.RatioOfMeans("revenue", "visits"), cuped=tt.Mean("revenue", "before"),
        ratio_cuped=tt.RatioOfMeans("revenue", "visits", "before", "before_visits"),
    ).analyze(users)
    agree(compare(*sides(users, "revenue"), MEAN), expected["mean"])
    agree(compare(*sides(users, "revenue", "visits"), RATIO), expected["ratio"])
    cuped = compare(*sides(users, "revenue", "before"), Outcome(Formula.mean(), (Formula.mean(),)))
    agree(cuped, expected["cuped"])
    assert cuped.variance_reduction == pytest.approx(users.groupby("variant").apply(
        lambda d: np.corrcoef(d.revenue, d.before)[0, 1] ** 2, include_groups=False).mean(), abs=0.02)
    agree(
        compare(*sides(users, "revenue", "visits", "before", "before_visits"),
                Outcome(Formula.quotient(), (Formula.quotient(),))),
        expected["ratio_cuped"],
    )


def test_a_mean_is_welchs_test(users: pd.DataFrame) -> None:
    found = compare(*sides(users, "revenue"), MEAN)
    a, b = (users.loc[users.variant == v, "revenue"] for v in (0, 1))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.freedom == pytest.approx(expected.df, rel=1e-9)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)


def test_several_covariates_and_an_own_slope_are_least_squares(users: pd.DataFrame) -> None:
    two = Outcome(Formula.mean(), (Formula.mean(), Formula.mean()))
    found = estimators.regression_adjusted(*sides(users, "revenue", "before", "before_visits"), two)
    centred = users.assign(b=users.before - users.before.mean(), v=users.before_visits - users.before_visits.mean())
    fit = smf.ols("revenue ~ variant * (b + v)", centred).fit()
    assert found.effect == pytest.approx(fit.params["variant"], rel=1e-9)
    # Each arm's residuals have their own variance; the part for the covariates' mean is an addition of Lin's.
    parts = 0.0
    for v in (0, 1):
        part = centred[centred.variant == v]
        own = sm.OLS(part.revenue, sm.add_constant(part[["before", "before_visits"]])).fit()
        parts += own.mse_resid / len(part)
    gap = fit.params[["variant:b", "variant:v"]].to_numpy()
    shift = gap @ np.cov(users[["before", "before_visits"]].T) @ gap / len(users)
    assert found.se == pytest.approx(np.sqrt(parts + shift), rel=1e-9)


def test_post_stratification_by_hand(users: pd.DataFrame) -> None:
    by = {v: {c: Moments.of(d.revenue) for c, d in users[users.variant == v].groupby("country")} for v in (0, 1)}
    found = estimators.post_stratified(by[0], by[1], MEAN)
    effect = variance = 0.0
    for _, d in users.groupby("country"):
        a, b = d.revenue[d.variant == 0], d.revenue[d.variant == 1]
        w = len(d) / len(users)
        effect += w * (b.mean() - a.mean())
        variance += w**2 * (a.var() / len(a) + b.var() / len(b))
    assert found.effect == pytest.approx(effect, rel=1e-12)
    assert found.se == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_the_relative_interval_agrees_with_the_test() -> None:
    rng = np.random.default_rng(0)
    for shift in np.linspace(0.0, 1.2, 40):
        a, b = Moments.of(rng.normal(5, 3, 120)), Moments.of(rng.normal(5 + shift, 3, 150))
        found = compare(a, b, MEAN)
        low, high = found.relative_interval
        assert low is not None and high is not None
        assert (low > 0 or high < 0) == (found.p_value < 0.05)


def test_a_control_that_may_be_zero_has_no_relative_interval() -> None:
    a, b = Moments.of([-1.0, 1.0, 0.5, -0.4]), Moments.of([2.0, 3.0, 2.5, 2.2])
    assert compare(a, b, MEAN).relative_interval == (None, None)


def test_non_inferiority_turns_round_with_the_direction() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(10, 2, 400), rng.normal(9.8, 2, 420)
    effect = compare(Moments.of(x), Moments.of(y), MEAN)
    up = non_inferior(effect, 0.5, "up")
    assert up.p_value == pytest.approx(
        stats.ttest_ind(y + 0.5, x, equal_var=False, alternative="greater").pvalue, rel=1e-9)
    down = non_inferior(compare(Moments.of(-x), Moments.of(-y), MEAN), 0.5, "down")
    assert (down.p_value, down.bound) == pytest.approx((up.p_value, -up.bound))  # type: ignore[operator]
    relative = non_inferior(effect, 0.05, "up", relative=True)
    assert relative.p_value == pytest.approx(
        stats.ttest_ind(y, 0.95 * x, equal_var=False, alternative="greater").pvalue, rel=0.01)


@pytest.mark.parametrize(("a", "b", "why"), [
    ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "does not vary"),
    ([5.0, 5.0], [7.0, 7.0], "does not vary"),
])
def test_what_does_not_vary_is_refused(a: list[float], b: list[float], why: str) -> None:
    with pytest.raises(RefusalError, match=why):
        compare(Moments.of(a), Moments.of(b), MEAN)


def test_few_units_and_dead_covariates_are_refused() -> None:
    with pytest.raises(RefusalError, match="arm b has no units"):
        estimators.refuse_few({"a": Moments.of([1.0, 2.0]), "b": Moments.empty(1)}, 2)
    with pytest.raises(RefusalError, match="arm a has 2 units with a value; at least 30"):
        estimators.refuse_few({"a": Moments.of([1.0, 2.0])}, 30)
    side = Moments.of(np.column_stack([[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]]))
    with pytest.raises(RefusalError, match="same for all units"):
        compare(side, side, Outcome(Formula.mean(), (Formula.mean(),)))
    zero = Moments.of(np.column_stack([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]))
    with pytest.raises(RefusalError, match="denominator is 0"):
        compare(zero, zero, RATIO)


def test_corrections_are_those_of_statsmodels_and_of_the_papers_example() -> None:
    from statsmodels.stats.multitest import multipletests

    # Benjamini and Hochberg (1995), section 3.2: 15 tests.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0000]
    rejected = {m: sum(q < 0.05 for q in adjust(p, m)) for m in ("bonferroni", "holm", "hochberg", "bh", "by")}  # type: ignore[operator]
    assert rejected == {"bonferroni": 3, "holm": 3, "hochberg": 3, "bh": 4, "by": 3}
    mixed = np.random.default_rng(2).permutation(p)
    for ours, theirs in (("bonferroni", "bonferroni"), ("holm", "holm"), ("hochberg", "simes-hochberg"),
                         ("bh", "fdr_bh"), ("by", "fdr_by")):
        assert adjust(mixed, ours) == pytest.approx(list(multipletests(mixed, method=theirs)[1]), rel=1e-12)
    assert adjust([0.02, None, 0.03], "bonferroni") == [0.04, None, 0.06]
    assert adjust([], "holm") == []


def test_the_split_is_a_chi_square_test() -> None:
    found = srm({"a": 520, "b": 480, "c": 1010}, {"a": 1, "b": 1, "c": 2})
    expected = stats.chisquare([520, 480, 1010], [502.5, 502.5, 1005])
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.status == "ok"
    assert srm({"a": 5000, "b": 5400}).status == "broken"


def test_a_formula_has_the_gradient_of_its_expression() -> None:
    from prodsense.engines.dialect import parse

    text = "100 * (ratio(c0, c1) - COALESCE(NULLIF(c2, 0), 1) / 2) + CASE WHEN c3 > 2 THEN -c3 * c0 ELSE c1 END"
    formula = Formula.of(parse(text), 4)

    def plain(c: np.ndarray) -> float:
        return float(100 * (c[0] / c[1] - c[2] / 2) - c[3] * c[0])

    at = np.array([2.0, 5.0, 0.7, 3.0])
    found = formula.at(at)
    assert found is not None
    assert found.value == pytest.approx(plain(at))
    steps = np.eye(4) * 1e-6
    numeric = [(plain(at + s) - plain(at - s)) / 2e-6 for s in steps]
    assert found.slope == pytest.approx(numeric, rel=1e-6)
    assert formula.at([2.0, 0.0, 1.0, 3.0]) is None
