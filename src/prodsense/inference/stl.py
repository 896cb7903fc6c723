"""Trend, season and rest of a series: STL (Cleveland, Cleveland, McRae & Terpenning 1990), by loess of degree 1.

A regular series is split so that value = trend + season + rest. `robust` gives outliers little weight. Strengths are
those of Hyndman & Athanasopoulos (Forecasting: principles and practice, 3.6): 0 none, 1 all of what is not rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Windows of loess: of a season's own course over the seasons, and passes of the inner and the outer loop.
_SEASONAL, _INNER, _ROBUST_INNER, _OUTER = 7, 5, 2, 15


@dataclass(frozen=True)
class Parts:
    """The parts of a series, each of its length; `weights` are the robustness weights (1 where not robust)."""

    trend: Array
    season: Array
    rest: Array
    weights: Array

    @property
    def trend_strength(self) -> float:
        """How much of what is not season is trend, 0 to 1."""
        return _strength(self.rest, self.trend)

    @property
    def season_strength(self) -> float:
        """How much of what is not trend is season, 0 to 1."""
        return _strength(self.rest, self.season)


def stl(values: Array, period: int, *, robust: bool = True) -> Parts:
    """Split a series without gaps; `period` values make a season. UsageError for fewer than two seasons."""
    import numpy as np

    y = np.asarray(values, dtype=np.float64)
    if period < 2:
        raise UsageError(f"a season is of 2 values or more, not {period}")
    if len(y) < 2 * period:
        raise UsageError(f"{len(y)} values are no two seasons of {period}: too few to tell season from trend")
    if not np.isfinite(y).all():
        raise UsageError("the series has gaps")
    window = _odd(1.5 * period / (1 - 1.5 / _SEASONAL))
    low = _odd(period)
    trend, weights = np.zeros(len(y)), np.ones(len(y))
    season = np.zeros(len(y))
    outer = _OUTER if robust else 0
    for turn in range(outer + 1):
        given = weights if turn else None
        for _ in range(_ROBUST_INNER if robust else _INNER):
            cycles = _cycles(y - trend, period, given)
            season = cycles[period:-period] - _loess(_low_pass(cycles, period), low, None)
            trend = _loess(y - season, window, given)
        if turn < outer:
            weights = _bisquare(y - trend - season, float(np.abs(y).max()))
    return Parts(trend, season, y - trend - season, weights)


def _odd(value: float) -> int:
    """The smallest odd number above `value`."""
    whole = int(value) + 1
    return whole + 1 - whole % 2


def _cycles(x: Array, period: int, weights: Array | None) -> Array:
    """Each phase's own series smoothed, and told one season further at both ends."""
    import numpy as np

    found = np.empty(len(x) + 2 * period)
    for phase in range(period):
        own = None if weights is None else weights[phase::period]
        part = x[phase::period]
        smooth = _loess(part, _SEASONAL, own)
        n = len(part)
        places = np.arange(1.0, n + 1)
        reach = min(_SEASONAL, n)
        before = _estimate(part, places, _SEASONAL, 0.0, 1, reach, own)
        after = _estimate(part, places, _SEASONAL, n + 1.0, n - reach + 1, n, own)
        told = np.concatenate([
            [smooth[0] if before is None else before], smooth, [smooth[-1] if after is None else after],
        ])
        found[phase::period] = told
    return found


def _low_pass(x: Array, period: int) -> Array:
    import numpy as np

    for width in (period, period, 3):
        x = np.convolve(x, np.full(width, 1.0 / width), "valid")
    return x


def _loess(y: Array, window: int, weights: Array | None) -> Array:
    """Loess of degree 1 at each place of an evenly spaced series, from the `window` nearest values."""
    import numpy as np

    n = len(y)
    if n < 2:
        return y.copy()
    places = np.arange(1.0, n + 1)
    reach = min(window, n)
    left = np.clip(places - (window + 1) // 2, 0, n - reach).astype(int)  # values before the window
    at = left[:, None] + np.arange(reach)
    x = at + 1.0
    width = np.maximum(places - x[:, 0], x[:, -1] - places) + (max(window - n, 0) // 2)
    w = _tricube(np.abs(x - places[:, None]), width[:, None])
    if weights is not None:
        w = w * weights[at]
    total = w.sum(axis=1)
    # Where every value of a window was an outlier nothing is known better than the value itself.
    w = w / np.where(total > 0, total, 1.0)[:, None]
    centre = (w * x).sum(axis=1)
    spread = (w * (x - centre[:, None]) ** 2).sum(axis=1)
    sloped = np.sqrt(spread) > 0.001 * (n - 1)
    slope = np.where(sloped, (places - centre) / np.where(sloped, spread, 1.0), 0.0)
    w = w * (slope[:, None] * (x - centre[:, None]) + 1.0)
    return np.where(total > 0, (w * y[at]).sum(axis=1), y)


def _estimate(
    y: Array, places: Array, window: int, at: float, first: int, last: int, weights: Array | None
) -> float | None:
    """Loess at one place, also beyond the ends; None where no value has a weight."""
    import numpy as np

    n = len(y)
    x, part = places[first - 1 : last], y[first - 1 : last]
    width = max(at - first, last - at) + (max(window - n, 0) // 2)
    w = _tricube(np.abs(x - at), width)
    if weights is not None:
        w = w * weights[first - 1 : last]
    if not w.sum() > 0:
        return None
    w = w / w.sum()
    centre = float((w * x).sum())
    spread = float((w * (x - centre) ** 2).sum())
    if np.sqrt(spread) > 0.001 * (n - 1):
        w = w * ((at - centre) / spread * (x - centre) + 1.0)
    return float((w * part).sum())


def _tricube(distance: Any, width: Any) -> Any:
    import numpy as np

    near = np.clip(distance / np.maximum(width, 1e-300), 0.0, 1.0)
    inside = np.where(distance <= 0.001 * width, 1.0, (1.0 - near**3) ** 3)
    return np.where(distance <= 0.999 * width, inside, 0.0)


def _bisquare(rest: Array, size_of_all: float) -> Array:
    """Small weights for large rests; 1 for all where the rest is nothing but rounding."""
    import numpy as np

    size = np.abs(rest)
    cut = 6.0 * float(np.median(size))
    if cut <= 1e-12 * size_of_all:
        return np.ones(len(rest))
    part = (1.0 - np.minimum(size / cut, 1.0) ** 2) ** 2
    return np.where(size <= 0.001 * cut, 1.0, np.where(size <= 0.999 * cut, part, 0.0))


def _strength(rest: Array, part: Array) -> float:
    whole = float((part + rest).var())
    return max(0.0, 1.0 - float(rest.var()) / whole) if whole > 0 else 0.0
