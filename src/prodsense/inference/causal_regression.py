"""Least squares of a table's columns with honest errors: what goes with what, which is no cause by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_result import OBSERVATIONAL, Estimate, estimate, headline, numbers
from prodsense.inference.ols import ols

ASSUMPTIONS = (
    "Linear: each column adds its own share.",
    "To be read as an effect: nothing left out moves both the first column and the outcome.",
    "Clusters are independent of each other.",
)


def cluster_ols(
    data: Any,
    outcome: str,
    on: str | Sequence[str],
    *,
    cluster: str | Sequence[str] = (),
    errors: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """The coefficients of `outcome` on the columns `on` and a constant; the first column is the headline.

    Errors are clustered by one or two columns (`cluster`), else robust (HC1); `errors` names ``classic`` or ``robust``.
    Text columns become one 0/1 column a value. Two-way errors use each dimension's own small-sample factor (Petersen
    2009); t has the smaller number of clusters less 1 degrees. Columns: ``term``, ``estimate``, ``std_error``, ``low``,
    ``high``, ``p_value``.
    """
    names = [on] if isinstance(on, str) else list(on)
    groups = [cluster] if isinstance(cluster, str) else list(cluster)
    if not names:
        raise UsageError("name at least one column to explain the outcome with (on)")
    kind = errors or ("cluster" if groups else "robust")
    if kind not in ("classic", "robust", "cluster") or (kind == "cluster") != bool(groups):
        raise UsageError("errors are classic or robust, or clustered by the columns named in cluster")
    with cd.opened(data, where) as sample:
        items = {"y": sample.number(outcome, "outcome"), **cd.covariate_items(sample, names)}
        items |= {f"g_{i}": comma([sample.column(name, "cluster")]) for i, name in enumerate(groups)}
        said = ", ".join([outcome, *names, *groups])
        notes = sample.note_left_out(items, list(items), said)
        table = sample.query(sample.source(items, list(items)))
        if not table.num_rows:
            raise UsageError(f"{sample.label} has no rows with {said}")
        x, titles = cd.covariate_columns(sample, table, names)
        codes = [cd.coded(table, f"g_{i}")[0] for i in range(len(groups))]
        y = cd.floats(table, "y", outcome)
        fit = ols(y, np.column_stack([x, np.ones(len(y))]), [*titles, "constant"], errors=kind, clusters=codes)
        rows = [{"term": name, **numbers(float(b), float(e), fit.degrees, confidence)}
                for name, b, e in zip(fit.names, fit.coefficients, fit.std_errors, strict=True)]  # fmt: skip
        warnings = [f"{size} clusters: with fewer than 20 the interval is likely too narrow" for size in fit.clusters
                    if size < 20]  # fmt: skip
        main = headline(titles[0], rows[0], confidence, errors=kind, degrees=fit.degrees)
        extras = {
            "observations": fit.observations, "clusters": list(fit.clusters), "r_squared": fit.r_squared,
            "errors": kind, "outcome": outcome,
        }
        return estimate(
            sample, rows, method="cluster_ols", title="Regression", label=OBSERVATIONAL, main=main, extras=extras,
            assumptions=ASSUMPTIONS, warnings=warnings, notes=notes, picture=_picture,
        )


def _picture(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import intervals

    rows = [row for row in answer.rows if row["term"] != "constant"]
    return intervals(rows, "term", "estimate", low="low", high="high", **{"title": answer.title, **options})
