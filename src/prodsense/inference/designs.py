"""Units assigned as wholes: clusters, and switchbacks of places and windows of time.

Rows of one cluster share more than their arm, so the clusters are what is counted. Least squares with the clusters'
own covariance needs only sums of products by cluster. CR1 is the usual sandwich with its factor G/(G−1)·(N−1)/(N−K);
CR2 (Bell and McCaffrey 2002) takes out the bias of few clusters and brings its own degrees of freedom; a
randomisation test asks how often another draw of the arms would have given as much, without any model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from prodsense.engines.base import comma
from prodsense.inference.estimators import RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from prodsense.engines.base import Engine

Kind = Literal["CR1", "CR2"]


@dataclass(frozen=True, eq=False)
class ClusterFit:
    """Coefficients with standard errors that hold within-cluster dependence, and degrees of freedom of each."""

    beta: NDArray[np.float64]
    se: NDArray[np.float64]
    freedom: NDArray[np.float64]
    clusters: int
    rows: int


def cluster_fit(
    xx: NDArray[np.float64], xy: NDArray[np.float64], rows: int, *, kind: Kind = "CR2", of: Sequence[int] | None = None,
) -> ClusterFit:
    """Least squares from each cluster's X'X (G, K, K) and X'y (G, K); `of` are the coefficients whose error is wanted.

    Raises RefusalError where the regressors cannot be told apart or there are fewer than two clusters more than them.
    """
    count, k = xy.shape
    total = xx.sum(axis=0)
    scale = np.sqrt(np.diag(total))
    if count < 3:
        raise RefusalError(f"there are {count} clusters; at least 3 are needed")
    if np.any(scale == 0) or np.linalg.matrix_rank(total / np.outer(scale, scale), tol=1e-10) < k:
        raise RefusalError("the arms cannot be told apart from the strata: some strata hold one arm only")
    bread = np.linalg.inv(total)
    beta = bread @ xy.sum(axis=0)
    scores = xy - xx @ beta
    wanted = list(range(k)) if of is None else list(of)
    se, freedom = np.full(k, np.nan), np.full(k, float(count - 1))
    if kind == "CR1":
        factor = count / (count - 1) * (rows - 1) / (rows - k)
        cov = factor * bread @ (scores.T @ scores) @ bread
        se[wanted] = np.sqrt(np.diag(cov))[wanted]
        return ClusterFit(beta, se, freedom, count, rows)
    # X_g' (I − X_g B X_g')^(−1/2) = f(S_g B) X_g', so that sums of products suffice: f(t) = (1 − t)^(−1/2).
    values, vectors = np.linalg.eigh(bread)
    root = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    back = vectors @ np.diag(1 / np.sqrt(np.maximum(values, 1e-300))) @ vectors.T
    t, axes = np.linalg.eigh(root @ xx @ root)
    # A cluster that alone decides a coefficient has leverage 1; the pseudo-inverse leaves it out, as usual.
    shrunk = np.where(t < 1 - 1e-10, 1 / np.sqrt(np.maximum(1 - t, 1e-12)), 0.0)

    def lifted(middle: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """back · V diag(middle) V' · root · vector for each cluster."""
        turned = np.matmul(np.swapaxes(axes, 1, 2), (vector @ root)[:, :, None])[:, :, 0]
        return np.matmul(axes, (middle * turned)[:, :, None])[:, :, 0] @ back

    adjusted = lifted(shrunk, scores)
    cov = bread @ (adjusted.T @ adjusted) @ bread
    for j in wanted:
        se[j] = math.sqrt(max(cov[j, j], 0.0))
        column = xx @ bread[:, j]
        w = lifted(shrunk, column)
        own = lifted(shrunk**2, column) @ bread[j]
        # Working model of independent rows: P = diag(a_g'a_g) − W B W'.
        p = np.diag(own) - w @ bread @ w.T
        bottom = float(np.sum(p * p))
        freedom[j] = float(np.trace(p)) ** 2 / bottom if bottom > 0 else 1.0
    return ClusterFit(beta, se, freedom, count, rows)


def cluster_products(
    engine: Engine, source: str, y: str, xs: Sequence[str], cluster: Sequence[str],
    params: Mapping[str, Any] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, tuple[str, NDArray[np.float64]]]:
    """X'X and X'y of each cluster for y on a constant and `xs`, summed in the engine about the columns' means.

    Returns also the number of rows and (the statement, the means of xs and y) that the constant is shifted by.
    """
    columns = [*xs, y]
    means = engine.query(
        "SELECT " + ", ".join(f"mean({comma([c])}) AS m{i}" for i, c in enumerate(columns)) + f" FROM ({source}) AS r",
        params,
    ).to_pylist()[0]
    centre = np.array([float(means[f"m{i}"]) for i in range(len(columns))])
    given = {**(params or {}), **{f"mean_{i}": float(v) for i, v in enumerate(centre)}}
    shifted = ", ".join(
        f"(CAST({comma([c])} AS DOUBLE) - CAST(:mean_{i} AS DOUBLE)) AS d{i}" for i, c in enumerate(columns))
    keys = ", ".join(f"{comma([c])} AS g{i}" for i, c in enumerate(cluster))
    k = len(xs)
    sums = [f"SUM(d{i}) AS s{i}" for i in range(k + 1)]
    sums += [f"SUM(d{i} * d{j}) AS q{i}_{j}" for i in range(k + 1) for j in range(min(i + 1, k))]
    group = ", ".join(f"g{i}" for i in range(len(cluster)))
    known = " AND ".join(f"{comma([c])} IS NOT NULL" for c in [*columns, *cluster])
    text = (
        f"SELECT {group}, COUNT(*) AS n, {', '.join(sums)} FROM (SELECT {keys}, {shifted} FROM ({source}) AS r"
        f" WHERE {known}) AS d GROUP BY {group} ORDER BY {group}"
    )
    found = engine.query(text, given)
    n = found["n"].to_numpy().astype(float)
    xx, xy = np.zeros((len(n), k + 1, k + 1)), np.zeros((len(n), k + 1))
    xx[:, 0, 0], xy[:, 0] = n, found[f"s{k}"].to_numpy()
    for i in range(k):
        xx[:, 0, i + 1] = xx[:, i + 1, 0] = found[f"s{i}"].to_numpy()
        xy[:, i + 1] = found[f"q{k}_{i}"].to_numpy()
        for j in range(i + 1):
            xx[:, i + 1, j + 1] = xx[:, j + 1, i + 1] = found[f"q{i}_{j}"].to_numpy()
    return xx, xy, int(n.sum()), (text, centre)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Cells of two arms: sums of a metric's numerator, its denominator (or units), whether treated, strata.

    A cell is what has one arm, one value of each stratum and one cluster; `cluster` says which (each cell its own
    unless given).
    """

    total: NDArray[np.float64]
    weight: NDArray[np.float64]
    treated: NDArray[np.bool_]
    strata: tuple[NDArray[Any], ...]
    rows: int
    cluster: NDArray[Any] | None = None

    def known(self) -> Clusters:
        """Without cells that hold nothing of the metric; clusters as numbers from 0."""
        kept = self.weight > 0
        named = np.arange(len(kept)) if self.cluster is None else self.cluster.astype(str)
        codes = np.unique(named[kept], return_inverse=True)[1]
        return Clusters(self.total[kept], self.weight[kept], self.treated[kept], tuple(s[kept] for s in self.strata),
                        self.rows, codes)

    def dummies(self) -> NDArray[np.float64]:
        """A constant and a column for each value of each stratum but its first."""
        parts = [np.ones((len(self.total), 1))]
        for stratum in self.strata:
            _, codes = np.unique(stratum.astype(str), return_inverse=True)
            parts.append(np.eye(codes.max() + 1)[codes][:, 1:])
        return np.hstack(parts)


def _added(values: NDArray[np.float64], codes: NDArray[Any]) -> NDArray[np.float64]:
    """Sums of rows by code."""
    found = np.zeros((int(codes.max()) + 1, *values.shape[1:]))
    np.add.at(found, codes, values)
    return found


def cluster_effect(clusters: Clusters, kind: Kind = "CR2") -> ClusterFit:
    """The effect of the treatment on a mean (or ratio) with fixed effects of the strata: the first coefficient.

    All rows of a cell have the same regressors, so its sums of products are its weight times those of one row.
    """
    kept = clusters.known()
    if not len(kept.total):
        raise RefusalError("no cluster has a value")
    assert kept.cluster is not None
    x = np.hstack([kept.treated[:, None].astype(float), kept.dummies()])
    xx = _added(np.einsum("g,gi,gj->gij", kept.weight, x, x), kept.cluster)
    return cluster_fit(xx, _added(x * kept.total[:, None], kept.cluster), kept.rows, kind=kind, of=[0])


def randomisation_test(clusters: Clusters, draws: int = 999, seed: int = 20240101) -> float:
    """Share of draws of the arms (within the first stratum, as many treated as there were) with an effect as large.

    The statistic is the effect over its clustered error, so that it is right for the hypothesis of no mean effect
    too (Wu and Ding 2021). Never 0: the arms as they were are one of the draws. Strata within which clusters vary
    are adjusted for; arms are drawn for whole clusters, within the first stratum where that is the same for all of
    a cluster.
    """
    kept = clusters.known()
    assert kept.cluster is not None
    rng = np.random.default_rng(seed)
    w, z, codes = kept.weight, kept.dummies(), kept.cluster
    y = kept.total / w
    first = np.unique(codes, return_index=True)[1]
    treated = kept.treated[first].astype(float)
    groups = np.zeros(len(first), int)
    if kept.strata:
        stratum = np.unique(kept.strata[0].astype(str), return_inverse=True)[1]
        if np.array_equal(stratum, stratum[first][codes]):
            groups = stratum[first]
    arms = np.empty((len(first), draws + 1))
    arms[:, 0] = treated
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        arms[places, 1:] = rng.permuted(np.repeat(treated[places, None], draws, axis=1), axis=0)
    arms = arms[codes]
    project = np.linalg.pinv((z * w[:, None]).T @ z) @ (z * w[:, None]).T
    left, right = arms - z @ (project @ arms), y - z @ (project @ y)
    square = (w[:, None] * left**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = (w * right) @ left / square
        scores = _added((w[:, None] * left) * (right[:, None] - left * effect), codes)
        t = np.abs(effect / (np.sqrt((scores**2).sum(axis=0)) / square))
    return float(np.mean(t >= t[0] - 1e-12))
