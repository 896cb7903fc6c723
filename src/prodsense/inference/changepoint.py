"""Where a series changes its level: PELT (Killick, Fearnhead and Eckley 2012), exact for the cost of a normal mean.

The cost of a stretch is the sum of squares about its mean over the noise variance; each further change costs a
penalty. The noise comes from differences of neighbours (their MAD), which a change of level touches in one place only.
Every position is a candidate: no grid to be off by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Change:
    """A change of level: the first index of the new one, the means on both sides, and the size over its error (z)."""

    at: int
    before: float
    after: float
    score: float


def change_points(values: Sequence[float] | Array, *, least: int = 2, penalty: float | None = None) -> list[Change]:
    """Changes of the mean of a series without gaps, in order.

    `least` is the shortest stretch. The default penalty is 3 ln n noise variances (a modified BIC, Zhang and Siegmund
    2007): a series of nothing but noise gives no change in about 19 of 20 cases.
    """
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if n < 2 * least or not np.isfinite(x).all():
        return []
    noise = noise_of(x)
    if noise == 0:
        return _steps(x)
    # On the scale of the noise, about the middle: squares of large numbers would lose their digits.
    x = (x - np.median(x)) / noise
    cost_of_change = 3 * math.log(n) if penalty is None else penalty
    cuts = _pelt(x, least, cost_of_change)
    edges = [0, *cuts, n]
    found = []
    for start, cut, end in zip(edges, cuts, edges[2:], strict=False):
        a, b = x[start:cut], x[cut:end]
        score = (b.mean() - a.mean()) / math.sqrt(1 / len(a) + 1 / len(b))
        middle = float(np.median(np.asarray(values, dtype=np.float64)))
        found.append(Change(cut, float(a.mean() * noise + middle), float(b.mean() * noise + middle), float(score)))
    return found


def noise_of(x: Array) -> float:
    """The noise's standard deviation: 1.4826 MAD of differences over the root of 2, or their size where half are 0."""
    import numpy as np

    steps = np.diff(x)
    found = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)
    if found > 0:
        return found
    # More than half of the neighbours are equal: the usual size of the others.
    moved = np.abs(steps[steps != 0])
    return float(np.median(moved)) / math.sqrt(2) if len(moved) > max(3, len(x) // 10) else 0.0


def _steps(x: Array) -> list[Change]:
    """The changes of a series without noise: each place where the value is another."""
    import numpy as np

    cuts = (np.flatnonzero(np.diff(x)) + 1).tolist()
    return [Change(cut, float(x[cut - 1]), float(x[cut]), math.copysign(math.inf, x[cut] - x[cut - 1])) for cut in cuts]


def _pelt(x: Array, least: int, penalty: float) -> list[int]:
    """Cuts of least cost, found over all positions with those pruned that can no longer be the last cut."""
    import numpy as np

    n = len(x)
    sums = np.concatenate([[0.0], np.cumsum(x)])
    squares = np.concatenate([[0.0], np.cumsum(x * x)])
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    last = np.zeros(n + 1, np.int64)
    alive, doomed = np.array([0]), np.array([n + 1])
    for end in range(least, n + 1):
        length = end - alive
        within = squares[end] - squares[alive] - (sums[end] - sums[alive]) ** 2 / length
        cost = best[alive] + within
        ready = length >= least
        pick = int(np.argmin(np.where(ready, cost, np.inf)))
        if ready[pick]:
            best[end] = cost[pick] + penalty
            last[end] = alive[pick]
        # Beaten by a cut at `end`, which can serve from `least` later on: only then it is surely out.
        doomed = np.where(ready & (cost > best[end]), np.minimum(doomed, end), doomed)
        keep = doomed + least > end + 1
        fresh = end - least + 1
        alive, doomed = alive[keep], doomed[keep]
        if np.isfinite(best[fresh]):
            alive, doomed = np.append(alive, fresh), np.append(doomed, n + 1)
    cuts: list[int] = []
    at = n
    while (at := int(last[at])) > 0:
        cuts.append(at)
    return cuts[::-1]
