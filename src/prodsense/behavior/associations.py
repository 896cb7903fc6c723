"""Whether two yes-or-no facts about users go together: two-by-two tables, many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Association:
    """Of a table ``a b / c d``: how much more often the first column is met in the first row.

    `lift` is (a/(a+b)) / (c/(c+d)), null where c is 0. `odds_ratio` is ad/bc with the interval of its logarithm
    (Woolf); where a cell is 0, each gets one half more (Haldane and Anscombe). `p_value` is Fisher's, two-sided.
    """

    lift: float | None
    odds_ratio: float
    low: float
    high: float
    p_value: float


def association(a: int, b: int, c: int, d: int, confidence: float = 0.95) -> Association:
    """The association in a two-by-two table; ValueError where a row is empty."""
    from scipy.stats import fisher_exact, norm

    if a + b == 0 or c + d == 0:
        raise ValueError("a row of the table is empty")
    lift = (a / (a + b)) / (c / (c + d)) if c else None
    add = 0.0 if min(a, b, c, d) > 0 else 0.5
    cells = [value + add for value in (a, b, c, d)]
    log_odds = math.log(cells[0]) + math.log(cells[3]) - math.log(cells[1]) - math.log(cells[2])
    width = float(norm.ppf(0.5 + confidence / 2)) * math.sqrt(sum(1 / value for value in cells))
    p_value = float(fisher_exact([[a, b], [c, d]]).pvalue)
    return Association(lift, math.exp(log_odds), math.exp(log_odds - width), math.exp(log_odds + width), p_value)


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini and Hochberg 1995): at most this share of those called a finding is none."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    found, least = [1.0] * len(p_values), 1.0
    for rank, i in zip(range(len(order), 0, -1), order, strict=True):
        least = min(least, p_values[i] * len(order) / rank)
        found[i] = least
    return found
