"""How good predicted probabilities are: ranking, calibration, lift; and how to mend calibration.

Sources: DeLong, DeLong & Clarke-Pearson 1988 (variance of the AUC); Brier 1950; Wilson 1927 (intervals of shares);
Platt 1999 with his corrected targets; Ayer et al. 1955 (isotonic regression by pooling adjacent violators).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Probabilities are kept this far from 0 and 1 where a logarithm is taken.
_EDGE = 1e-15


def midranks(values: Array) -> Array:
    """Ranks from 1, ties sharing their mean."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def auc(y: Array, score: Array) -> tuple[float, float]:
    """Area under the ROC curve (ties count half) and its standard error by DeLong, in n log n."""
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return float("nan"), float("nan")
    whole = midranks(score)
    upper = (whole[positive] - midranks(score[positive])) / n
    lower = 1 - (whole[~positive] - midranks(score[~positive])) / m
    area = float(upper.mean())
    spread = (upper.var(ddof=1) / m if m > 1 else np.nan) + (lower.var(ddof=1) / n if n > 1 else np.nan)
    return area, float(np.sqrt(spread))


def average_precision(y: Array, score: Array) -> float:
    """Mean precision over the positives, by decreasing score, ties taken as one step."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(y[order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    precision = hits[last] / (last + 1)
    recall = hits[last] / hits[-1]
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))


def log_losses(y: Array, p: Array) -> Array:
    """Log loss of each row."""
    kept = np.clip(p, _EDGE, 1 - _EDGE)
    return np.asarray(-(y * np.log(kept) + (1 - y) * np.log1p(-kept)))


def wilson(hits: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share."""
    from scipy.stats import norm

    if not n:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2))
    p = hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def bins(y: Array, p: Array, count: int = 10, confidence: float = 0.95) -> list[dict[str, Any]]:
    """Calibration by equally many subjects a bin (equal scores stay together): predicted and observed shares."""
    rows = []
    for places in _groups(p, count):
        hits = float(y[places].sum())
        low, high = wilson(hits, len(places), confidence)
        rows.append({
            "predicted": float(p[places].mean()), "observed": hits / len(places), "low": low, "high": high,
            "n": len(places),
        })  # fmt: skip
    return rows


def ece(y: Array, p: Array, count: int = 10) -> float:
    """Expected calibration error: the mean distance of predicted and observed shares over the bins, by their size."""
    return sum(row["n"] / len(y) * abs(row["predicted"] - row["observed"]) for row in bins(y, p, count))


def _groups(p: Array, count: int) -> list[Any]:
    """Places in `count` groups of nearly equal size by rising value; equal values are never parted."""
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    # A cut inside equal values moves to where they begin.
    cuts = np.unique(np.searchsorted(ranked, ranked[[round(len(p) * i / count) for i in range(1, count)]]))
    return [part for part in np.split(order, cuts) if len(part)]


def lift_table(y: Array, p: Array, confidence: float = 0.95) -> list[dict[str, Any]]:
    """By tenth of the score, highest first: how many, the rate with its interval, its lift, and what is caught so far.

    Subjects of equal score share their tenths in proportion, so that the order of rows plays no part.
    """
    order = np.argsort(-p, kind="stable")
    ranked = p[order]
    # Each subject counts with the rate of all of equal score.
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ranked) != 0]))
    sizes = np.diff(np.append(starts, len(p)))
    expected = np.repeat(np.add.reduceat(y[order], starts) / sizes, sizes)
    rows = []
    base, total, caught = float(y.mean()), float(y.sum()), 0.0
    for tenth, part in enumerate(np.array_split(expected, 10), 1):
        if not len(part):
            continue
        hits = float(part.sum())
        caught += hits
        low, high = wilson(hits, len(part), confidence)
        rate = hits / len(part)
        rows.append({
            "decile": tenth, "n": len(part), "positives": hits, "rate": rate, "low": low, "high": high,
            "lift": rate / base if base else None, "caught": caught / total if total else None,
        })  # fmt: skip
    return rows


def scores(y: Array, p: Array, confidence: float = 0.95) -> dict[str, Any]:
    """All measures of one model on rows that it has not learned from."""
    from scipy.stats import norm

    area, error = auc(y, p)
    reach = float(norm.ppf(0.5 + confidence / 2)) * error
    tenth = lift_table(y, p, confidence)[0]
    return {
        "n": len(y), "positives": int(y.sum()), "auc": area, "auc_low": max(0.0, area - reach),
        "auc_high": min(1.0, area + reach), "average_precision": average_precision(y, p),
        "brier": float(np.mean((p - y) ** 2)), "log_loss": float(log_losses(y, p).mean()), "ece": ece(y, p),
        "lift": tenth["lift"],
    }  # fmt: skip


def platt(y: Array, log_odds: Array) -> tuple[float, float]:
    """Slope and intercept of Platt's scaling of log-odds, with his targets that do not believe in certainty."""
    from prodsense.inference.predict_logit import sigmoid

    n_one, n_zero = float(y.sum()), float(len(y) - y.sum())
    target = np.where(y == 1, (n_one + 1) / (n_one + 2), 1 / (n_zero + 2))
    design = np.column_stack([log_odds, np.ones(len(y))])
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        p = sigmoid(design @ beta)
        information = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(information, design.T @ (target - p))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0]), float(beta[1])


def isotonic(x: Array, y: Array) -> tuple[Array, Array]:
    """The nearest rising function (least squares): knots in ascending order and their values; equal x go together."""
    from scipy.optimize import isotonic_regression

    knots, place = np.unique(x, return_inverse=True)
    size = np.bincount(place).astype(np.float64)
    return knots, np.asarray(isotonic_regression(np.bincount(place, weights=y) / size, weights=size).x)
