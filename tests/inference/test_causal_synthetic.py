"""Synthetic controls: optimal weights proved by their conditions, planted effects, placebos, refusals."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

import prodsense as ps
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import UsageError
from prodsense.inference.causal_synthetic import jackknife, mix
from prodsense.inference.causal_weights import simplex_weights


def cities(effect: float = 3.0, seed: int = 0, periods: int = 24, start: int = 16) -> list[dict[str, Any]]:
    """12 cities that follow two common waves; city c00 is 0.5 c01 + 0.3 c02 + 0.2 c03 and gets `effect` at `start`."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(periods, 2)).cumsum(axis=0)
    loads = rng.uniform(0, 1, size=(2, 12))
    loads[:, 0] = loads[:, 1:4] @ [0.5, 0.3, 0.2]
    levels = rng.uniform(20, 30, size=12)
    levels[0] = levels[1:4] @ [0.5, 0.3, 0.2]
    y = levels + waves @ loads + rng.normal(size=(periods, 12)) * 0.1
    y[start:, 0] += effect
    return [{"city": f"c{c:02}", "month": date(2022 + t // 12, t % 12 + 1, 1), "orders": y[t, c]}
            for t in range(periods) for c in range(12)]  # fmt: skip


ASKED: dict[str, Any] = {"unit": "city", "time": "month", "treated": "c00", "since": "2023-05-01"}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e7])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("intercept", [False, True])
def test_weights_are_the_optimum_at_any_scale(scale: float, ridge: float, intercept: bool) -> None:
    """The conditions of an optimum: no donor outside would help, all inside pull alike."""
    rng = np.random.default_rng(1)
    for _ in range(40):
        rows, many = int(rng.integers(2, 25)), int(rng.integers(2, 35))
        a = (rng.normal(size=(rows, many)) + 50) * scale
        b = (rng.normal(size=rows) + 50) * scale
        w = simplex_weights(a, b, ridge * scale**2, intercept)
        assert w.min() >= 0 and w.sum() == pytest.approx(1, abs=1e-12)
        if intercept:
            a, b = a - a.mean(axis=0), b - b.mean()
        gradient = a.T @ (a @ w - b) + ridge * scale**2 * w
        size = float(np.abs(a - a.mean(axis=1, keepdims=True)).max()) ** 2 * rows
        assert (gradient - gradient @ w).min() > -1e-7 * size
        assert np.abs((gradient - gradient @ w)[w > 1e-7]).max() < 1e-7 * size


def test_weights_by_hand() -> None:
    # Halfway between two donors; outside of their reach the nearest corner.
    assert simplex_weights(np.array([[0.0, 2], [0, 4]]), np.array([1.0, 2])) == pytest.approx([0.5, 0.5])
    assert simplex_weights(np.array([[0.0, 2], [0, 4]]), np.array([9.0, 9])) == pytest.approx([0, 1])
    assert simplex_weights(np.array([[1.0], [2]]), np.array([5.0, 5])) == pytest.approx([1])
    # Two equal donors: any split is right, none is negative.
    assert simplex_weights(np.array([[1.0, 1], [2, 2]]), np.array([1.0, 2])).sum() == pytest.approx(1)


@pytest.mark.parametrize("method", ["synthetic", "sdid"])
def test_a_planted_effect_is_found_and_nothing_in_clean_data(method: str) -> None:
    found = ps.synthetic_control(cities(), "orders", method=method, **ASKED)
    assert found.value == pytest.approx(3, abs=0.3)
    low, high = found.interval
    assert low is not None and high is not None and low < 3 < high and low > 0
    assert found.extras["rank"] == 1 and found.extras["placebo_p_value"] == pytest.approx(1 / 12)
    assert max(abs(d["estimate"]) for d in found.extras["placebo_dates"]) < 1
    assert {d["without"] for d in found.extras["leave_one_out"]} and len(found.extras["placebo_units"]) == 11
    assert found.rows[-1]["cumulative"] == pytest.approx(8 * found.value)
    assert found.label == "quasi-experimental"
    clean = ps.synthetic_control(cities(effect=0), "orders", method=method, **ASKED)
    low, high = clean.interval
    assert low is not None and high is not None and low < 0 < high


def test_the_answer_does_not_hang_on_the_unit_of_the_outcome() -> None:
    small = ps.synthetic_control([{**r, "orders": r["orders"] * 1e-7} for r in cities()], "orders", **ASKED)
    assert small.value * 1e7 == pytest.approx(ps.synthetic_control(cities(), "orders", **ASKED).value, rel=1e-6)


def test_sdid_is_the_difference_of_weighted_differences() -> None:
    rng = np.random.default_rng(2)
    donors, treated = rng.normal(size=(12, 6)).cumsum(axis=0), rng.normal(size=12).cumsum()
    fit = mix(treated, donors, 8, "sdid")
    assert fit.before is not None
    contrast = np.concatenate([-fit.before, np.full(4, 1 / 4)])
    assert fit.effect == pytest.approx(contrast @ treated - contrast @ donors @ fit.donors)
    assert fit.before.sum() == pytest.approx(1) and fit.donors.sum() == pytest.approx(1)


def test_several_treated_units_and_their_errors() -> None:
    rows = cities()
    more = [{**r, "orders": r["orders"] + 3 * (r["month"] >= date(2023, 5, 1))} if r["city"] in ("c05", "c06") else r for r in rows]
    asked: dict[str, Any] = {**ASKED, "treated": ["c00", "c05", "c06"]}
    placebo = ps.synthetic_control(more, "orders", method="sdid", **asked)
    assert placebo.value == pytest.approx(3, abs=0.4)
    leave = ps.synthetic_control(more, "orders", method="sdid", errors="jackknife", **asked)
    assert leave.value == placebo.value and leave.std_error is not None
    # By hand: two treated and three donors of equal weights, one period on each side.
    fit = mix(np.array([0.0, 2]), np.zeros((2, 3)), 1)
    fit = type(fit)(fit.gap, np.ones(3) / 3, np.ones(1), 1)
    # Effects without each: 1, 3 for the treated, 2 for each donor: sum of squares 2, times 4 / 5.
    assert jackknife(np.array([[0.0, 0], [3, 1]]), np.zeros((2, 3)), fit) == pytest.approx((4 / 5 * 2) ** 0.5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_are_said_in_every_dialect(dialect: str) -> None:
    found = ps.synthetic_control(cities(), "orders", grain="month", where="city <> 'c09'", **ASKED)
    assert found.extras["donors"] == 10 and all(render(sql, dialect) for sql, _ in found.statements)


def test_what_is_degenerate_is_refused_or_told() -> None:
    rows = cities()
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("city has no value c0.", rows, {"treated": "c0"}),
        ("periods before .* too few", rows, {"since": "2022-02-01"}),
        ("no period at or after", rows, {"since": "2030-01-01"}),
        ("2 donors seen in every period are too few", rows, {"donors": ["c01", "c02"]}),
        ("c00 has no value in 2022-03-01", [r for r in rows if (r["city"], r["month"].isoformat()) != ("c00", "2022-03-01")], {}),
        ("the jackknife needs sdid", rows, {"errors": "jackknife"}),
        ("never moved before", [{**r, "orders": 1.0} for r in rows], {}),
        ("no method named", rows, {"method": "best"}),
        ("name the treated unit", rows, {"treated": []}),
    ]  # fmt: skip
    for message, data, options in cases:
        with pytest.raises(UsageError, match=message):
            ps.synthetic_control(data, "orders", **{**ASKED, **options})
    gone = [r for r in rows if r["city"] != "c07" or r["month"] != date(2022, 3, 1)]
    assert "1 of 11 donors not seen in every period left out" in ps.synthetic_control(gone, "orders", **ASKED).notes
    lonely = ps.synthetic_control([{**r, "orders": r["orders"] * (9 if r["city"] == "c00" else 1)} for r in rows], "orders", **ASKED)
    assert any("fits poorly" in w for w in lonely.warnings)
