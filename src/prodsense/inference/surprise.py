"""How surprising each moment of a fine-grained series is, measured by the series' own past.

Four ways of being odd are looked at, each causal (a moment is judged by what came before it):

    jump    how far the value is from the one before
    level   how far it is from the mean of the last `LEVEL` values
    shift   how far the mean of the last hour or so is from the mean before it
    cycle   how far it is from the median of the same phase in the last seasons

Each is set against its own history: 0 is its median, 1 its 99.8% quantile over the last `PAST` values; the score is
the largest of the four. So 1 is what happens twice in a thousand values, whatever the unit, the noise or its tails,
and 1.55 lies half as far again beyond what is usual. That makes one threshold fit all series, which a number
of standard deviations does not: the tails of a load curve, a taxi count and a tweet count differ by far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Values behind the level, values behind the scale, and the quantile that is 1.
LEVEL, PAST, QUANTILE = 1000, 4000, 0.998
#: Values of the short mean of a shift, and of the long one before it.
SHORT, LONG = 12, 2000
#: Seasons that the expected cycle is taken from.
SEASONS = 7
#: Fewest values before anything is said; a score needs a past.
LEAST = 50
#: Past values that count as few: with so many the scale is doubled, with ten times as many it is a tenth wider.
FEW = 100
#: A move after a still past is endlessly surprising; this is said instead.
MOST = 100.0
#: The scale is brought up to date every so many values.
STEP = 50


def surprise(values: Array, season: int = 0) -> Array:
    """Scores (T) of a series without gaps; 0 where there is too little past. `season` is in steps (0: none)."""
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    if len(x) <= LEAST:
        return np.zeros(len(x))
    score = np.zeros(len(x))
    # What lies below a millionth of the range so far is rounding: it keeps a still past from making all odd.
    least = 1e-6 * (np.maximum.accumulate(x) - np.minimum.accumulate(x)) + 1e-12 * np.abs(x) + 1e-300
    for name, oddness in oddities(x, season).items():
        # The cycle is known from the third season on, and its scale after one more.
        first, wait = (2 * season, max(season, LEAST)) if name == "cycle" else (0, LEAST)
        score[first:] = np.maximum(score[first:], against_past(oddness[first:], least[first:], wait))
    return np.minimum(score, MOST)


def oddities(x: Array, season: int = 0) -> dict[str, Array]:
    """The four measures by name, each not negative."""
    import numpy as np

    before = np.concatenate([x[:1], trailing_mean(x, LEVEL)[:-1]])
    short = trailing_mean(x, SHORT)
    long = np.concatenate([np.full(SHORT, x[0]), trailing_mean(x, LONG)[:-SHORT]])
    found = {
        "jump": np.abs(np.diff(x, prepend=x[0])),
        "level": np.abs(x - before),
        "shift": np.abs(short - long),
    }
    if season > 1 and len(x) > 3 * season:
        found["cycle"] = np.abs(x - cycle(x, season))
    return found


def trailing_mean(x: Array, window: int) -> Array:
    """The mean of the last `window` values, the own one among them; of fewer at the start."""
    import numpy as np

    # Centred first: sums of large numbers would lose the small differences.
    centre = x[0]
    sums = np.concatenate([[0.0], np.cumsum(x - centre)])
    end = np.arange(1, len(x) + 1)
    start = np.maximum(end - window, 0)
    return centre + (sums[end] - sums[start]) / (end - start)


def cycle(x: Array, season: int) -> Array:
    """The median of the same phase in the last `SEASONS` seasons; where there is none yet, the value itself."""
    import numpy as np

    from prodsense.inference.seasonal import nan_median

    stack = np.full((len(x), SEASONS), np.nan)
    for back in range(1, SEASONS + 1):
        lag = back * season
        if lag < len(x):
            stack[lag:, back - 1] = x[:-lag]
    found = nan_median(stack)
    return np.where(np.isfinite(stack).sum(axis=1) >= 2, found, x)


def against_past(oddness: Array, least: Array, wait: int = LEAST) -> Array:
    """`oddness` on the scale of its own past: 0 its median, 1 its high quantile, and no finer than `least`.

    The first `wait` values are only past: their score is 0.
    """
    import numpy as np

    out = np.zeros(len(oddness))
    for start in range(wait, len(oddness), STEP):
        past = oddness[max(0, start - PAST) : start]
        middle, high = np.quantile(past, [0.5, QUANTILE])
        part = slice(start, start + STEP)
        # Few values know their own extremes badly: their scale is taken for wider than it looks.
        out[part] = (oddness[part] - middle) / ((high - middle) * (1 + FEW / len(past)) + least[part])
    return np.maximum(out, 0.0)


def alerts(score: Array, threshold: float, quiet: int) -> list[int]:
    """Indices at which to alert: the first over the threshold, then none for `quiet` values."""
    import numpy as np

    found: list[int] = []
    for at in np.flatnonzero(score >= threshold).tolist():
        if not found or at - found[-1] > quiet:
            found.append(at)
    return found
