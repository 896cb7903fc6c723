"""Take a move apart: by the parts of a formula, by rate and mix of groups, by the elements of each dimension.

All parts add up to the move exactly (to rounding). Sources: Kitagawa 1955 (rate and mix), Ang 2005 (log-mean Divisia
index), Shapley 1953 as used by Albrecht et al. 2002 (formulas of any shape), Bhagwan et al. 2014 (Adtributor).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prodsense.errors import UsageError

#: Most parts of a formula whose orders are all gone through.
MOST_PARTS = 12

Values = Mapping[str, float]


def log_mean(a: float, b: float) -> float:
    """(a - b) / ln(a / b) of two positive numbers; a where they are equal."""
    if a <= 0 or b <= 0:
        raise UsageError("a logarithmic mean is that of positive numbers")
    return a if a == b else (a - b) / log_ratio(a, b)


def log_ratio(a: float, b: float) -> float:
    """ln(a / b); for near equal numbers by log1p, where the quotient itself would lose its digits."""
    return math.log1p((a - b) / b) if 0.5 < a / b < 2 else math.log(a / b)


def multiplicative(before: Values, after: Values, powers: Mapping[str, int]) -> dict[str, float]:
    """The move of a product of positive parts, each to a power (1, or -1 for a divisor), by part.

    Log-mean Divisia: a part's effect is L(V1, V0) * p * ln(x1 / x0), L the logarithmic mean of the product. Symmetric
    in time, no residual.
    """
    for name in powers:
        if before[name] <= 0 or after[name] <= 0:
            raise UsageError(f"{name} is not positive before and after, so it has no logarithm")
    values = [math.prod(side[name] ** power for name, power in powers.items()) for side in (after, before)]
    mean = log_mean(values[0], values[1])
    raw = {
        name: mean * power * log_ratio(after[name], before[name]) for name, power in powers.items()
    }
    return _closed(raw, values[0] - values[1])


def shapley(before: Values, after: Values, formula: Callable[[Values], float | None]) -> dict[str, float]:
    """The move of any formula by part: the mean, over all orders, of what changing the part adds.

    Raises UsageError where the formula has no value for some of the mixed states (a division by 0).
    """
    names = list(before)
    if len(names) > MOST_PARTS:
        raise UsageError(f"{len(names)} parts are too many; at most {MOST_PARTS}")
    worth: dict[frozenset[str], float] = {}
    for size in range(len(names) + 1):
        for moved in itertools.combinations(names, size):
            value = formula({name: (after if name in moved else before)[name] for name in names})
            if value is None or not math.isfinite(value):
                raise UsageError(f"the formula has no value once {', '.join(moved) or 'nothing'} changed")
            worth[frozenset(moved)] = value
    count = len(names)
    found = dict.fromkeys(names, 0.0)
    for state, value in worth.items():
        weight = math.factorial(len(state)) * math.factorial(max(count - len(state) - 1, 0)) / math.factorial(count)
        for name in names:
            if name not in state:
                found[name] += weight * (worth[state | {name}] - value)
    return _closed(found, worth[frozenset(names)] - worth[frozenset()])


def _closed(parts: dict[str, float], total: float) -> dict[str, float]:
    """Parts whose sum is the total also in its last digits: the largest takes the rounding."""
    if parts:
        largest = max(parts, key=lambda name: abs(parts[name]))
        parts[largest] = total - math.fsum(value for name, value in parts.items() if name != largest)
    return parts


@dataclass(frozen=True)
class RateMix:
    """A ratio's move by group: `rate` is what changed inside groups, `mix` what their shifting weights did.

    Of each group: weight and rate before and after, its rate and mix effect. `interaction` is 0 with midpoint weights.
    rate + mix + interaction is the move of the whole.
    """

    before: float
    after: float
    rate: float
    mix: float
    interaction: float
    groups: tuple[dict[str, Any], ...]


def kitagawa(
    groups: Sequence[Any], before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]],
    weights: Literal["midpoint", "base"] = "midpoint",
) -> RateMix:
    """Rate and mix of a ratio; `before` and `after` are (numerator, denominator) of each group.

    Midpoint: rate effect mean(w) * (r1 - r0), mix effect (w1 - w0) * (mean(r) - R), R the mean of the two totals: the
    shift toward a group counts by how far it is from the whole, and as the shifts sum to 0 the choice of R moves
    nothing between rate and mix. Base: w0 (r1 - r0), (w1 - w0)(r0 - R0), and the interaction apart. A group that is
    only there before or after has no rate on the other side: the rate of the side it has stands for both, and all of
    its effect is mix.
    """
    totals = [(math.fsum(k for k, _ in side), math.fsum(n for _, n in side)) for side in (before, after)]
    if totals[0][1] <= 0 or totals[1][1] <= 0:
        raise UsageError("a side has no denominator, so there is no ratio to take apart")
    r0, r1 = (k / n for k, n in totals)
    middle = (r0 + r1) / 2
    told: list[dict[str, Any]] = []
    for group, (ka, na), (kb, nb) in zip(groups, before, after, strict=True):
        if na < 0 or nb < 0:
            raise UsageError(f"group {group} has a negative denominator")
        if na == 0 and nb == 0:
            continue
        wa, wb = na / totals[0][1], nb / totals[1][1]
        ra, rb = (ka / na if na else kb / nb), (kb / nb if nb else ka / na)
        if weights == "midpoint":
            rate, mix, both = (wa + wb) / 2 * (rb - ra), (wb - wa) * ((ra + rb) / 2 - middle), 0.0
        else:
            rate, mix, both = wa * (rb - ra), (wb - wa) * (ra - r0), (wb - wa) * (rb - ra)
        told.append({
            "group": group, "weight_before": wa, "weight_after": wb, "rate_before": ra if na else None,
            "rate_after": rb if nb else None, "rate_effect": rate, "mix_effect": mix, "interaction": both,
            "effect": rate + mix + both,
        })  # fmt: skip
    rate = math.fsum(row["rate_effect"] for row in told)
    interaction = math.fsum(row["interaction"] for row in told)
    # The rest is mix; computed so, the three add up to the move in the last digit.
    return RateMix(r0, r1, rate, (r1 - r0) - rate - interaction, interaction, tuple(told))


def adtributor(
    dimensions: Mapping[str, Mapping[Any, tuple[float, float]]], *, least_element: float = 0.1,
    least_total: float = 0.67, most: int = 3,
) -> list[dict[str, Any]]:
    """Adtributor (Bhagwan et al. 2014): for each dimension the few elements that explain the move, by surprise.

    `dimensions` gives each element's expected and actual number. An element's explanatory power is its move over the
    total's, its surprise the half of its Jensen-Shannon divergence. Elements are taken in the order of surprise while
    each explains `least_element` and until together they explain `least_total`; dimensions come in the order of their
    taken surprise. A dimension that explains all by being nearly all (surprise 0) comes last or not at all.
    """
    found: list[dict[str, Any]] = []
    for name, elements in dimensions.items():
        expected = math.fsum(f for f, _ in elements.values())
        actual = math.fsum(a for _, a in elements.values())
        if expected <= 0 or actual <= 0:
            raise UsageError(f"{name}: the sum of what was expected and of what is must be above 0")
        if expected == actual:
            raise UsageError("nothing moved in total, so no element explains it")
        rows: list[dict[str, Any]] = [
            {"element": element, "explains": (a - f) / (actual - expected),
             "surprise": _surprise(f / expected, a / actual)}
            for element, (f, a) in elements.items()
        ]  # fmt: skip
        taken: list[dict[str, Any]] = []
        for row in sorted(rows, key=lambda r: (-r["surprise"], str(r["element"]))):
            if row["explains"] > least_element:
                taken.append(row)
            if math.fsum(r["explains"] for r in taken) > least_total:
                break
        explained, surprise = (math.fsum(r[key] for r in taken) for key in ("explains", "surprise"))
        if taken and explained > least_total:
            found.append({"dimension": name, "elements": [r["element"] for r in taken], "explains": explained,
                          "surprise": surprise, "detail": rows})  # fmt: skip
    found.sort(key=lambda r: (-r["surprise"], r["dimension"]))
    return found[:most]


def _surprise(p: float, q: float) -> float:
    """Half of p's and q's term of the Jensen-Shannon divergence, natural logarithm."""
    middle = (p + q) / 2
    return 0.5 * ((p * math.log(p / middle) if p > 0 else 0.0) + (q * math.log(q / middle) if q > 0 else 0.0))
