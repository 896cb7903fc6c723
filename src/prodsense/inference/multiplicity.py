"""Several tests at once: p-values adjusted for the family-wise error or the false discovery rate.

An adjusted p-value is to be compared with the level itself. Sources: Holm (1979), Hochberg (1988), Benjamini and
Hochberg (1995), Benjamini and Yekutieli (2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prodsense.errors import UsageError

METHODS = ("holm", "hochberg", "bonferroni", "bh", "by", "none")


def adjust(p_values: Sequence[float | None], method: str = "holm") -> list[float | None]:
    """Adjusted p-values in the order given; None (no test) stays None and does not count."""
    if method not in METHODS:
        raise UsageError(f"no correction named {method!r}; choose one of {', '.join(METHODS)}")
    places = [i for i, p in enumerate(p_values) if p is not None]
    p = np.array([p_values[i] for i in places], float)
    m = len(p)
    if not m:
        return list(p_values)
    order = np.argsort(p, kind="stable")
    ranked, rank = p[order], np.arange(1, m + 1)
    if method == "none":
        found = ranked
    elif method == "bonferroni":
        found = ranked * m
    elif method == "holm":
        found = np.maximum.accumulate(ranked * (m - rank + 1))
    elif method == "hochberg":
        found = np.minimum.accumulate((ranked * (m - rank + 1))[::-1])[::-1]
    else:
        factor = m * (np.sum(1 / rank) if method == "by" else 1.0)
        found = np.minimum.accumulate((ranked * factor / rank)[::-1])[::-1]
    adjusted: list[float | None] = list(p_values)
    for place, value in zip(order, np.minimum(found, 1.0), strict=True):
        adjusted[places[place]] = float(value)
    return adjusted
