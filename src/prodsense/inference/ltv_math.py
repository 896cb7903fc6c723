"""Customers who buy until they silently leave: BG/NBD and gamma-gamma on arrays.

Sources: Fader, Hardie & Lee 2005 (BG/NBD: buying is Poisson with rates that are gamma (r, alpha) over customers;
after each purchase a customer leaves with a chance that is beta (a, b)); Fader & Hardie 2013 (gamma-gamma: the mean
spend of the purchases of a customer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import ProdsenseError

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class BgNbd:
    """Fitted parameters and the log-likelihood."""

    r: float
    alpha: float
    a: float
    b: float
    loglik: float

    def alive(self, x: Array, recency: Array, age: Array) -> Array:
        """Chance that a customer is still one; 1 without a repeat purchase, after which alone one can leave."""
        odds = np.zeros(len(x))
        again = x > 0
        odds[again] = np.exp(
            np.log(self.a / (self.b + x[again] - 1))
            + (self.r + x[again]) * np.log((self.alpha + age[again]) / (self.alpha + recency[again]))
        )
        return np.asarray(1 / (1 + odds))

    def purchases(self, x: Array, recency: Array, age: Array, ahead: float) -> Array:
        """Expected purchases in the next `ahead` periods (equation 10)."""
        from scipy.special import hyp2f1

        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        near = abs(a - 1) < 1e-6
        a = a + 2e-6 if near else a
        z = ahead / (alpha + age + ahead)
        series = hyp2f1(r + x, b + x, a + b + x - 1, z)
        part = np.exp((r + x) * np.log((alpha + age) / (alpha + age + ahead)))
        return np.asarray((a + b + x - 1) / (a - 1) * (1 - part * series) * self.alive(x, recency, age))


def fit_bgnbd(x: Array, recency: Array, age: Array) -> BgNbd:
    """Maximum likelihood over customers with `x` repeat purchases, the last at `recency`, seen for `age`."""
    keys, count = np.unique(np.column_stack([x, recency, age]), axis=0, return_counts=True)
    fx, ft, fa = keys.T
    # Units do not matter to the fit, but the optimiser likes numbers near 1.
    unit = float(fa.max())
    found = _maximise(lambda p: float(count @ _bgnbd(p, fx, ft / unit, fa / unit)),
                      [(0.3, 0.2, 0.8, 2.5), (1.0, 1.0, 1.0, 1.0), (0.5, 0.05, 0.3, 5.0)])  # fmt: skip
    r, alpha, a, b = found
    alpha *= unit
    return BgNbd(r, alpha, a, b, float(count @ _bgnbd(np.array([r, alpha, a, b]), fx, ft, fa)))


def _bgnbd(p: Array, x: Array, recency: Array, age: Array) -> Array:
    from scipy.special import betaln, gammaln

    r, alpha, a, b = p
    start = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
    again = np.maximum(x, 1.0)
    left = np.where(
        x > 0, betaln(a + 1, b + again - 1) - betaln(a, b) - (r + x) * np.log(alpha + recency), -np.inf
    )
    return np.asarray(start + np.logaddexp(stays, left))


@dataclass(frozen=True)
class GammaGamma:
    """Fitted spend: `p` and `q` are shapes, `gamma` a scale in money."""

    p: float
    q: float
    gamma: float
    loglik: float

    def spend(self, x: Array, mean: Array) -> Array:
        """Expected mean spend of a customer with `x` repeat purchases of that mean (0 purchases: that of all)."""
        weight = self.p * x / (self.p * x + self.q - 1)
        return np.asarray((1 - weight) * self.gamma * self.p / (self.q - 1) + weight * mean)


def fit_gamma_gamma(x: Array, mean: Array) -> GammaGamma:
    """Maximum likelihood over customers with at least one repeat purchase and a mean spend above 0."""
    unit = float(np.median(mean))
    found = _maximise(lambda p: float(_gamma_gamma(p, x, mean / unit).sum()), [(5.0, 4.0, 1.0), (1.0, 2.0, 1.0)])
    p, q, gamma = found
    return GammaGamma(p, q, gamma * unit, float(_gamma_gamma(np.array([p, q, gamma * unit]), x, mean).sum()))


def _gamma_gamma(parameters: Array, x: Array, mean: Array) -> Array:
    from scipy.special import gammaln

    p, q, gamma = parameters
    return np.asarray(
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(gamma) + (p * x - 1) * np.log(mean)
        + p * x * np.log(x) - (p * x + q) * np.log(gamma + mean * x)
    )  # fmt: skip


def _maximise(loglik: Any, starts: list[tuple[float, ...]]) -> tuple[float, ...]:
    """The positive parameters of the highest likelihood, from several starts, on logarithms."""
    from scipy.optimize import minimize

    def loss(logs: Array) -> float:
        value = -loglik(np.exp(logs))
        return value if np.isfinite(value) else 1e300

    best = None
    for start in starts:
        rough = minimize(
            loss, np.log(start), method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-9, "xatol": 1e-8}
        )
        if best is None or rough.fun < best.fun - 1e-9:
            best = rough
    assert best is not None
    logs = best.x
    if not best.success or np.abs(logs).max() > 15:
        raise ProdsenseError("the likelihood has no maximum: these data do not tell the model's parameters")
    return tuple(float(v) for v in np.exp(logs))
