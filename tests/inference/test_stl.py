"""STL against statsmodels' own, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from prodsense.errors import UsageError
from prodsense.inference.stl import stl


@pytest.mark.parametrize(("length", "period"), [(70, 7), (49, 7), (60, 12), (15, 7)])
@pytest.mark.parametrize("robust", [False, True])
def test_equals_statsmodels(length: int, period: int, robust: bool) -> None:
    from statsmodels.tsa.seasonal import STL

    rng = np.random.default_rng(length + period)
    t = np.arange(length)
    y = 100 + 0.3 * t + 10 * np.sin(2 * np.pi * t / period) + rng.normal(0, 2, length)
    y[length // 2] += 80
    theirs = STL(y, period=period, robust=robust).fit()
    ours = stl(y, period, robust=robust)
    np.testing.assert_allclose(ours.trend, theirs.trend, atol=1e-8)
    np.testing.assert_allclose(ours.season, theirs.seasonal, atol=1e-8)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-8)


def test_a_straight_line_with_a_weekly_pattern_is_split_exactly() -> None:
    t = np.arange(70.0)
    pattern = np.tile([-3.0, -2, -1, 0, 1, 2, 3], 10)
    parts = stl(5 + 2 * t + pattern, 7)
    np.testing.assert_allclose(parts.trend + parts.season, 5 + 2 * t + pattern, atol=1e-6)
    np.testing.assert_allclose(parts.season, pattern, atol=1e-6)
    assert parts.trend_strength > 0.999 and parts.season_strength > 0.999


def test_noise_has_neither() -> None:
    parts = stl(np.random.default_rng(1).normal(0, 1, 700), 7)
    assert parts.trend_strength < 0.2 and parts.season_strength < 0.3


def test_refusals() -> None:
    with pytest.raises(UsageError, match="two seasons"):
        stl(np.arange(13.0), 7)
    with pytest.raises(UsageError, match="gaps"):
        stl(np.where(np.arange(20) == 3, np.nan, 1.0), 7)
    with pytest.raises(UsageError, match="2 values"):
        stl(np.arange(13.0), 1)
    assert (stl(np.ones(21), 7).rest == pytest.approx(np.zeros(21)))
