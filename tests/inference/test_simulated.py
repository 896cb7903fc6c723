"""Intervals cover the truth as often as they say, false alarms are as rare as promised, power is what was computed.

Each case is simulated at least 1,000 times from a fixed seed, with a true effect that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference import estimators
from prodsense.inference.designs import Clusters, cluster_effect, randomisation_test
from prodsense.inference.estimators import Effect, Outcome, compare, non_inferior
from prodsense.inference.formula import Formula
from prodsense.inference.quantiles import quantile_values
from prodsense.inference.sequential import always_valid_half
from prodsense.inference.suffstats import Moments

RUNS = 1500
MEAN, RATIO = Outcome(Formula.mean()), Outcome(Formula.quotient())
MEAN_CUPED = Outcome(Formula.mean(), (Formula.mean(),))
RATIO_CUPED = Outcome(Formula.quotient(), (Formula.quotient(),))

Draw = Callable[[np.random.Generator], tuple[Effect, float]]


def mean(rng: np.random.Generator) -> tuple[Effect, float]:
    a, b = rng.gamma(2, 5, 400), rng.gamma(2, 5, 250) + 1
    return compare(Moments.of(a), Moments.of(b), MEAN), 1.0


def share(rng: np.random.Generator) -> tuple[Effect, float]:
    return compare(Moments.of(rng.random(600) < 0.2), Moments.of(rng.random(600) < 0.25), MEAN), 0.05


def visits(rng: np.random.Generator, n: int, price: float) -> np.ndarray:
    """Spend and visits a user: heavy users spend differently, so that rows are not units."""
    count = 1 + rng.poisson(rng.gamma(1, 3, n))
    return np.column_stack([price * count + rng.normal(0, 4, n) * np.sqrt(count), count])


def ratio(rng: np.random.Generator) -> tuple[Effect, float]:
    return compare(Moments.of(visits(rng, 500, 3)), Moments.of(visits(rng, 500, 3.4)), RATIO), 0.4


def before_after(rng: np.random.Generator, n: int, effect: float) -> np.ndarray:
    before = rng.gamma(2, 5, n)
    return np.column_stack([before + rng.normal(effect, 4, n), before])


def cuped(rng: np.random.Generator) -> tuple[Effect, float]:
    sides = Moments.of(before_after(rng, 300, 0)), Moments.of(before_after(rng, 200, 1))
    return compare(*sides, MEAN_CUPED), 1.0


def lin(rng: np.random.Generator) -> tuple[Effect, float]:
    sides = Moments.of(before_after(rng, 300, 0)), Moments.of(before_after(rng, 200, 1))
    return estimators.regression_adjusted(*sides, MEAN_CUPED), 1.0


def ratio_cuped(rng: np.random.Generator) -> tuple[Effect, float]:
    def side(price: float) -> Moments:
        taste = rng.gamma(20, 1 / 20, 500)
        parts = []
        for p in (price, 3.0):
            count = 1 + rng.poisson(3, 500)
            parts.append(np.column_stack([(p - 3 + 3 * taste) * count + rng.normal(0, 1, 500), count]))
        return Moments.of(np.column_stack(parts))

    return compare(side(3.0), side(3.1), RATIO_CUPED), 0.1


def strata(rng: np.random.Generator) -> tuple[Effect, float]:
    kind, treated = rng.integers(0, 3, 600), rng.random(600) < 0.4
    y = 4.0 * kind + treated + rng.normal(0, 3, 600)
    by = [{k: Moments.of(y[(kind == k) & (treated == t)]) for k in range(3)} for t in (False, True)]
    return estimators.post_stratified(by[0], by[1], MEAN), 1.0


def clusters(rng: np.random.Generator) -> tuple[Effect, float]:
    """40 clusters of uneven size, intra-cluster correlation about 0.1."""
    def side(effect: float) -> Moments:
        size = rng.integers(20, 80, 20)
        total = size * (effect + rng.normal(0, 1, 20)) + rng.normal(0, 3, 20) * np.sqrt(size)
        return Moments.of(np.column_stack([total, size]))

    values = [estimators.clustered_value(side(e), MEAN, 0) for e in (0.0, 0.5)]
    return estimators.difference(*values), 0.5


def switchback_cells(rng: np.random.Generator, effect: float, paired: bool = True) -> Clusters:
    """Three regions by 10 windows; a region's shocks follow each other. Arms are drawn by pairs of windows, or each by
    itself; the analysis follows the design."""
    shock = np.zeros((3, 10))
    for t in range(10):
        shock[:, t] = 0.6 * shock[:, t - 1] * (t > 0) + rng.normal(0, 1, 3)
    region = np.repeat(np.arange(3), 10)
    size = rng.integers(10, 40, 30).astype(float)
    pairs = np.array([rng.permuted([0, 1]) for _ in range(15)]).reshape(-1) == 1
    treated = pairs if paired else rng.random(30) < 0.5
    total = size * (region + shock.reshape(-1) + effect * treated) + rng.normal(0, 3, 30) * np.sqrt(size)
    return Clusters(total, size, treated, (np.repeat(np.arange(15), 2) if paired else region,), int(size.sum()))


def switchback_by_itself(rng: np.random.Generator) -> tuple[Effect, float]:
    return switchback(rng, paired=False)


def switchback(rng: np.random.Generator, paired: bool = True) -> tuple[Effect, float]:
    fit = cluster_effect(switchback_cells(rng, 0.8, paired))
    value = estimators.Value(1.0, fit.se[0] ** 2 / 2, 1, 1)
    return Effect(value, value, float(fit.beta[0]), float(fit.se[0]), float(fit.freedom[0]), 0.05), 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw", [mean, share, ratio, cuped, lin, ratio_cuped, strata, clusters, switchback,
                             switchback_by_itself], ids=lambda f: f.__name__
)
def test_intervals_cover_the_truth(draw: Draw) -> None:
    rng = np.random.default_rng(20240101)
    inside = 0
    for _ in range(RUNS):
        effect, truth = draw(rng)
        low, high = effect.interval
        inside += low <= truth <= high
    assert 0.93 <= inside / RUNS <= 0.97


@pytest.mark.slow
def test_quantiles_cover_with_units_of_many_rows() -> None:
    """A unit's rows are alike, so that rows taken for units would be far too sure."""
    rng = np.random.default_rng(7)
    engine = DuckDBEngine()
    inside = naive = runs = 0
    for _ in range(40):
        arms = [f"{i} {side}" for i in range(25) for side in "ab"]
        unit = np.repeat(np.arange(50 * 80), 4)
        value = np.repeat(rng.gamma(2, 3, 50 * 80), 4) + rng.gamma(2, 1, len(unit))
        data = pa.table({"arm": np.array(arms)[unit // 80], "unit": unit, "value": value})
        with engine.temporary(data) as name:
            found, _ = quantile_values(engine, f"SELECT * FROM {name}", 0.8, arms, {})
            # Rows taken for units, in the first runs only: it is seen at once.
            rows, _ = quantile_values(engine, f"SELECT * FROM {name}", 0.8, arms, {}, unit="") if not runs else ({}, 0)
        for i in range(25):
            runs += 1
            low, high = estimators.difference(found[f"{i} a"], found[f"{i} b"]).interval
            inside += low <= 0 <= high
            if rows:
                low, high = estimators.difference(rows[f"{i} a"], rows[f"{i} b"]).interval
                naive += low <= 0 <= high
    assert runs == 1000
    assert 0.93 <= inside / runs <= 0.975
    assert naive / 25 < 0.85


def looks(rng: np.random.Generator, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised differences at 28 looks, 500 units an arm and look, without any effect."""
    n = 500 * np.arange(1, 29)
    return np.cumsum(rng.normal(0, np.sqrt(1000), (runs, 28)), axis=1) / np.sqrt(2 * n), n


def test_looking_at_all_times_keeps_the_error_only_with_a_sequence() -> None:
    z, n = looks(np.random.default_rng(3), 4000)
    edges = np.array([always_valid_half(1.0, 2 * m, 0.05) for m in n])
    assert np.mean(np.any(np.abs(z) > edges, axis=1)) <= 0.05
    assert np.mean(np.any(np.abs(z) > 1.96, axis=1)) > 0.2  # the error of peeking with a fixed test
    assert np.mean(np.abs(z[:, -1]) > 1.96) == pytest.approx(0.05, abs=0.011)


def test_false_alarms_of_fixed_tests_are_five_in_a_hundred() -> None:
    rng = np.random.default_rng(11)
    p = [compare(Moments.of(visits(rng, 200, 3)), Moments.of(visits(rng, 200, 3)), RATIO).p_value for _ in range(2000)]
    # 1.96 binomial standard errors of 2,000 runs: 0.96 points.
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.0096)
    # p-values of no effect are uniform.
    assert np.histogram(p, 5, (0, 1))[0] / 2000 == pytest.approx(np.full(5, 0.2), abs=0.035)


@pytest.mark.slow
def test_the_randomisation_test_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    p = np.array([randomisation_test(switchback_cells(rng, 0.0), draws=199, seed=i) for i in range(1000)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.0135)  # 1.96 errors of 1,000 runs


@pytest.mark.slow
@pytest.mark.parametrize("case", ["mean", "rate", "margin", "cuped", "cluster"])
def test_power_is_as_computed(case: str) -> None:
    rng = np.random.default_rng(9)
    runs = 4000

    def draws() -> Iterator[bool]:
        for _ in range(runs):
            if case == "mean":
                yield compare(Moments.of(rng.normal(0, 1, 100)), Moments.of(rng.normal(0.4, 1, 100)), MEAN).p_value < 0.05
            elif case == "rate":
                a, b = rng.binomial(1, 0.2, 600), rng.binomial(1, 0.26, 600)
                yield compare(Moments.of(a), Moments.of(b), MEAN).p_value < 0.05
            elif case == "margin":
                effect = compare(Moments.of(rng.normal(0, 1, 150)), Moments.of(rng.normal(0, 1, 150)), MEAN)
                yield non_inferior(effect, 0.3, "up").shown
            elif case == "cuped":
                before = rng.normal(0, 1, (2, 100))
                y = 0.8 * before + 0.6 * rng.normal(0, 1, (2, 100)) + np.array([[0.0], [0.25]])
                sides = [Moments.of(np.column_stack([y[i], before[i]])) for i in range(2)]
                yield compare(*sides, MEAN_CUPED).p_value < 0.05
            else:
                shared = rng.normal(0, np.sqrt(0.1), 40)
                total = 25 * shared + np.sqrt(25 * 0.9) * rng.normal(0, 1, 40) + np.repeat([0.0, 25 * 0.35], 20)
                cells = [np.column_stack([part, np.full(20, 25.0)]) for part in np.split(total, 2)]
                values = [estimators.clustered_value(Moments.of(c), MEAN, 500) for c in cells]
                yield estimators.difference(*values).p_value < 0.05

    asked = {
        "mean": {"sd": 1, "effect": 0.4, "units": 100}, "rate": {"rate": 0.2, "effect": 0.06, "units": 600},
        "margin": {"sd": 1, "margin": 0.3, "units": 150},
        "cuped": {"sd": 1, "effect": 0.25, "units": 100, "variance_reduction": 0.64},
        "cluster": {"sd": 1, "effect": 0.35, "units": 500, "cluster_size": 25, "icc": 0.1},
    }[case]
    assert ps.power(**asked).rows[0]["power"] == pytest.approx(np.mean(list(draws())), abs=0.02)
