"""How many units a test needs, how small an effect it can find, how likely it finds one, how long it runs.

Means by the noncentral t (Cohen 1988), rates with the variance of each arm (unpooled), clusters with the design effect
1 + (m − 1)·ICC, CUPED with the variance that it leaves, always-valid looks by the chance that any look crosses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.sequential import TUNED_FOR, always_valid_half
from prodsense.metrics.result import Rows


def power(
    *,
    mean: float | None = None,
    sd: float | None = None,
    rate: float | None = None,
    effect: float | None = None,
    relative: float | None = None,
    units: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    margin: float | None = None,
    treatment_ratio: float = 1.0,
    treatments: int = 1,
    metrics: int = 1,
    guardrails: int = 0,
    variance_reduction: float = 0.0,
    cluster_size: float = 1.0,
    icc: float = 0.0,
    looks: int = 0,
    tuned_for: float = TUNED_FOR,
    per_day: float | None = None,
) -> Rows:
    """Solve for what is not given of `units` (of control), `effect` (or `relative`) and `power`.

    A metric is a `rate`, or a `mean` with its `sd` (`mean` only for `relative`). `treatment_ratio` is units of a
    treatment over those of control. The level is shared among `treatments` × `metrics` comparisons (Bonferroni), the
    error of the second kind among `guardrails` (arXiv 2402.11609). With `margin` the test is one of non-inferiority,
    one-sided: `effect` is the true one, 0 unless given, and a positive one is good. `looks` > 0 is an always-valid
    test that is looked at so often, evenly. Raises UsageError for what cannot be.
    """
    test = _Test(
        mean, sd, rate, alpha / (treatments * metrics), margin, treatment_ratio, variance_reduction, cluster_size, icc,
        looks, tuned_for,
    )
    test.check(alpha, treatments, metrics, guardrails)
    if relative is not None:
        base = rate if rate is not None else mean
        if effect is not None or not base:
            raise UsageError("give effect or relative; relative needs a rate or a mean other than 0")
        effect = relative * base
    if margin is not None and effect is None:
        effect = 0.0
    target = 0.8 if power is None else power
    if not 0 < target < 1:
        raise UsageError(f"power lies between 0 and 1, not {target}")
    needed = 1 - (1 - target) / (guardrails + 1)
    if units is not None and effect is not None:
        if power is not None:
            raise UsageError("units, effect and power are all given: leave out the one to be found")
        found, solved = test.power(units, effect), "power"
    elif effect is not None:
        units, found, solved = test.units(effect, needed), needed, "units"
    elif units is not None:
        effect, found, solved = test.effect(units, needed), needed, "effect"
    else:
        raise UsageError("give an effect to find the units it needs, or units to find the effect they can show")
    per_arm = {"control": math.ceil(units - 1e-9), "treatment": math.ceil(units * treatment_ratio - 1e-9)}
    total = per_arm["control"] + treatments * per_arm["treatment"]
    base = rate if rate is not None else mean
    row: dict[str, Any] = {
        "solved_for": solved, "units_control": per_arm["control"], "units_treatment": per_arm["treatment"],
        "units_total": total, "exact_units": float(units), "effect": effect,
        "relative": effect / base if base else None, "power": found, "alpha": alpha,
        "alpha_each": test.alpha, "days": math.ceil(total / per_day) if per_day else None,
    }
    return Rows.from_rows([row], title="power", units={"power": "share", "relative": "share"})


class _Test:
    def __init__(
        self, mean: float | None, sd: float | None, rate: float | None, alpha: float, margin: float | None,
        ratio: float, reduction: float, cluster: float, icc: float, looks: int, tuned_for: float,
    ):
        self.mean, self.sd, self.rate, self.alpha, self.margin = mean, sd, rate, alpha, margin
        self.ratio, self.reduction, self.cluster, self.icc = ratio, reduction, cluster, icc
        self.looks, self.tuned_for = looks, tuned_for

    def check(self, alpha: float, treatments: int, metrics: int, guardrails: int) -> None:
        if (self.rate is None) == (self.sd is None):
            raise UsageError("give a rate, or the sd of a mean")
        if self.rate is not None and not 0 < self.rate < 1:
            raise UsageError(f"a rate lies between 0 and 1, not {self.rate}")
        if self.sd is not None and not 0 < self.sd < math.inf:
            raise UsageError(f"sd is above 0, not {self.sd}: what does not vary needs no test")
        if not 0 < alpha < 1:
            raise UsageError(f"alpha lies between 0 and 1, not {alpha}")
        if min(treatments, metrics) < 1 or guardrails < 0 or not 0 < self.ratio < math.inf:
            raise UsageError("treatments and metrics count from 1, guardrails from 0, treatment_ratio is above 0")
        if not 0 <= self.reduction < 1 or not 0 <= self.icc <= 1 or self.cluster < 1 or self.looks < 0:
            raise UsageError("variance_reduction and icc lie between 0 and 1, cluster_size from 1, looks from 0")
        if self.margin is not None and not self.margin > 0:
            raise UsageError("a margin is above 0")
        if self.looks and self.margin is not None:
            raise UsageError("looks at a guardrail are not planned for; give margin without looks")

    def se(self, n: float, effect: float) -> float:
        """Standard error of the difference with n units of control."""
        if self.rate is not None:
            other = self.rate + effect
            if not 0 <= other <= 1:
                raise UsageError(f"a rate of {self.rate:g} cannot change by {effect:g}")
            variance = self.rate * (1 - self.rate) / n + other * (1 - other) / (n * self.ratio)
        else:
            assert self.sd is not None
            variance = self.sd**2 * (1 + 1 / self.ratio) / n
        return math.sqrt(variance * (1 - self.reduction) * (1 + (self.cluster - 1) * self.icc))

    def power(self, n: float, effect: float) -> float:
        from scipy import special

        distance = (effect + self.margin) if self.margin is not None else abs(effect)
        shift = distance / self.se(n, effect)
        level = self.alpha if self.margin is not None else self.alpha / 2
        if self.looks:
            return always_valid_power(self.se(n, effect), n * (1 + self.ratio), abs(effect), self.looks, self.alpha,
                                      self.tuned_for)
        if self.rate is not None and self.cluster == 1:
            z = special.ndtri(1 - level)
            far = 0.0 if self.margin is not None else special.ndtr(-shift - z)
            return float(special.ndtr(shift - z) + far)
        freedom = n * (1 + self.ratio) / self.cluster - 2
        if freedom <= 0:
            return 0.0
        t = special.stdtrit(freedom, 1 - level)
        far = 0.0 if self.margin is not None else special.nctdtr(freedom, shift, -t)
        value = 1 - special.nctdtr(freedom, shift, t) + (far if np.isfinite(far) else 0.0)
        # The noncentral t overflows where the normal is exact to all digits shown.
        return float(value) if np.isfinite(value) else float(special.ndtr(shift - special.ndtri(1 - level)))

    def units(self, effect: float, needed: float) -> float:
        distance = effect + self.margin if self.margin is not None else abs(effect)
        if not distance > 0:
            raise UsageError("an effect of 0 needs endless units" if self.margin is None
                             else "a true effect beyond the margin can never be shown to be within it")
        least = 2.0 * self.cluster
        return _root(lambda n: self.power(n, effect) - needed, least, "more than 1e12 units are needed", 1e12)

    def effect(self, n: float, needed: float) -> float:
        if not n >= 2:
            raise UsageError(f"units are at least 2, not {n:g}")
        most = (1 - self.rate) * 0.999999 if self.rate is not None else math.inf
        start = self.se(n, 0.0) * 1e-3
        if self.rate is not None and self.power(n, most) < needed:
            raise UsageError(f"{n:g} units cannot show any effect on a rate of {self.rate:g} with that power")
        return _root(lambda e: self.power(n, min(e, most)) - needed, start, "no effect can be shown", 1e300)


def _root(f: Callable[[float], float], low: float, why: str, most: float) -> float:
    """Where a rising function is 0, from `low` on."""
    from scipy.optimize import brentq

    if f(low) >= 0:
        return low
    high = low * 2
    while f(high) < 0:
        high *= 2
        if high > most:
            raise UsageError(why)
    return float(brentq(f, high / 2, high, xtol=high * 1e-13, rtol=1e-13))


def crossing_probability(bounds: Sequence[float], shares: Sequence[float], drift: float) -> float:
    """The chance that |z| crosses one of its bounds, where z has mean drift·√share (numerical integration)."""
    from scipy.special import ndtr

    points, mass, crossed, before = np.zeros(1), np.ones(1), 0.0, 0.0
    nodes, weights = np.polynomial.legendre.leggauss(301)
    for bound, share in zip(bounds, shares, strict=True):
        step, moved = math.sqrt(share - before), drift * (share - before)
        edge = bound * math.sqrt(share)
        centre = points + moved
        crossed += float(mass @ (ndtr((centre - edge) / step) + ndtr((-edge - centre) / step)))
        # What has not crossed lies within the bounds, and near its mean: no need to integrate the emptiness.
        low = max(-edge, drift * share - 9 * math.sqrt(share))
        high = min(edge, drift * share + 9 * math.sqrt(share))
        if low >= high:
            return min(crossed, 1.0)
        fresh = (high - low) / 2 * nodes + (high + low) / 2
        kernel = np.exp(-0.5 * ((fresh[:, None] - centre[None, :]) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        mass, points, before = (kernel @ mass) * weights * (high - low) / 2, fresh, share
    return min(crossed, 1.0)


def always_valid_power(
    se: float, total: float, effect: float, looks: int, alpha: float, tuned_for: float = TUNED_FOR
) -> float:
    """The chance that an always-valid test with this error at the end has rejected by then, looked at evenly."""
    shares = [(i + 1) / looks for i in range(looks)]
    bounds = [always_valid_half(1.0, total * share, alpha, tuned_for) for share in shares]
    return crossing_probability(bounds, shares, effect / se)
