"""Weights that are not below 0 and add to 1: the least squares problem under synthetic controls, solved exactly.

The problem is scaled to unit size first and its optimum is proved by its conditions (Karush, Kuhn, Tucker), since a
general optimiser may stop at its start without a word when the loss is badly scaled.
"""

from __future__ import annotations

import numpy as np

from prodsense.errors import ProdsenseError
from prodsense.inference.ols import Array


def simplex_weights(a: Array, b: Array, ridge: float = 0.0, intercept: bool = False) -> Array:
    """The w ≥ 0 with sum 1 that minimises ‖a w − b‖² + ridge · ‖w‖², with a free constant where `intercept`.

    An active-set method: non-negative least squares finds which weights are above 0 (Lawson & Hanson 1974, the sum as
    a heavy row), the equations of those give their values, and the conditions of an optimum are checked.
    """
    if a.shape[1] == 1:
        return np.ones(1)
    if intercept:
        a, b = a - a.mean(axis=0), b - b.mean()
    # With sum 1, taking the same column off a and b changes nothing but the size of the numbers.
    centre = a.mean(axis=1)
    a, b = a - centre[:, None], b - centre
    scale = float(np.sqrt((a**2).mean())) or 1.0
    a, b, ridge = a / scale, b / scale, ridge / scale**2
    many = a.shape[1]
    full = np.vstack([a, np.sqrt(ridge) * np.eye(many)]) if ridge > 0 else a
    goal = np.concatenate([b, np.zeros(many)]) if ridge > 0 else b
    gram, pull = full.T @ full, full.T @ goal
    start = _heavy_row(full, goal)
    return _polish(gram, pull, start)


def _heavy_row(full: Array, goal: Array) -> Array:
    from scipy.optimize import nnls

    heavy = 1e3 * max(1.0, float(np.abs(full).max()), float(np.abs(goal).max()))
    rows = np.vstack([full, np.full(full.shape[1], heavy)])
    try:
        found = nnls(rows, np.append(goal, heavy), maxiter=50 * full.shape[1])[0]
    except RuntimeError:  # it did not settle; the polish gets to the optimum from anywhere
        found = np.zeros(full.shape[1])
    total = found.sum()
    return found / total if total > 0 else np.full(len(found), 1 / len(found))


def _polish(gram: Array, pull: Array, start: Array) -> Array:
    """The exact optimum from a start near it: primal active set on the sign conditions."""
    many = len(pull)
    w = start.copy()
    active = w > 1e-9
    tolerance = 1e-9 * max(1.0, float(np.abs(gram).max()), float(np.abs(pull).max()))
    for _ in range(20 * many):
        chosen = np.flatnonzero(active)
        trial = _equations(gram, pull, chosen)
        if trial.min() < -1e-12:
            # Go towards the trial until the first weight reaches 0, and let that one go.
            now = w[chosen]
            down = trial < now
            steps = np.where(down & (trial < 0), now / np.where(now - trial > 0, now - trial, 1.0), np.inf)
            step = min(1.0, float(steps.min()))
            w = np.zeros(many)
            w[chosen] = np.maximum(now + step * (trial - now), 0.0)
            active[chosen[int(np.argmin(steps))]] = False
            w[~active] = 0.0
            continue
        w = np.zeros(many)
        w[chosen] = np.maximum(trial, 0.0)
        gradient = gram @ w - pull
        level = float(gradient[chosen] @ w[chosen])
        short = gradient - level
        short[active] = 0.0
        worst = int(np.argmin(short))
        if short[worst] >= -tolerance:
            return w / w.sum()
        active[worst] = True
    raise ProdsenseError("the weights did not settle; are two donors the same series? leave one out")


def _equations(gram: Array, pull: Array, chosen: Array) -> Array:
    """The weights of the chosen columns that sum to 1, signs left free (least norm where several fit alike)."""
    k = len(chosen)
    system = np.zeros((k + 1, k + 1))
    system[:k, :k] = gram[np.ix_(chosen, chosen)]
    system[:k, k] = system[k, :k] = 1.0
    return np.asarray(np.linalg.lstsq(system, np.append(pull[chosen], 1.0), rcond=1e-13)[0][:k])
