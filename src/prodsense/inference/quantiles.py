"""Effects on a quantile, where a unit may bring many values.

The variance follows Deng, Knoblich and Lu (2018): the share of values at or below the quantile is a ratio metric of
the units, whose standard error says between which neighbouring quantiles the true one lies; half the width of that
interval over the critical value is the quantile's standard error. The engine reads three quantiles an arm and one
sum a unit; no values leave it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma
from prodsense.inference.estimators import Outcome, RefusalError, Value, arm_value
from prodsense.inference.formula import Formula
from prodsense.inference.suffstats import gather

if TYPE_CHECKING:
    from prodsense.engines.base import Engine


def quantile_values(
    engine: Engine, rows: str, q: float, arms: Sequence[str], params: Mapping[str, Any], *, unit: str = "unit",
) -> tuple[dict[str, Value], list[tuple[str, Mapping[str, Any]]]]:
    """The quantile of ``value`` in each arm of `rows` (a SELECT of unit, arm, value), with its variance.

    `unit` is the column of who a row belongs to; empty where each row is a unit. Returns also the statements that
    were run. An arm with too few units for its interval is left out.
    """
    if not 0 < q < 1:
        raise RefusalError(f"a quantile lies between 0 and 1, not {q}")
    given = dict(params)
    statements: list[tuple[str, Mapping[str, Any]]] = []
    first = f"SELECT arm, quantile(value, {q}) AS q FROM ({rows}) AS every_row GROUP BY arm"
    statements.append((first, given))
    found = {row["arm"]: row["q"] for row in engine.query(first, given).to_pylist()}
    present = [(i, arm) for i, arm in enumerate(arms) if found.get(arm) is not None]
    if not present:
        return {}, statements
    given |= {f"arm_{i}": arm for i, arm in present}
    given |= {f"at_{i}": float(found[arm]) for i, arm in present}
    cases = " ".join(f"WHEN arm = :arm_{i} THEN CASE WHEN value <= :at_{i} THEN 1 ELSE 0 END" for i, _ in present)
    seen = f"FROM ({rows}) AS every_row WHERE value IS NOT NULL"
    below = f"SELECT arm, CASE {cases} END AS below, 1 AS values_seen {seen}"
    if unit:
        below = (f"SELECT arm, {comma([unit])}, SUM(CASE {cases} END) AS below, COUNT(value) AS values_seen {seen}"
                 f" GROUP BY arm, {comma([unit])}")
    counts = gather(engine, below, {"share": ("below", "values_seen")}, ["arm"], given, base=False)
    statements += counts.statements
    _, moments = counts.over()
    levels: dict[int, tuple[float, float, int]] = {}
    for i, arm in present:
        units = moments[arm]["share"]
        if units.n < 2:
            continue
        spread = math.sqrt(arm_value(units, Outcome(Formula.quotient())).variance)
        low, high = q - 1.959963984540054 * spread, q + 1.959963984540054 * spread
        if low > 0 and high < 1:
            levels[i] = (low, high, units.n)
    if not levels:
        return {}, statements
    third = (
        "SELECT " + ", ".join(
            f"quantile(value, {level!r}) FILTER (WHERE arm = :arm_{i}) AS {name}{i}"
            for i, (low, high, _) in levels.items() for name, level in (("low", low), ("high", high))
        ) + f" FROM ({rows}) AS every_row"
    )
    statements.append((third, given))
    edges = engine.query(third, given).to_pylist()[0]
    return {
        arms[i]: Value(float(found[arms[i]]), ((edges[f"high{i}"] - edges[f"low{i}"]) / (2 * 1.959963984540054)) ** 2,
                       n - 1, n)
        for i, (_, _, n) in levels.items()
    }, statements
