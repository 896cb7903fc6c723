"""What a two-way fixed effects regression would say of staggered adoption, and which comparisons it is made of.

Source: Goodman-Bacon 2021, theorem 1. It is shown as a warning only: units treated later are compared with units that
are treated already, whose own effect then counts with the wrong sign.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference.ols import Array, Codes, ols

#: Kinds of comparison; the last is forbidden.
KINDS = ("treated against untreated", "earlier against later", "later against already treated")


def two_way(outcome: Array, cohort: Codes, periods: list[Any], cluster: Codes | None = None) -> dict[str, Any]:
    """The two-way estimate of a balanced panel with its decomposition.

    `cohort` holds the place of the first treated period, `len(periods)` for none. Keys: ``estimate``, ``std_error``
    (clustered by unit or `cluster`), ``comparisons`` (kind, weight, estimate, contribution) and ``forbidden_weight``.
    """
    n, last = outcome.shape
    treated = (np.arange(last)[None, :] >= cohort[:, None]).astype(float)
    y, d = _within(outcome), _within(treated)
    total = float((d * d).sum())
    value = float((d * y).sum()) / total
    rows = np.repeat(np.arange(n) if cluster is None else cluster, last)
    # The units' effects are nested in the clusters and cost nothing; those of the periods do.
    error = None
    with suppress(UsageError):  # an exact fit has no error to tell
        fit = ols(y.ravel(), d.reshape(-1, 1), ["treated"], errors="cluster", clusters=[rows], absorbed=last,
                  nested=False)  # fmt: skip
        error = float(fit.std_errors[0])
    sums = decomposition(outcome, cohort)
    return {
        "estimate": value, "std_error": error, "comparisons": sums,
        "forbidden_weight": sum(line["weight"] for line in sums if line["kind"] == KINDS[2]),
    }


def _within(values: Array) -> Array:
    """Less the means of unit and period: exact in a balanced panel."""
    return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()


def decomposition(outcome: Array, cohort: Codes) -> list[dict[str, Any]]:
    """Weight and mean estimate of each kind of 2×2 comparison; weights add to 1, contributions to the estimate."""
    n, last = outcome.shape
    groups = [int(g) for g in np.unique(cohort)]
    paths = {g: outcome[cohort == g].mean(axis=0) for g in groups}
    size = {g: float((cohort == g).sum()) / n for g in groups}
    on = {g: (last - g) / last for g in groups}
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for early in groups:
        for late in groups:
            if late <= early or early == last:
                continue
            share = size[early] / (size[early] + size[late])
            both = (size[early] + size[late]) ** 2 * share * (1 - share)
            path = paths[early] - paths[late]
            if late == last:
                weight = both * on[early] * (1 - on[early])
                found[KINDS[0]].append((weight, path[early:].mean() - path[:early].mean()))
                continue
            weight = both * (on[early] - on[late]) * (1 - on[early])
            found[KINDS[1]].append((weight, path[early:late].mean() - path[:early].mean()))
            weight = both * on[late] * (on[early] - on[late])
            found[KINDS[2]].append((weight, -(path[late:].mean() - path[early:late].mean())))
    total = sum(weight for pairs in found.values() for weight, _ in pairs)
    lines = []
    for kind, pairs in found.items():
        weight = sum(w for w, _ in pairs)
        part = sum(w * value for w, value in pairs)
        lines.append({
            "kind": kind, "weight": float(weight / total), "estimate": float(part / weight) if weight else None,
            "contribution": float(part / total),
        })
    return lines
