"""When things happen: Poisson arrivals whose rate follows a weekly and a daily rhythm."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

DAY = 86_400

#: Relative demand of Monday to Sunday for something people do more of at the weekend.
WEEKEND_HEAVY = (0.86, 0.86, 0.92, 0.98, 1.16, 1.22, 1.08)

#: Relative demand of the hours 0 to 23 for meals: a lunch peak and a higher dinner peak.
MEAL_HOURS = (
    0.25, 0.12, 0.06, 0.04, 0.04, 0.06, 0.12, 0.30, 0.50, 0.60, 0.90, 1.90,
    2.60, 2.10, 1.10, 0.90, 1.20, 2.30, 3.40, 3.30, 2.30, 1.40, 0.90, 0.50,
)  # fmt: skip


def day_weights(start: date, days: int, weekly: ArrayLike = WEEKEND_HEAVY, growth: float = 0.0) -> NDArray:
    """Relative demand of each of `days` days from `start`; mean 1.

    `growth` is the change per day as a fraction (0.002: 0.2 % more each day).
    """
    weekly = np.asarray(weekly, dtype=float)
    weekday = (start.weekday() + np.arange(days)) % 7
    weights = weekly[weekday] * (1.0 + growth) ** np.arange(days)
    return weights / weights.mean()


def moments(
    rng: np.random.Generator, size: int, weights: NDArray, hours: ArrayLike = MEAL_HOURS
) -> NDArray[np.int64]:
    """Draw `size` moments, in whole seconds since the first midnight, unsorted.

    Given how many there are, the moments of a Poisson process with rate proportional to
    ``weights[day] * hours[hour]`` are independent draws from that density: that is what this does.
    """
    density = np.outer(weights, np.asarray(hours, dtype=float)).ravel()
    edges = np.concatenate([[0.0], np.cumsum(density)])
    # Inverse transform of a piecewise constant density: interpolate within the hour drawn.
    u = rng.random(size) * edges[-1]
    hour = np.searchsorted(edges, u, side="right") - 1
    hour = np.minimum(hour, density.size - 1)
    inside = (u - edges[hour]) / density[hour]
    return ((hour + inside) * 3600).astype(np.int64)
