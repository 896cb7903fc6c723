"""Who takes part: uneven activity, comings and goings, weighted choice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def propensities(rng: np.random.Generator, size: int, shape: float = 0.8) -> NDArray:
    """Relative activity of `size` users, mean 1, gamma distributed: few are heavy, many light.

    A Poisson count with such a rate is negative binomial, the usual model of repeat buying
    (Ehrenberg, 1959). Smaller `shape` means more uneven.
    """
    return rng.gamma(shape, 1.0 / shape, size)


def choose(rng: np.random.Generator, weights: NDArray, size: int) -> NDArray[np.int64]:
    """Draw `size` indices with probability proportional to `weights`, with replacement."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, rng.random(size) * edges[-1], side="right"), weights.size - 1)


def choose_within(
    rng: np.random.Generator, group: NDArray, weights: NDArray, wanted: NDArray
) -> NDArray[np.int64]:
    """For each entry of `wanted` (a group number) draw an index whose `group` is that, by `weights`.

    Every wanted group must have a member with positive weight.
    """
    order = np.argsort(group, kind="stable")
    edges = np.concatenate([[0.0], np.cumsum(weights[order])])
    sorted_group = group[order]
    low = edges[np.searchsorted(sorted_group, wanted, side="left")]
    last = np.searchsorted(sorted_group, wanted, side="right")
    high = edges[last]
    if np.any(high <= low):
        raise ValueError(f"no member with weight in group {int(wanted[np.argmax(high <= low)])}")
    u = low + rng.random(wanted.size) * (high - low)
    return order[np.minimum(np.searchsorted(edges, u, side="right") - 1, last - 1)]


def scores(rng: np.random.Generator, mean: NDArray, sd: float, low: int = 1, high: int = 5) -> NDArray[np.int64]:
    """Whole scores from `low` to `high` around `mean`."""
    return np.clip(np.rint(rng.normal(mean, sd)), low, high).astype(np.int64)
