"""Ordinary least squares with the errors that panels and series need: robust, clustered one or two ways, HAC.

Small dense algebra in numpy. A row may stand for several observations with equal regressors (`count`) whose outcomes
vary around the row's mean by a sum of squares (`spread`): the engine aggregates, the answer is that of the rows.

Sources: White 1980 with MacKinnon & White's n / (n − k) (HC1); Liang & Zeger 1986 with Stata's
G / (G − 1) · (n − 1) / (n − k) (CR1); Cameron, Gelbach & Miller 2011 for two ways, each of the three parts with its own
small-sample factor; Newey & West 1987 with Bartlett weights for HAC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from prodsense.errors import UsageError

Array: TypeAlias = np.ndarray[Any, Any]
#: Whole numbers from 0, one a row: which group it belongs to.
Codes: TypeAlias = np.ndarray[Any, Any]

#: A column whose share that no earlier column explains is below this is said to repeat them.
_COLLINEAR = 1e-9
#: Residuals whose squares are below this share of the outcome's are rounding.
_EXACT = 1e-24


@dataclass(frozen=True)
class Fit:
    """A fitted regression. `covariance` belongs to `coefficients`; `degrees` are those of the t distribution.

    `scores` holds each row's part of the coefficients' error (k columns): their sum by cluster is what a cluster
    adds. `errors` says how the covariance was estimated.
    """

    names: tuple[str, ...]
    coefficients: Array
    covariance: Array
    degrees: float
    observations: int
    residuals: Array
    scores: Array
    errors: str
    clusters: tuple[int, ...] = ()
    r_squared: float = float("nan")

    @property
    def std_errors(self) -> Array:
        """Square roots of the covariance's diagonal."""
        return np.asarray(np.diag(self.covariance)).clip(0.0) ** 0.5

    def place(self, name: str) -> int:
        """Where a coefficient stands."""
        return self.names.index(name)

    def combination(self, weights: Array) -> tuple[float, float]:
        """Value and standard error of a weighted sum of coefficients."""
        return float(weights @ self.coefficients), float(np.sqrt(max(float(weights @ self.covariance @ weights), 0.0)))

    def test(self, places: Sequence[int]) -> Joint:
        """Whether the coefficients at `places` are all 0: Wald's F with the fit's degrees."""
        chosen = list(places)
        return joint(self.coefficients[chosen], self.covariance[np.ix_(chosen, chosen)], self.degrees)


@dataclass(frozen=True)
class Joint:
    """A test that several numbers are all 0."""

    statistic: float
    degrees: int
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        return {"statistic": self.statistic, "degrees": self.degrees, "p_value": self.p_value}


def joint(values: Array, covariance: Array, degrees: float = float("inf")) -> Joint:
    """Wald's test that `values` are all 0; an F test where `degrees` are finite, else chi-squared.

    Directions without variance are left out of the rank: they carry no evidence.
    """
    from scipy import stats

    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    kept = scale > 0
    if not kept.any():
        return Joint(float("nan"), 0, float("nan"))
    scaled = covariance[np.ix_(kept, kept)] / np.outer(scale[kept], scale[kept])
    roots, vectors = np.linalg.eigh(scaled)
    real = roots > 1e-10 * roots.max()
    turned = vectors[:, real].T @ (values[kept] / scale[kept])
    rank = int(real.sum())
    chi = float(np.sum(turned**2 / roots[real]))
    if np.isfinite(degrees):
        return Joint(chi / rank, rank, float(stats.f.sf(chi / rank, rank, max(degrees, 1.0))))
    return Joint(chi, rank, float(stats.chi2.sf(chi, rank)))


def quantile_of(confidence: float, degrees: float = float("inf")) -> float:
    """How many standard errors an interval of that confidence reaches to each side (t, or normal)."""
    from scipy import stats

    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    upper = 0.5 + confidence / 2
    return float(stats.t.ppf(upper, degrees) if np.isfinite(degrees) else stats.norm.ppf(upper))


def p_value(value: float, error: float, degrees: float = float("inf")) -> float | None:
    """Two-sided p of a value with its standard error; None where the error is 0."""
    from scipy import stats

    if not error > 0:
        return None
    ratio = abs(value) / error
    return float(2 * (stats.t.sf(ratio, degrees) if np.isfinite(degrees) else stats.norm.sf(ratio)))


def ols(
    y: Array,
    x: Array,
    names: Sequence[str],
    *,
    errors: str = "robust",
    clusters: Sequence[Codes] = (),
    lags: int = 0,
    count: Array | None = None,
    spread: Array | None = None,
    absorbed: int = 0,
    nested: bool = True,
) -> Fit:
    """Fit `y` on the columns of `x` (a constant included, if wanted).

    `errors`: ``classic`` (equal variances), ``robust`` (HC1), ``cluster`` (`clusters`: one or two columns of codes
    from 0) or ``hac`` (`lags` of rows in the order of time; a row of zeros is a missing period). `absorbed` is the
    number of fixed effects taken out before; they cost degrees of freedom unless they are `nested` in the clusters.
    Raises UsageError when a column repeats others or too few rows are left.
    """
    weight = np.ones(len(y)) if count is None else count.astype(float)
    observations = float(weight.sum()) if errors != "hac" else float(np.any(x != 0, axis=1).sum())
    k = x.shape[1]
    if observations <= k + absorbed:
        raise UsageError(
            f"{int(observations)} observations cannot carry {k + absorbed} coefficients; more rows are needed"
        )
    root = np.sqrt(weight)
    scale = np.sqrt((weight[:, None] * x**2).sum(axis=0))
    flat = [names[int(i)] for i in np.flatnonzero(scale == 0)]
    if flat:
        raise UsageError(f"{flat[0]} is 0 in every row, so that it has no coefficient; leave it out")
    q, r = np.linalg.qr(root[:, None] * x / scale)
    loose = np.abs(np.diag(r)) < _COLLINEAR
    if loose.any():
        raise UsageError(
            f"{names[int(np.flatnonzero(loose)[0])]} repeats what the columns before it say (they add up to it);"
            " leave it out"
        )
    inverse = np.linalg.solve(r, np.eye(k)) / scale[:, None]
    coefficients = inverse @ (q.T @ (root * y))
    bread = inverse @ inverse.T
    residuals = y - x @ coefficients
    inside = float(spread.sum()) if spread is not None else 0.0
    rss = float(np.sum(weight * residuals**2)) + inside
    scores = (weight * residuals)[:, None] * (x @ bread)
    middle = float(np.sum(weight * y) / weight.sum())
    total = float(np.sum(weight * (y - middle) ** 2)) + inside
    if rss <= _EXACT * float(np.sum(weight * y**2)):
        raise UsageError("the columns explain the outcome without any error, so that nothing says how sure one can be")
    free = observations - k - absorbed
    sizes: tuple[int, ...] = ()
    degrees = free
    if errors == "classic":
        covariance = bread * (rss / free)
    elif errors == "robust":
        squares = weight * residuals**2 + (spread if spread is not None else 0.0)
        influence = x @ bread
        covariance = (influence * squares[:, None]).T @ influence * (observations / free)
    elif errors == "cluster":
        used = k + (0 if nested else absorbed)
        covariance, sizes = _clustered(scores, clusters, observations, used)
        degrees = float(min(sizes) - 1)
    elif errors == "hac":
        covariance = hac(scores, lags)
    else:
        raise UsageError(f"no errors named {errors!r}; choose one of classic, robust, cluster, hac")
    return Fit(
        tuple(names), coefficients, covariance, degrees, int(observations), residuals, scores, errors, sizes,
        1 - rss / total if total > 0 else float("nan"),
    )


def compact(codes: Codes) -> Codes:
    """Codes without gaps, in the same order; in one pass, where `np.unique` would sort the rows."""
    seen = np.bincount(codes) > 0
    return np.asarray((np.cumsum(seen) - 1)[codes])


def group_sums(values: Array, codes: Codes) -> Array:
    """Sums of the rows of `values` by code."""
    groups = int(codes.max()) + 1
    if values.ndim == 1:
        return np.bincount(codes, values, groups)
    return np.column_stack([np.bincount(codes, column, groups) for column in values.T])


def _clustered(scores: Array, clusters: Sequence[Codes], n: float, k: int) -> tuple[Array, tuple[int, ...]]:
    """The covariance clustered by one column of codes, or by two (sum of both less that of their pairs)."""
    if not 1 <= len(clusters) <= 2:
        raise UsageError(f"errors are clustered by one or two columns, not {len(clusters)}")
    parts = [(1.0, codes) for codes in clusters]
    if len(clusters) == 2:
        pairs = clusters[0] * (int(clusters[1].max()) + 1) + clusters[1]
        parts.append((-1.0, np.unique(pairs, return_inverse=True)[1]))
    covariance = np.zeros((scores.shape[1],) * 2)
    sizes = []
    for sign, codes in parts:
        codes = compact(codes)
        groups = int(codes.max()) + 1
        if groups < 2:
            raise UsageError("all rows are of one cluster, so that nothing says how clusters vary; name another column")
        sums = group_sums(scores, codes)
        covariance += sign * (groups / (groups - 1) * (n - 1) / (n - k)) * (sums.T @ sums)
        sizes.append(groups)
    if len(clusters) == 2:
        # The difference need not be a covariance: what is below 0 is cut (Cameron, Gelbach & Miller, section 2.3).
        roots, vectors = np.linalg.eigh(covariance)
        if roots.min() < 0:
            covariance = (vectors * np.maximum(roots, 0.0)) @ vectors.T
    return covariance, tuple(sizes[:2])


def hac(scores: Array, lags: int) -> Array:
    """Newey and West's covariance of the sum of rows in the order of time, Bartlett weights, no factor."""
    covariance = scores.T @ scores
    for lag in range(1, min(lags, len(scores) - 1) + 1):
        cross = scores[lag:].T @ scores[:-lag]
        covariance += (1 - lag / (lags + 1)) * (cross + cross.T)
    return covariance


def demeaned(values: Array, codes: Codes, weight: Array) -> Array:
    """Values less their weighted mean by code: one fixed effect taken out."""
    total = np.bincount(codes, weight)
    if values.ndim == 1:
        return values - (np.bincount(codes, weight * values) / total)[codes]
    return np.column_stack([demeaned(column, codes, weight) for column in values.T])


def band_factor(covariance: Array, confidence: float, draws: int = 20_000, seed: int = 0) -> float:
    """How many standard errors a band reaches that holds all values at once (sup-t).

    With Gaussian multipliers the multiplier bootstrap of influence functions (Callaway & Sant'Anna 2021, algorithm 1)
    is, given the data, exactly a normal draw with their covariance; it is drawn directly.
    """
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    kept = scale > 0
    if kept.sum() <= 1:
        return quantile_of(confidence)
    correlation = covariance[np.ix_(kept, kept)] / np.outer(scale[kept], scale[kept])
    roots, vectors = np.linalg.eigh(correlation)
    half = vectors * np.sqrt(np.maximum(roots, 0.0))
    highest = np.abs(np.random.default_rng(seed).standard_normal((draws, int(kept.sum()))) @ half.T).max(axis=1)
    return max(float(np.quantile(highest, confidence)), quantile_of(confidence))
