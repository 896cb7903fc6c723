"""Choosing a forecast by rolling origins, and intervals from the errors that it made there.

Every candidate forecasts from several past moments. Those with the least mean absolute error are averaged (a mean of
a few good models loses less than a bad choice of one: Bates & Granger 1969, Petropoulos et al. 2018). The errors that
give the intervals are honest: the models that forecast from an origin are chosen by the other origins only, as in
cross-conformal prediction (Vovk 2015), so that the choice does not flatter them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prodsense.inference.forecast_models import (
    Candidate,
    naive_candidates,
    rule_forecasts,
    smoothing_candidates,
    smoothing_forecasts,
)

if TYPE_CHECKING:
    from prodsense.inference.forecast_models import Array, Places

#: At most so many origins are looked back from; fewer than the least are no evidence.
MOST_ORIGINS, LEAST_ORIGINS = 14, 5
#: Fewest values before the earliest origin.
LEAST_HISTORY = 5
#: So many of the best candidates are averaged.
BEST = 5
#: Cells of the widest array of a block of series, which bounds the memory (8 bytes each).
_CELLS = 12_000_000


@dataclass(frozen=True)
class Fitted:
    """Forecasts of K series: `mean`, and `errors` (origins × horizon × K), actual less forecast, from past origins.

    `errors` are those of models chosen without that origin, `baseline` those of the naive rule named `rule`,
    `rule_mean` its forecast. `names` is the best candidate of each series; `scale` the mean absolute error of the
    seasonal naive rule one season ahead, over the whole history, by which MASE divides.
    """

    mean: Array
    errors: Array
    baseline: Array
    rule_mean: Array
    names: list[str]
    scale: Array
    origins: tuple[int, ...]


def usable_seasons(length: int, horizon: int, seasons: Sequence[int]) -> list[int]:
    """Seasons of which at least two lie before the earliest of the fewest origins."""
    return sorted({m for m in seasons if m > 1 and 2 * m + horizon + LEAST_ORIGINS - 1 <= length})


def origins_of(length: int, horizon: int, seasons: Sequence[int]) -> list[int]:
    """Where to look back from: moments at whole seasons before the end where they fit, else as many as there are."""
    first = max(2 * max(seasons, default=1), LEAST_HISTORY)
    last = length - horizon
    room = last - first
    if room < 0:
        return []
    season = min(seasons, default=1)
    stride = season if room // season >= LEAST_ORIGINS else 1
    if stride * MOST_ORIGINS < room and stride == 1:
        stride = max(1, min(horizon, room // (MOST_ORIGINS - 1)))
    count = min(MOST_ORIGINS, room // stride + 1)
    return [last - stride * back for back in reversed(range(count))]


def fit(y: Array, horizon: int, seasons: Sequence[int]) -> Fitted:
    """Forecasts of the series in `y` (time × series), whose length gives at least `LEAST_ORIGINS` origins."""
    candidates = len(naive_candidates(seasons)) + 2 * len(smoothing_candidates(seasons, logs=False))
    origins = origins_of(len(y), horizon, seasons)
    wide = max(1, _CELLS // (candidates * (len(origins) + 1) * horizon))
    parts = [_fit_block(y[:, at : at + wide], horizon, seasons, origins) for at in range(0, y.shape[1], wide)]
    return Fitted(
        np.concatenate([p.mean for p in parts], axis=1), np.concatenate([p.errors for p in parts], axis=2),
        np.concatenate([p.baseline for p in parts], axis=2), np.concatenate([p.rule_mean for p in parts], axis=1),
        [name for p in parts for name in p.names], np.concatenate([p.scale for p in parts]), tuple(origins),
    )


def _fit_block(y: Array, horizon: int, seasons: Sequence[int], origins: list[int]) -> Fitted:
    names: list[str] = []
    pieces = []
    for candidates, forecasts in _all_forecasts(y, horizon, seasons, [*origins, len(y)]):
        names += [c.name for c in candidates]
        pieces.append(forecasts)
    forecasts = np.concatenate(pieces, axis=2)  # origins + 1 × horizon × candidates × series
    actual = np.stack([y[o : o + horizon] for o in origins])
    size = _mean_known(np.abs(actual[:, :, None] - forecasts[:-1]), axis=1)  # origins × candidates × series
    total = np.nansum(size, axis=0)
    best = _best(total)
    mean = np.take_along_axis(forecasts[-1], best[None], axis=1).mean(axis=1)
    errors = np.empty_like(actual)
    for place in range(len(origins)):
        others = total - np.nan_to_num(size[place])
        chosen = _best(others)
        errors[place] = actual[place] - np.take_along_axis(forecasts[place], chosen[None], axis=1).mean(axis=1)
    # The rule to beat: the seasonal naive of the shortest season, or the last value.
    rule = 1 if seasons else 0
    lag = min(seasons, default=1)
    scale = _mean_known(np.abs(y[lag:] - y[:-lag]), axis=0)
    return Fitted(
        mean, errors, actual - forecasts[:-1, :, rule], forecasts[-1, :, rule],
        [names[place] for place in best[0]], scale, tuple(origins),
    )


def _all_forecasts(
    y: Array, horizon: int, seasons: Sequence[int], origins: list[int]
) -> Iterator[tuple[list[Candidate], Array]]:
    """Groups of candidates with their forecasts (origins × horizon × candidates × series)."""
    rules = naive_candidates(seasons)
    naive = np.stack([rule_forecasts(y, origins, horizon, c.season) for c in rules], axis=2)
    # A rule that has no value to repeat is no candidate.
    yield rules, np.where(np.isnan(naive), np.inf, naive)
    plain = smoothing_candidates(seasons, logs=False)
    yield plain, smoothing_forecasts(y, plain, seasons, origins, horizon)
    # Logarithms need values above 0; for a series with others the plain model stands in their place.
    positive = np.nanmin(np.where(np.isfinite(y), y, np.inf), axis=0) > 0
    if positive.any():
        logs = [c for c in smoothing_candidates(seasons, logs=True) if c.log]
        found = np.full((len(origins), horizon, len(logs), y.shape[1]), np.inf)
        shaped = np.log(y[:, positive])
        # A forecast far beyond anything seen is an extrapolation of the logarithm, no forecast.
        top = np.nanmax(shaped, axis=0) + np.log(10.0)
        ahead = smoothing_forecasts(shaped, logs, seasons, origins, horizon)
        found[:, :, :, positive] = np.exp(np.minimum(ahead, top))
        yield logs, found


def _best(total: Array) -> Places:
    """The best candidates of each series (BEST × series), best first."""
    count = min(BEST, len(total))
    return np.argsort(total, axis=0, kind="stable")[:count]


def _mean_known(values: Array, axis: int) -> Array:
    """Means of what is known; NaN where nothing is."""
    known = np.isfinite(values) | np.isposinf(values)
    count = known.sum(axis=axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=axis) / np.where(count, count, np.nan))


def half_widths(errors: Array, confidence: float) -> Array:
    """How far an interval reaches to each side (horizon × series), from past errors (origins × horizon × series).

    Each step ahead has a scale, the root mean square of its errors drawn towards that of all steps; the quantile of
    errors over their scale is taken over all steps and origins (split-conformal: Lei et al. 2018), at a level raised
    by 1 / origins, since a few origins do not show the worst.
    """
    origins = len(errors)
    square = np.square(errors)
    overall = np.nanmean(square, axis=(0, 1))
    count = np.isfinite(square).sum(axis=0)
    step = np.nansum(square, axis=0)
    scale = np.sqrt((step + origins / 2 * overall) / (count + origins / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(scale > 0, np.abs(errors) / scale, np.where(np.isfinite(errors), 0.0, np.nan))
    level = min(1.0, confidence + (1 - confidence) / origins)
    reach = np.nanquantile(score.reshape(-1, errors.shape[2]), level, axis=0)
    return np.asarray(reach * scale * np.sqrt(1 + 1 / origins))
