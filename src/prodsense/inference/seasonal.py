"""A robust seasonal baseline: what a series should be, given only what came before it.

For each moment t of a regular series x (on the scale of `scale_of`):

    level     the median of the last whole season before t, so that no day of the week weighs double
    season    the median, over the last seasons, of how far the same phase lay from its level then
    expected  level + season + the usual one-step error
    score     (x - expected) / spread, where spread is 1.4826 x MAD of past one-step errors

Medians, because the past holds outliers too; one step ahead, because an alert may use nothing that came later.
A level shift enters the level within half a season and so is reported when it happens, not for ever. Sources: robust
decomposition as in Cleveland et al. 1990 (STL, robust form) and Hochenbaum et al. 2017 (seasonal hybrid ESD), here
in a one-sided form. Values are columns of numpy; a matrix holds one series a column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: MAD of a normal distribution to its standard deviation.
MAD = 1.4826
#: Fewest past errors from which a spread is taken.
LEAST = 8

Kind = Literal["count", "amount", "share", "real"]

#: How many periods of a grain make a season, how many seasons are remembered, how many periods that is.
SEASONS = {"hour": 168, "day": 7, "week": 1, "month": 1, "quarter": 1, "year": 1}


@dataclass(frozen=True)
class Baseline:
    """What was expected of each value, the band in which it counts as usual, and how far outside it lies.

    Arrays have the shape of the input; NaN where there was too little history to say.
    """

    expected: Array
    low: Array
    high: Array
    score: Array


def kind_of(values: Array, unit: str = "") -> Kind:
    """How values vary: counts like a Poisson number, amounts in proportion, shares between 0 and 1, others freely."""
    import numpy as np

    known = values[np.isfinite(values)]
    if known.size == 0 or known.min() < 0:
        return "real"
    if unit == "share" or (known.max() <= 1 and not np.all(known == np.round(known))):
        return "share"
    return "count" if np.all(known == np.round(known)) else "amount"


def baseline(
    values: Array, season: int = 7, *, memory: int = 8, kind: Kind = "real", threshold: float = 4.0,
    history: int = 56,
) -> Baseline:
    """The one-step-ahead baseline of each value of a regular series (T) or of several (T, K); NaN is no data.

    `season` is in steps (1: none), `memory` in seasons; `history` is how many past errors give the spread.
    `threshold` is that of the band, in spreads.
    """
    import numpy as np

    matrix = np.asarray(values, dtype=np.float64)
    flat = matrix.ndim == 1
    x = forward(matrix[:, None] if flat else matrix, kind)
    window = season if season > 1 else 7
    level = trailing_median(x, window, least=max(2, (window + 1) // 2))
    phase = _phase_median(x - level, season, memory) if season > 1 else np.zeros_like(x)
    error = x - (level + phase)
    centre = trailing_median(error, history, least=LEAST)
    # The bias is small against the spread and noisy itself: half of it is corrected.
    bias = np.where(np.isfinite(centre), centre, 0.0) / 2
    spread = _trailing_spread(error - bias, history)
    if kind == "count":
        # The square root of a Poisson number has a standard deviation of one half, whatever its mean.
        spread = np.maximum(spread, 0.5)
    size = np.abs(level)
    spread = np.maximum(spread, 1e-9 * np.where(np.isfinite(size), size, 1.0) + 1e-12)
    centre = level + phase + bias
    score = (x - centre) / spread
    cut = threshold * spread
    shaped = [backward(part, kind) for part in (centre, centre - cut, centre + cut)]
    known = np.isfinite(spread)
    parts = [np.where(known, part, np.nan) for part in (*shaped, score)]
    return Baseline(*(part[:, 0] if flat else part for part in parts))


def forward(values: Array, kind: Kind) -> Array:
    """Values on the scale on which they vary evenly: the square root for counts and amounts."""
    import numpy as np

    return np.sqrt(values) if kind in ("count", "amount") else values


def backward(values: Array, kind: Kind) -> Array:
    """The inverse of `forward`; what would be below the least possible value is that value."""
    import numpy as np

    if kind in ("count", "amount"):
        return np.square(np.maximum(values, 0.0))
    return np.clip(values, 0.0, 1.0) if kind == "share" else values


def trailing_median(values: Array, window: int, least: int = 1) -> Array:
    """Row t: the median of the `window` rows before t that are known; NaN where fewer than `least` are."""
    import numpy as np

    padded = np.concatenate([np.full((window, values.shape[1]), np.nan), values[:-1]]) if len(values) else values
    if not len(values):
        return values
    out = np.empty_like(values)
    for start, block in _blocks(np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)):
        found = nan_median(block)
        found[np.isfinite(block).sum(axis=-1) < least] = np.nan
        out[start : start + len(block)] = found
    return out


def _blocks(windows: Any) -> Any:
    """Windows in blocks of some millions of cells, so that memory stays small."""
    step = max(1, 4_000_000 // max(1, math.prod(windows.shape[1:])))
    for start in range(0, len(windows), step):
        yield start, windows[start : start + step]


def nan_median(block: Any) -> Array:
    """Medians along the last axis, NaN ignored, without numpy's warning about nothing but NaN."""
    import numpy as np

    ordered = np.sort(block, axis=-1)  # NaN sorts last
    count = np.isfinite(ordered).sum(axis=-1)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    pick = [np.take_along_axis(ordered, np.minimum(at, ordered.shape[-1] - 1)[..., None], -1)[..., 0]
            for at in (low, high)]
    return np.where(count > 0, (pick[0] + pick[1]) / 2, np.nan)


def _phase_median(deviation: Array, season: int, memory: int) -> Array:
    """The median deviation of the same phase in the last seasons; needs two of them."""
    import numpy as np

    steps = len(deviation)
    stack = np.full((memory, *deviation.shape), np.nan)
    for back in range(1, memory + 1):
        lag = back * season
        if lag < steps:
            stack[back - 1, lag:] = deviation[:-lag]
    found = nan_median(np.moveaxis(stack, 0, -1))
    found[np.isfinite(stack).sum(axis=0) < 2] = np.nan
    return found


def _trailing_spread(error: Array, window: int) -> Array:
    """1.4826 times the median absolute past error, wider where few errors are known (as Student's t is)."""
    import numpy as np

    size = trailing_median(np.abs(error), window, least=LEAST)
    padded = np.concatenate([np.zeros((1, error.shape[1])), np.cumsum(np.isfinite(error), axis=0)])
    steps = np.arange(len(error))
    count = padded[steps] - padded[np.maximum(steps - window, 0)]
    return MAD * size * (1 + 2 / np.maximum(count, 1))
