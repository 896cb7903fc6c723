"""Power, sample sizes and bounds: published figures, and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower
from typer.testing import CliRunner

import prodsense as ps
from prodsense.errors import UsageError
from prodsense.inference.power import always_valid_power, crossing_probability
from prodsense.inference.sequential import always_valid_half, always_valid_p, spending_bounds


def test_published_sample_sizes() -> None:
    assert ps.power(sd=1, effect=0.5).rows[0]["exact_units"] == pytest.approx(63.766, abs=1e-3)
    assert ps.power(sd=1, effect=0.2).rows[0]["exact_units"] == pytest.approx(393.406, abs=1e-3)
    assert ps.power(rate=0.10, effect=0.01).rows[0]["exact_units"] == pytest.approx(14748.0, abs=0.05)


@pytest.mark.parametrize(("d", "n", "ratio", "alpha"), [(0.3, 150, 1.0, 0.05), (0.15, 400, 2.0, 0.01), (0.8, 12, 0.5, 0.1)])
def test_power_is_that_of_statsmodels(d: float, n: int, ratio: float, alpha: float) -> None:
    oracle = TTestIndPower()
    found = ps.power(sd=2, effect=2 * d, units=n, treatment_ratio=ratio, alpha=alpha).rows[0]
    assert found["power"] == pytest.approx(oracle.power(d, n, alpha, ratio), rel=1e-9)
    solved = ps.power(sd=2, units=n, treatment_ratio=ratio, alpha=alpha, power=0.9).rows[0]["effect"]
    # The oracle's solver stops short of six digits in its older versions; its power at our answer does not.
    assert oracle.power(solved / 2, n, alpha, ratio) == pytest.approx(0.9, rel=1e-9)


def test_designs_multiply_the_units() -> None:
    plain = ps.power(sd=1, effect=0.02).rows[0]["exact_units"]
    # Design effect 1 + (50 − 1) · 0.02 = 1.98.
    clustered = ps.power(sd=1, effect=0.02, cluster_size=50, icc=0.02).rows[0]["exact_units"]
    assert clustered / plain == pytest.approx(1.98, rel=0.005)
    assert ps.power(sd=1, effect=0.02, variance_reduction=0.4).rows[0]["exact_units"] / plain == pytest.approx(
        0.6, rel=1e-3)
    three = ps.power(rate=0.1, effect=0.01, treatments=3, guardrails=1).rows[0]
    assert three["alpha_each"] == pytest.approx(0.05 / 3)
    assert three["power"] == pytest.approx(0.9)
    assert three["units_total"] == 4 * three["units_control"]


def test_run_time_and_margin() -> None:
    row = ps.power(rate=0.10, effect=0.01, per_day=4000).rows[0]
    assert (row["units_total"], row["days"]) == (2 * 14749, 8)
    # Non-inferiority: (z.95 + z.8)² · 2 · sd² / margin².
    found = ps.power(sd=1, margin=0.1).rows[0]["exact_units"]
    assert found == pytest.approx((1.6448536 + 0.8416212) ** 2 * 2 / 0.01, rel=2e-3)


@pytest.mark.parametrize(("given", "why"), [
    ({"sd": 0, "effect": 1}, "does not vary"),
    ({"effect": 1}, "give a rate, or the sd"),
    ({"sd": 1}, "give an effect"),
    ({"sd": 1, "effect": 0}, "endless"),
    ({"rate": 1.2, "effect": 0.1}, "between 0 and 1"),
    ({"rate": 0.9, "effect": 0.2}, "cannot change by"),
    ({"sd": 1, "effect": 1, "units": 10, "power": 0.8}, "leave out"),
    ({"sd": 1, "margin": 0.1, "effect": -0.2}, "never be shown"),
    ({"rate": 0.99, "units": 5}, "cannot show any effect"),
    ({"sd": 1, "effect": 1, "alpha": 0}, "alpha"),
])
def test_what_cannot_be_is_refused(given: dict[str, float], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ps.power(**given)


@pytest.mark.slow
def test_spending_bounds_are_the_published_ones() -> None:
    # Lan and DeMets (1983), two-sided 0.05: five equal looks, and two.
    obf = spending_bounds([0.2, 0.4, 0.6, 0.8, 1.0])
    assert obf == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=2e-3)
    assert spending_bounds([0.5, 1.0]) == pytest.approx([2.963, 1.969], abs=1e-3)
    assert spending_bounds([0.2, 0.4, 0.6, 0.8, 1.0], family="pocock") == pytest.approx(
        [2.438, 2.427, 2.410, 2.397, 2.386], abs=1e-3)
    assert spending_bounds([1.0]) == pytest.approx([1.959964], abs=1e-6)
    assert crossing_probability(obf, [0.2, 0.4, 0.6, 0.8, 1.0], 0.0) == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(UsageError, match="rising"):
        spending_bounds([0.5, 0.5])


def test_the_sequences_interval_and_p_agree() -> None:
    for n in (200, 5000, 1_000_000):
        edge = always_valid_half(1.0, n, 0.05)
        assert always_valid_p(edge, n, 0.05) == pytest.approx(0.05)
        assert edge > 1.96
    assert always_valid_p(0.5, 1000, 0.05) == 1.0


@pytest.mark.parametrize(("effect", "simulated"), [(0.03, 0.35), (0.04, 0.66), (0.05, 0.89)])
def test_power_of_an_always_valid_test_is_the_simulated_one(effect: float, simulated: float) -> None:
    """28 looks, 500 units an arm and look; simulated here, and beside a figure simulated elsewhere."""
    rng = np.random.default_rng(1)
    n = 500 * np.arange(1, 29)
    sums = np.cumsum(rng.normal(effect * 500, np.sqrt(2 * 500), (4000, 28)), axis=1)
    z = sums / np.sqrt(2 * n)
    edges = np.array([always_valid_half(1.0, 2 * m, 0.05) for m in n])
    here = np.mean(np.any(np.abs(z) > edges, axis=1))
    found = always_valid_power(np.sqrt(2 / n[-1]), 2 * n[-1], effect, 28, 0.05)
    assert found == pytest.approx(here, abs=0.02)
    assert found == pytest.approx(simulated, abs=0.02)


def test_the_command() -> None:
    from prodsense.cli.app import app

    done = CliRunner().invoke(app, ["power", "--rate", "0.1", "--relative", "0.1", "--format", "json"])
    assert done.exit_code == 0
    assert '"units_control": 14749' in done.output
