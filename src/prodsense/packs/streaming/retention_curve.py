"""How far viewers get in a title: the audience retention curve, and the points at which it falls unusually.

The curve at a point is the share of those who started that played up to it or past it, so it begins at 100% and never
rises; leaving and coming back in another session is no loss. A point is unusual where more of those still there leave
than do around it (exact test of two Poisson rates, given their sum; Przyborowski & Wilenski 1940), corrected for all
points of all titles (Holm). The opening and the end are left out: there, leaving is usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Points on each side by which a point is judged.
AROUND = 5
#: Fewest viewers still there for a point to be judged.
LEAST = 30


@dataclass(frozen=True)
class Drop:
    """An unusual fall: viewers who leave from `start` to `end`, of those still there at `start`."""

    start: float
    end: float
    there: int
    left: int
    expected: float
    p_value: float

    @property
    def share(self) -> float:
        """Share of those still there who leave."""
        return self.left / self.there


def curve(reached: Array, points: Array) -> Any:
    """Viewers at each point or past it, given how far each one got."""
    import numpy as np

    return len(reached) - np.searchsorted(np.sort(reached), points, side="left")


def drops(
    points: Sequence[float], viewers: Sequence[int], *, opening: float, end: float, min_drop: float,
    around: int = AROUND,
) -> list[Drop]:
    """Falls between neighbouring points that are larger than those around them; p-values are of one test each.

    Steps that begin before `opening` or end after `end` are left out. A step is compared with up to `around` steps on
    each side, by viewers leaving for its length; it must lose `min_drop` (a share of those still there) more than they
    would in as long.
    """
    import numpy as np
    from scipy import stats

    at = np.asarray(points, dtype=float)
    there = np.asarray(viewers, dtype=float)[:-1]
    left = there - np.asarray(viewers, dtype=float)[1:]
    exposed = there * np.diff(at)
    usable = np.flatnonzero((at[:-1] >= opening) & (at[1:] <= end) & (there >= LEAST))
    found = []
    for place in usable:
        near = usable[(usable != place) & (np.abs(usable - place) <= around)]
        if len(near) < 2:
            continue
        # The middle of the rates around: another unusual point beside this one should not hide it.
        rates = left[near] / exposed[near]
        kept = near[rates <= np.quantile(rates, 0.8)]
        rate = float(left[kept].sum() / exposed[kept].sum() * (at[place + 1] - at[place]))
        if left[place] / there[place] - rate < min_drop:
            continue
        # Given both counts together, this one's is binomial where the rates are alike.
        n = left[place] + left[near].sum()
        share = exposed[place] / (exposed[place] + exposed[near].sum())
        p = float(stats.binom.sf(left[place] - 1, n, share))
        found.append(Drop(float(at[place]), float(at[place + 1]), int(there[place]), int(left[place]), rate, p))
    return found


def tests(points: Sequence[float], viewers: Sequence[int], opening: float, end: float) -> int:
    """How many steps `drops` judges: what its p-values are to be corrected for."""
    pairs = zip(points, points[1:], viewers, strict=False)
    return sum(a >= opening and b <= end and n >= LEAST for a, b, n in pairs)


def unusual(
    curves: Mapping[Any, tuple[Sequence[float], Sequence[int]]], *, opening: float, end: Mapping[Any, float],
    min_drop: float, alpha: float,
) -> dict[Any, list[Drop]]:
    """Unusual falls of several titles, corrected for all points of all titles (Bonferroni-Holm over those found)."""
    steps = 0
    raw: list[tuple[Any, Drop]] = []
    for title, (points, viewers) in curves.items():
        start = opening * points[-1] if points else 0.0
        steps += tests(points, viewers, start, end[title])
        raw += [(title, d) for d in drops(points, viewers, opening=start, end=end[title], min_drop=min_drop)]
    kept: dict[Any, list[Drop]] = {}
    for rank, (title, drop) in enumerate(sorted(raw, key=lambda item: item[1].p_value)):
        if drop.p_value * (steps - rank) >= alpha:
            break
        kept.setdefault(title, []).append(drop)
    return {title: sorted(found, key=lambda d: d.start) for title, found in kept.items()}
