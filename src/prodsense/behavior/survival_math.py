"""Kaplan–Meier and log-rank on arrays of durations; nothing here knows events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

#: Products of fractions miss 0.5 by rounding; nearer than this is reached.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Lives:
    """Durations of one group: at each distinct one (ascending) how many ended and how many were lost from view."""

    times: Floats
    events: Counts
    censored: Counts

    @classmethod
    def of(cls, durations: Floats, observed: NDArray[np.bool_]) -> Lives:
        """From one duration a subject and whether its end was observed."""
        times, place = np.unique(durations, return_inverse=True)
        ended = np.bincount(place[observed], minlength=len(times))
        return cls(times, ended, np.bincount(place, minlength=len(times)) - ended)

    @property
    def subjects(self) -> int:
        return int(self.events.sum() + self.censored.sum())

    def at_risk(self) -> Counts:
        """Subjects whose duration is at least that of each place; those lost at a moment are at risk at it."""
        leave = self.events + self.censored
        return np.cumsum(leave[::-1])[::-1]


@dataclass(frozen=True)
class Curve:
    """Kaplan–Meier estimate at each time with an event: S(t), its standard error (Greenwood) and an interval."""

    times: Floats
    at_risk: Counts
    events: Counts
    survival: Floats
    std_error: Floats
    low: Floats
    high: Floats

    def quantile(self, q: float) -> tuple[float | None, float | None, float | None]:
        """The first time at which a share `q` has ended, and the interval of that time; None where never reached."""
        def first(values: Floats) -> float | None:
            hit = np.flatnonzero(values <= 1 - q + _ROUNDING)
            return float(self.times[hit[0]]) if len(hit) else None

        return first(self.survival), first(self.low), first(self.high)


def kaplan_meier(lives: Lives, *, confidence: float = 0.95, interval: str = "log-log") -> Curve:
    """The product-limit estimate.

    `interval`: ``log-log`` (of the log cumulative hazard; inside 0..1) or ``plain`` (S ± z·se, cut to 0..1).
    Where nobody is left, the standard error is 0 and the log-log interval is not defined: it is 0.
    """
    from scipy.stats import norm

    keep = lives.events > 0
    risk, ended = lives.at_risk()[keep], lives.events[keep]
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1 - ended / risk).astype(np.float64)
        greenwood = np.cumsum(ended / (risk * (risk - ended).astype(float)))
        error = np.where(survival > 0, survival * np.sqrt(greenwood), 0.0).astype(np.float64)
        z = float(norm.ppf(0.5 + confidence / 2))
        if interval == "plain":
            low, high = survival - z * error, survival + z * error
        else:
            hazard = np.log(-np.log(survival))
            width = z * np.sqrt(greenwood) / np.abs(np.log(survival))
            low, high = np.exp(-np.exp(hazard + width)), np.exp(-np.exp(hazard - width))
    gone = survival <= 0
    low, high = np.where(gone, 0.0, np.clip(low, 0, 1)), np.where(gone, 0.0, np.clip(high, 0, 1))
    return Curve(lives.times[keep], risk, ended, survival, error, low, high)


@dataclass(frozen=True)
class LogRank:
    """Whether groups end alike: chi-squared `statistic` on `degrees` of freedom, and `p_value`."""

    statistic: float
    degrees: int
    p_value: float


def log_rank(groups: Mapping[str, Lives]) -> LogRank | None:
    """The log-rank test of any number of groups; None where fewer than two groups can be compared."""
    from scipy.stats import chi2

    lives = [group for group in groups.values() if group.subjects]
    if len(lives) < 2:
        return None
    times = np.unique(np.concatenate([group.times[group.events > 0] for group in lives]))
    if not len(times):
        return None
    risk = np.zeros((len(lives), len(times)))
    ended = np.zeros((len(lives), len(times)))
    for i, group in enumerate(lives):
        later = np.searchsorted(group.times, times)
        risk[i] = np.append(group.at_risk(), 0)[later]
        at = np.searchsorted(times, group.times[group.events > 0])
        ended[i, at] = group.events[group.events > 0]
    all_risk, all_ended = risk.sum(axis=0), ended.sum(axis=0)
    surplus = (ended - risk * (all_ended / all_risk)).sum(axis=1)
    # Hypergeometric variance; a moment with one subject at risk has none.
    scale = all_ended * (all_risk - all_ended) / np.maximum(all_risk - 1, 1)
    share = risk / all_risk
    variance = np.diag((share * scale).sum(axis=1)) - (share * scale) @ share.T
    rank = int(np.linalg.matrix_rank(variance))
    if rank == 0:
        return None
    statistic = float(surplus @ np.linalg.pinv(variance, hermitian=True) @ surplus)
    return LogRank(statistic, rank, float(chi2.sf(statistic, rank)))
