"""Cox regression on arrays: partial likelihood with Efron's ties, Newton's method, residuals, concordance.

Sources: Cox 1972; Efron 1977 (ties); Grambsch & Therneau 1994 (test of proportional hazards by scaled Schoenfeld
residuals); Harrell et al. 1982 (concordance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import ProdsenseError

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]
    Places = np.ndarray[Any, np.dtype[np.int64]]

_ROUNDS = 50
#: A standardised coefficient beyond this has no maximum: the likelihood rises for ever.
_RUNAWAY = 20.0


@dataclass(frozen=True)
class Risk:
    """Subjects by falling duration, and the events among them by the moment at which they ended.

    `group` is each event's moment (0 is the latest), `last` the number of subjects at risk at it, `share` how much of
    the moment's events Efron takes out of the risk set for this event (0, 1/d, …, (d - 1)/d).
    """

    order: Places
    times: Array
    events: Places
    group: Places
    last: Places
    share: Array
    starts: Places

    @classmethod
    def of(cls, durations: Array, observed: Any) -> Risk:
        order = np.lexsort((~observed, -durations))
        times, ended = durations[order], observed[order]
        events = np.flatnonzero(ended)
        moments, first, group = np.unique(-times[events], return_index=True, return_inverse=True)
        # All with a duration of at least the moment are at risk, those lost at it included.
        last = np.searchsorted(-times, moments, side="right")[group]
        size = np.bincount(group)
        return cls(order, times, events, group, last, (np.arange(len(events)) - first[group]) / size[group], first)


@dataclass(frozen=True)
class CoxFit:
    """A fitted model. `loglik` is the maximum, `loglik_null` that of no effect; `residuals` are Schoenfeld's."""

    beta: Array
    covariance: Array
    loglik: float
    loglik_null: float
    score_null: float
    residuals: Array
    times: Array


def fit_cox(x: Array, durations: Array, observed: Any) -> CoxFit:
    """Maximise the partial likelihood. Raises ProdsenseError where it has no maximum."""
    means, scales = x.mean(axis=0), x.std(axis=0)
    z = (x - means) / scales
    risk = Risk.of(durations, observed)
    z = z[risk.order]
    beta = np.zeros(x.shape[1])
    value, gradient, information, residuals = _parts(z, beta, risk)
    null = value
    score = float(gradient @ np.linalg.solve(information, gradient))
    for _ in range(_ROUNDS):
        step = np.linalg.solve(information, gradient)
        size = 1.0
        while size > 1e-8:
            found = _parts(z, beta + size * step, risk)
            if found[0] >= value - 1e-12 * abs(value):
                break
            size /= 2
        beta = beta + size * step
        value, gradient, information, residuals = found
        if np.abs(beta).max() > _RUNAWAY or np.linalg.cond(information) > 1e14:
            worst = int(np.abs(beta).argmax())
            raise NoMaximumError(worst)
        if np.abs(size * step).max() < 1e-10:
            break
    else:
        raise NoMaximumError(int(np.abs(beta).argmax()))
    covariance = np.linalg.inv(information) / np.outer(scales, scales)
    return CoxFit(beta / scales, covariance, value, null, score, residuals * scales, risk.times[risk.events])


class NoMaximumError(ProdsenseError):
    """The likelihood rises without end along a covariate, whose place is `column`."""

    def __init__(self, column: int):
        super().__init__("the likelihood has no maximum")
        self.column = column


def _parts(z: Array, beta: Array, risk: Risk) -> tuple[float, Array, Array, Array]:
    """Log-likelihood, its gradient and negative second derivative, and Schoenfeld residuals, a row an event."""
    eta = z @ beta
    shift = float(eta.max())
    weight = np.exp(eta - shift)
    total = np.concatenate([[0.0], np.cumsum(weight)])
    first = np.concatenate([np.zeros((1, z.shape[1])), np.cumsum(weight[:, None] * z, axis=0)])
    own = weight[risk.events]
    size = len(risk.starts)
    tied = np.bincount(risk.group, weights=own, minlength=size)
    tied_first = np.add.reduceat(own[:, None] * z[risk.events], risk.starts, axis=0)
    s0 = total[risk.last] - risk.share * tied[risk.group]
    s1 = first[risk.last] - risk.share[:, None] * tied_first[risk.group]
    mean = s1 / s0[:, None]
    value = float(np.sum(eta[risk.events] - shift - np.log(s0)))
    gradient = (z[risk.events] - mean).sum(axis=0)
    # Σ over events of S2 / S0, by how much each subject counts in all risk sets that hold it.
    falls = np.zeros(len(z) + 1)
    np.add.at(falls, risk.last, 1 / s0)
    held = np.cumsum(falls[::-1])[::-1][1:]  # subject i is in every risk set of more than i subjects
    out = np.bincount(risk.group, weights=risk.share / s0, minlength=size)
    held[risk.events] -= out[risk.group]
    information = (z * (weight * held)[:, None]).T @ z - mean.T @ mean
    # Events of one moment share the mean of their risk sets.
    averaged = np.add.reduceat(mean, risk.starts, axis=0) / np.bincount(risk.group)[:, None]
    return value, gradient, information, z[risk.events] - averaged[risk.group]


def baseline_hazard(x: Array, durations: Array, observed: Any, beta: Array) -> tuple[Array, Array]:
    """Moments with an event, ascending, and the cumulative hazard there of a subject with x = 0 (Efron's weights)."""
    risk = Risk.of(durations, observed)
    weight = np.exp(x[risk.order] @ beta)
    total = np.concatenate([[0.0], np.cumsum(weight)])
    tied = np.bincount(risk.group, weights=weight[risk.events])
    s0 = total[risk.last] - risk.share * tied[risk.group]
    steps = np.bincount(risk.group, weights=1 / s0)
    return risk.times[risk.events][risk.starts][::-1], np.cumsum(steps[::-1])


def proportional_test(fit: CoxFit, transformed: Array) -> tuple[Array, Array]:
    """For each covariate whether its effect moves with the transformed time: chi-squared on 1 degree, and p."""
    from scipy.stats import chi2

    count = len(fit.residuals)
    scaled = count * fit.residuals @ fit.covariance
    centred = transformed - transformed.mean()
    spread = float(centred @ centred)
    found = (centred @ scaled) ** 2 / (count * np.diag(fit.covariance) * spread)
    return found, chi2.sf(found, 1)


def concordance(durations: Array, observed: Any, risk: Array) -> tuple[float, int]:
    """Of the pairs of which it is known who ended first, the share whose risk was higher (equal ones count half).

    Also the number of such pairs. Who ended at a moment ended before those lost from view then.
    """
    # Latest first; at one moment those lost from view before those that ended, which are no pairs of their own.
    order = np.lexsort((observed, -durations))
    ended = observed[order]
    score = np.unique(risk, return_inverse=True)[1][order].astype(np.int64)
    below, same = _dominated(score)
    place = np.flatnonzero(ended)
    pairs = float(place.sum())
    lower, equal = float(below[place].sum()), float(same[place].sum())
    # Pairs of events of one moment are known to nobody: take them out.
    _, first, size = np.unique(-durations[order][place], return_index=True, return_counts=True)
    for start, count in zip(first[size > 1], size[size > 1], strict=True):
        inside = score[place[start : start + count]]
        few, alike = _dominated(inside)
        pairs -= count * (count - 1) / 2
        lower -= float(few.sum())
        equal -= float(alike.sum())
    return (float((lower + equal / 2) / pairs) if pairs else float("nan")), int(pairs)


def _dominated(score: Places) -> tuple[Places, Places]:
    """For each place: how many earlier places have a lower, and how many an equal score. n log² n, without a loop
    over rows: halves of ever larger blocks are counted against each other."""
    n = len(score)
    below, same = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    span = int(score.max(initial=0)) + 1
    at, width = np.arange(n), 1
    while width < n:
        block = at // (2 * width)
        right = (at // width) % 2 == 1
        keys = np.sort((block * span + score)[~right])
        wanted = (block * span + score)[right]
        begin = np.searchsorted(keys, block[right] * span)
        low, high = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
        below[right] += low - begin
        same[right] += high - low
        width *= 2
    return below, same
