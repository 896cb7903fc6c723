"""Penalised logistic regression by Newton's method (iteratively reweighted least squares), in numpy.

Minimises  Σ log(1 + exp(-s_i·η_i)) + penalty / 2 · |w|²  with η = intercept + x·w and s = ±1; the intercept is not
penalised. Columns are standardised by the rows that the model learns from, so that one penalty suits all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import ProdsenseError, UsageError

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

_ROUNDS = 100
#: A coefficient (in standard deviations) beyond this means that a column tells the classes apart without error.
_SEPARATED = 25.0


@dataclass(frozen=True)
class Logit:
    """A fitted model: `weights` belong to the columns as they are, `covariance` to intercept and weights."""

    intercept: float
    weights: Array
    means: Array
    scales: Array
    covariance: Array
    penalty: float

    def log_odds(self, x: Array) -> Array:
        """Log-odds of rows (n × k)."""
        return np.asarray(self.intercept + x @ self.weights)

    def probability(self, x: Array) -> Array:
        """Probability of rows."""
        return sigmoid(self.log_odds(x))

    def parts(self, x: Array) -> Array:
        """What each column adds to a row's log-odds against the mean row of the training (n × k).

        They sum to the row's log-odds less those of the mean row.
        """
        return np.asarray((x - self.means) * self.weights)

    @property
    def std_errors(self) -> Array:
        """Of intercept and weights, from the penalised information."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-v)) without overflow."""
    from scipy.special import expit

    return np.asarray(expit(values))


def fit_logit(x: Array, y: Array, penalty: float = 1.0, weights: Array | None = None) -> Logit:
    """Fit rows `x` (n × k) with outcomes `y` (0 or 1).

    `penalty` is on the standardised columns (scikit-learn's 1 / C). Raises UsageError where there is one class, and
    ProdsenseError without a penalty where the classes can be told apart exactly, since then no estimate exists.
    """
    if penalty < 0 or not np.isfinite(penalty):
        raise UsageError(f"a penalty is 0 or more, not {penalty}")
    if not len(y) or y.min() == y.max():
        raise UsageError("a model needs subjects of both outcomes to learn from")
    given = np.ones(len(y)) if weights is None else weights
    means = x.mean(axis=0)
    scales = x.std(axis=0)
    scales = np.where(scales > 1e-12 * np.maximum(1.0, np.abs(means)), scales, 1.0)
    design = np.column_stack([np.ones(len(y)), (x - means) / scales])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    rate = np.average(y, weights=given)
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(rate / (1 - rate))
    loss = _loss(design, y, beta, ridge, given)
    information = np.eye(design.shape[1])
    for _ in range(_ROUNDS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (given * (y - p)) - ridge * beta
        information = (design * (given * p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        size, new = 1.0, loss
        while size > 1e-10:  # Newton's step may overshoot far from the optimum: halve it
            new = _loss(design, y, beta + size * step, ridge, given)
            if new <= loss + 1e-12 * abs(loss):
                break
            size /= 2
        beta = beta + size * step
        done = float(np.abs(size * step).max()) < 1e-10
        loss = new
        if penalty == 0 and np.abs(beta[1:]).max(initial=0.0) > _SEPARATED:
            raise ProdsenseError("the features tell the outcomes apart without error: no estimate; give a penalty")
        if done:
            break
    if penalty == 0 and np.linalg.matrix_rank(design) < design.shape[1]:
        raise UsageError("some features repeat others, so that their weights cannot be told apart; give a penalty")
    back = np.zeros((len(beta), len(beta)))
    back[0, 0] = 1.0
    back[0, 1:] = -means / scales
    back[range(1, len(beta)), range(1, len(beta))] = 1 / scales
    covariance = back @ np.linalg.pinv(information, hermitian=True) @ back.T
    whole = back @ beta
    return Logit(float(whole[0]), whole[1:], means, scales, covariance, penalty)


def _loss(design: Array, y: Array, beta: Array, ridge: Array, weights: Array) -> float:
    eta = design @ beta
    return float(weights @ (np.logaddexp(0.0, eta) - y * eta) + 0.5 * ridge @ beta**2)
