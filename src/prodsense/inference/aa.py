"""A/A: would this pipeline cry wolf? The same units, split by chance again and again, with no effect at all.

Units fall by hash into a thousand groups, whose moments one pass gathers; a split is then a draw of half of the
groups, so that thousands of splits cost no further statement. Of honest tests five in a hundred reject at 5%.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.estimators import RefusalError, compare
from prodsense.inference.study import Study
from prodsense.inference.suffstats import Moments, gather
from prodsense.metrics.result import Rows

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

GROUPS = 1000


def false_alarms(engine: Engine, study: Study, splits: int = 1000, seed: int = 1) -> Rows:
    """The share of random splits of the study's units in which each metric shows an effect, a row a metric.

    ``low`` and ``high`` are what chance allows around alpha (99%); ``status`` is ``ok`` or ``suspicious``. The source
    needs a column ``unit``. Raises UsageError without one, for fewer than 100 splits, or for whole clusters.
    """
    if splits < 100:
        raise UsageError(f"fewer than 100 splits say nothing about a share of 5%, and {splits} are asked for")
    if study.cluster:
        raise UsageError("A/A splits units one by one, not whole clusters")
    from scipy.special import ndtri

    measures = [m for m in study.measures if m.quantile is None]
    if not measures:
        raise UsageError("A/A reads means and ratios; a quantile alone cannot be checked")
    grouped = (
        f"SELECT *, CAST(FLOOR(hash_share('aa:' || text_of(unit)) * {GROUPS}) AS INT) AS aa_group"
        f" FROM ({study.source}) AS units"
    )
    found = gather(engine, grouped, {m.name: m.columns for m in measures}, ["aa_group"], study.params, base=study.base)
    rng = np.random.default_rng(seed)
    places = list(found.moments)
    sides = rng.permuted(np.tile(np.arange(len(places)) % 2 == 0, (splits, 1)), axis=1)
    alpha = study.plan.alpha
    # Binomial chance of the splits; and the variance between g groups is that of the units give or take √(2/g), which
    # moves the share that lies beyond z by z·φ(z)·√(2/g).
    z = float(ndtri(1 - alpha / 2))
    groups = z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * math.sqrt(2 / max(len(places), 2))
    spread = 2.576 * math.sqrt(alpha * (1 - alpha) / splits + groups**2)
    rows = []
    for measure in measures:
        parts = [found.moments[key][measure.name] for key in places]
        try:
            p = np.array([compare(a, b, measure.outcome, alpha=alpha).p_value for a, b in _splits(parts, sides)])
        except RefusalError as refusal:
            rows.append(_line(measure.name, sum(part.n for part in parts), splits, alpha, None, None, str(refusal)))
            continue
        rate = float(np.mean(p < alpha))
        status = "ok" if abs(rate - alpha) <= spread else "suspicious"
        rows.append(_line(measure.name, sum(part.n for part in parts), splits, alpha, rate, spread, None) | {
            "status": status})
    return Rows.from_rows(rows, title=f"{study.name}: A/A", units={"false_alarms": "share", "low": "share",
                                                                  "high": "share"})


def _line(
    metric: str, units: int, splits: int, alpha: float, rate: float | None, spread: float | None, refused: str | None
) -> dict[str, Any]:
    return {
        "metric": metric, "units": units, "splits": splits, "alpha": alpha, "false_alarms": rate,
        "low": None if spread is None else max(alpha - spread, 0.0),
        "high": None if spread is None else alpha + spread, "status": None, "refused": refused,
    }


def _splits(parts: list[Moments], sides: Any) -> Any:
    """The two arms' moments of each split, by sums about the common mean (a product with the groups' sums)."""
    n = np.array([part.n for part in parts], float)
    mean = np.array([part.mean for part in parts])
    centre = (n[:, None] * mean).sum(axis=0) / n.sum()
    away = mean - centre
    first = n[:, None] * away
    second = np.array([part.m2 for part in parts]) + n[:, None, None] * away[:, :, None] * away[:, None, :]
    k = len(centre)
    flat = second.reshape(len(parts), k * k)
    for chosen in (sides, ~sides):
        if not (chosen @ n).all():
            raise RefusalError("there are too few units to split them")
    one = (sides @ n, sides @ first, sides @ flat)
    other = ((~sides) @ n, (~sides) @ first, (~sides) @ flat)
    for i in range(len(sides)):
        yield tuple(
            Moments.of_sums(int(c[i]), centre, s[i], q[i].reshape(k, k)) for c, s, q in (one, other)
        )

