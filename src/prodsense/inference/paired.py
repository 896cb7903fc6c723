"""Two treatments of the same units: differences within units, and their mean.

What makes units unlike each other is in both values of each and leaves the difference; a unit compared with itself is
exactly 0. Units are what was treated as a whole: days, regions, whole simulations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodsense.inference.ols import p_value, quantile_of

_DRAWS = 2000


@dataclass(frozen=True)
class Difference:
    """Treatment less control with its interval; NaN, and no p-value, where too few units say nothing of it."""

    estimate: float
    se: float
    low: float
    high: float
    p_value: float | None
    units: int


def paired(differences: NDArray, confidence: float = 0.95) -> Difference:
    """Mean of the units' differences with Student's interval; no difference in any unit is a p-value of 1."""
    size = len(differences)
    mean = float(differences.mean())
    if size < 2:
        return Difference(mean, float("nan"), float("nan"), float("nan"), None, size)
    return interval(mean, float(differences.std(ddof=1) / np.sqrt(size)), size - 1, size, confidence)


def interval(mean: float, se: float, freedom: float, units: int, confidence: float = 0.95) -> Difference:
    """Student's interval of an estimate with its standard error."""
    half = quantile_of(confidence, freedom) * se
    p = p_value(mean, se, freedom) if se > 0 or mean != 0 else 1.0
    return Difference(mean, se, mean - half, mean + half, p, units)


def bootstrap_mean(differences: NDArray, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean over units drawn again."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(len(differences), size=(_DRAWS, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
