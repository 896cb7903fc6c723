"""Effects out of moments: means, proportions, ratios and any smooth function of them; adjusted, or by stratum.

Each arm gives a vector of means with its covariance matrix; a metric's `Formula` gives value and variance of it by
the delta method (Deng, Knoblich and Lu 2018). Differences are tested as Welch does, with Satterthwaite's degrees of
freedom; the relative effect has Fieller's (1954) interval with the same critical value, so that one p-value and both
intervals agree. CUPED (Deng, Xu, Kohavi and Walker 2013) subtracts what the covariates foretold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.inference.formula import Formula
from prodsense.inference.suffstats import Moments, merged

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RefusalError(Exception):
    """No number can be given; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """How a metric is read off a block of columns: first those of `formula`, then those of each covariate."""

    formula: Formula
    covariates: tuple[Formula, ...] = ()

    @property
    def columns(self) -> int:
        return self.formula.columns + sum(c.columns for c in self.covariates)

    def plain(self) -> Outcome:
        """Without the covariates."""
        return Outcome(self.formula)

    def at(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values (1 + covariates) and their gradients as rows over all columns of the block."""
        values, slopes, start = [], [], 0
        for formula in (self.formula, *self.covariates):
            found = formula.at(means[start : start + formula.columns])
            if found is None:
                raise RefusalError("its denominator is 0 in an arm")
            slope = np.zeros(len(means))
            slope[start : start + formula.columns] = found.slope
            values.append(found.value)
            slopes.append(slope)
            start += formula.columns
        return np.array(values), np.array(slopes)


@dataclass(frozen=True)
class Value:
    """A metric in one arm: its value, the variance of that value, degrees of freedom, and the arm's units."""

    value: float
    variance: float
    freedom: float
    n: int


@dataclass(frozen=True)
class Effect:
    """Treatment less control. `statistic` is tested against no effect, two-sided, on `freedom` degrees."""

    control: Value
    treatment: Value
    effect: float
    se: float
    freedom: float
    alpha: float
    adjusted_for: tuple[str, ...] = ()
    variance_reduction: float | None = None

    @property
    def critical(self) -> float:
        return _t_quantile(1 - self.alpha / 2, self.freedom)

    @property
    def interval(self) -> tuple[float, float]:
        half = self.critical * self.se
        return self.effect - half, self.effect + half

    @property
    def p_value(self) -> float:
        return 2 * _t_tail(abs(self.effect) / self.se, self.freedom)

    @property
    def relative(self) -> float | None:
        return self.effect / self.control.value if self.control.value else None

    @property
    def relative_interval(self) -> tuple[float | None, float | None]:
        return fieller(self.control, self.treatment, self.critical)


def fieller(control: Value, treatment: Value, critical: float) -> tuple[float | None, float | None]:
    """Interval of treatment over control less 1; (None, None) where the control may be 0, and no bound exists."""
    c, t, vc, vt, q = control.value, treatment.value, control.variance, treatment.variance, critical**2
    a = c * c - q * vc
    if a <= 0:
        return None, None
    b, d = -c * t, t * t - q * vt
    root = math.sqrt(max(b * b - a * d, 0.0))
    low, high = sorted(((-b - root) / a, (-b + root) / a))
    return low - 1, high - 1


def refuse_few(moments: Mapping[Any, Moments], least: int, what: str = "units") -> None:
    """RefusalError where an arm has too few units (or clusters) for a variance to mean anything."""
    for arm, found in moments.items():
        if found.n == 0:
            raise RefusalError(f"arm {arm} has no {what} with a value")
        if found.n < max(least, 2):
            raise RefusalError(f"arm {arm} has {found.n} {what} with a value; at least {max(least, 2)} are needed")


def arm_value(moments: Moments, outcome: Outcome) -> Value:
    """The metric in one arm, without adjustment."""
    values, slopes = outcome.plain().at(moments.mean[: outcome.formula.columns])
    k = outcome.formula.columns
    variance = float(slopes[0] @ moments.cov[:k, :k] @ slopes[0]) / moments.n
    return Value(float(values[0]), max(variance, 0.0), moments.n - 1, moments.n)


def compare(
    control: Moments, treatment: Moments, outcome: Outcome, *, alpha: float = 0.05, names: Sequence[str] = ()
) -> Effect:
    """The effect on a metric; with covariates, of what is left after they are taken out with one pooled slope.

    Raises RefusalError where the metric does not vary, or has no value.
    """
    if not outcome.covariates:
        return difference(arm_value(control, outcome), arm_value(treatment, outcome), alpha=alpha)
    total = control + treatment
    centre, slopes = outcome.at(total.mean)
    spread = slopes @ total.cov @ slopes.T
    if np.any(np.diag(spread)[1:] <= 0):
        raise RefusalError("a covariate is the same for all units, so it explains nothing")
    theta = np.linalg.lstsq(spread[1:, 1:], spread[1:, 0], rcond=None)[0]
    weights = np.concatenate([[1.0], -theta])
    sides = []
    for arm in (control, treatment):
        values, gradient = outcome.at(arm.mean)
        variance = float(weights @ (gradient @ arm.cov @ gradient.T) @ weights) / arm.n
        value = float(values[0] - theta @ (values[1:] - centre[1:]))
        sides.append(Value(value, max(variance, 0.0), arm.n - 1, arm.n))
    plain = difference(arm_value(control, outcome), arm_value(treatment, outcome), alpha=alpha)
    found = difference(*sides, alpha=alpha)
    return Effect(
        found.control, found.treatment, found.effect, found.se, found.freedom, alpha, tuple(names),
        1 - (found.se / plain.se) ** 2,
    )


def regression_adjusted(
    control: Moments, treatment: Moments, outcome: Outcome, *, alpha: float = 0.05, names: Sequence[str] = ()
) -> Effect:
    """The effect with a slope of its own in each arm (Lin 2013): never worse than without, however arms differ.

    Its variance holds what comes from estimating the covariates' mean, so that it is right for the population.
    """
    total = control + treatment
    centre, _ = outcome.at(total.mean)
    sides, slopes = [], []
    for arm in (control, treatment):
        values, gradient = outcome.at(arm.mean)
        spread = gradient @ arm.cov @ gradient.T
        if np.any(np.diag(spread)[1:] <= 0):
            raise RefusalError("a covariate is the same for all units of an arm, so it explains nothing")
        theta = np.linalg.lstsq(spread[1:, 1:], spread[1:, 0], rcond=None)[0]
        weights = np.concatenate([[1.0], -theta])
        # As least squares counts: residuals lose a degree for each slope.
        variance = float(weights @ spread @ weights) * (arm.n - 1) / (arm.n - 1 - len(theta)) / arm.n
        sides.append(Value(float(values[0] - theta @ (values[1:] - centre[1:])), max(variance, 0.0),
                           arm.n - 1 - len(theta), arm.n))
        slopes.append(theta)
    plain = difference(arm_value(control, outcome), arm_value(treatment, outcome), alpha=alpha)
    _, gradient = outcome.at(total.mean)
    apart = slopes[1] - slopes[0]
    shift = float(apart @ (gradient @ total.cov @ gradient.T)[1:, 1:] @ apart) / total.n
    found = difference(*sides, alpha=alpha)
    se = math.sqrt(found.se**2 + shift)
    return Effect(found.control, found.treatment, found.effect, se, found.freedom, alpha, tuple(names),
                  1 - (se / plain.se) ** 2)


def post_stratified(
    control: Mapping[Any, Moments], treatment: Mapping[Any, Moments], outcome: Outcome, *, alpha: float = 0.05
) -> Effect:
    """The effect with each stratum weighed by its share of all units, whatever its split between the arms.

    The means of an arm are those of its strata, weighed alike in both arms; the metric is computed of them
    (Miratrix, Sekhon and Yu 2013). Raises RefusalError where an arm has fewer than two units in a stratum.
    """
    columns, strata = outcome.formula.columns, list(dict.fromkeys([*control, *treatment]))
    sizes = {}
    for stratum in strata:
        for arm, found in (("control", control), ("treatment", treatment)):
            count = found[stratum].n if stratum in found else 0
            if count < 2:
                name = " · ".join(map(str, stratum)) if isinstance(stratum, tuple) else stratum
                raise RefusalError(f"stratum {name} has {count} units of {arm}; 2 are needed, so merge strata")
        sizes[stratum] = control[stratum].n + treatment[stratum].n
    whole = sum(sizes.values())
    sides = []
    for found in (control, treatment):
        mean, cov, freedom = np.zeros(columns), np.zeros((columns, columns)), 0.0
        for stratum in strata:
            weight, part = sizes[stratum] / whole, found[stratum].take(range(columns))
            mean = mean + weight * part.mean
            cov = cov + weight**2 * part.cov / part.n
            freedom += part.n - 1
        values, slopes = outcome.plain().at(mean)
        count = sum(found[s].n for s in strata)
        sides.append(Value(float(values[0]), max(float(slopes[0] @ cov @ slopes[0]), 0.0), freedom, count))
    plain = difference(
        *(arm_value(merged([found[s] for s in strata]), outcome) for found in (control, treatment)), alpha=alpha
    )
    effect = difference(*sides, alpha=alpha)
    return Effect(effect.control, effect.treatment, effect.effect, effect.se, effect.freedom, alpha, ("strata",),
                  1 - (effect.se / plain.se) ** 2)


def clustered_value(clusters: Moments, outcome: Outcome, units: int) -> Value:
    """The metric in one arm whose units were assigned in clusters.

    `clusters` are moments of the clusters' sums: the columns of the formula, then the number of units. The means a
    unit are ratios of these sums, with the covariance that whole clusters have between each other.
    """
    k = outcome.formula.columns
    size = clusters.mean[k]
    mean = clusters.mean[:k] / size
    residual = np.hstack([np.eye(k), -mean[:, None]])
    cov = residual @ clusters.cov @ residual.T / (clusters.n * size**2)
    values, slopes = outcome.plain().at(mean)
    return Value(float(values[0]), max(float(slopes[0] @ cov @ slopes[0]), 0.0), clusters.n - 1, units)


def difference(control: Value, treatment: Value, *, alpha: float = 0.05) -> Effect:
    """Treatment less control as Welch's test sees it; RefusalError where nothing varies."""
    variance = control.variance + treatment.variance
    scale = max(abs(control.value), abs(treatment.value), 1e-300)
    if not math.isfinite(variance) or variance <= (1e-12 * scale) ** 2:
        raise RefusalError("it does not vary: all units of both arms have the same value")
    parts = (control.variance**2 / control.freedom if control.freedom else 0.0) + (
        treatment.variance**2 / treatment.freedom if treatment.freedom else 0.0)
    freedom = variance**2 / parts if parts else math.inf
    return Effect(control, treatment, treatment.value - control.value, math.sqrt(variance), freedom, alpha)


@dataclass(frozen=True)
class NonInferiority:
    """A guardrail: is the effect shown to be no worse than the margin? One-sided, at `alpha`.

    `bound` is the worst effect that the data allow, in the metric's unit (absolute margin) or as a share of the
    control (relative margin). `harmed` says that the data show the margin to be passed.
    """

    margin: float
    relative: bool
    statistic: float
    p_value: float
    bound: float | None
    shown: bool
    harmed: bool


def non_inferior(effect: Effect, margin: float, better: str, *, relative: bool = False,
                 alpha: float = 0.05) -> NonInferiority:
    """Test the effect against a margin (in the metric's unit, or a share of the control's value)."""
    sign = 1.0 if better == "up" else -1.0
    control, treatment = effect.control, effect.treatment
    critical = _t_quantile(1 - alpha, effect.freedom)
    if relative:
        if control.value == 0:
            raise RefusalError("the control is 0, so a relative margin means nothing; give one in the metric's unit")
        limit = 1 - sign * margin * math.copysign(1.0, control.value)
        statistic = sign * (treatment.value - limit * control.value) / math.sqrt(
            treatment.variance + limit**2 * control.variance)
        low, high = fieller(control, treatment, critical)
        bound = (low if sign > 0 else high) if control.value > 0 else (high if sign > 0 else low)
    else:
        statistic = (sign * effect.effect + margin) / effect.se
        bound = effect.effect - sign * critical * effect.se
    p_value = _t_tail(statistic, effect.freedom)
    return NonInferiority(margin, relative, statistic, p_value, bound, p_value < alpha, 1 - p_value < alpha)


def _t_quantile(q: float, freedom: float) -> float:
    from scipy import special

    return float(special.ndtri(q) if math.isinf(freedom) else special.stdtrit(freedom, q))


def _t_tail(statistic: float, freedom: float) -> float:
    """P(T > statistic)."""
    from scipy import special

    return float(special.ndtr(-statistic) if math.isinf(freedom) else special.stdtr(freedom, -statistic))
