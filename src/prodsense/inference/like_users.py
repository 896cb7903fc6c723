"""Those who did something beside like users who did not: one comparison, with what it takes to be believed.

Nobody was assigned, so each number is observational. Selection is handled by what is known of users before: the two
sides are compared by the propensity score (doubly robust), and of a share the answer says how strong an unknown reason
would have to be to explain it away (E-value; VanderWeele & Ding 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

#: Fewest users of each side, and fewest with a value for it to be told apart from the others.
LEAST, LEAST_OF_A_VALUE = 30, 10
#: A covariate more for so many users of the smaller side; more would fit chance (Peduzzi et al. 1996).
PER_COVARIATE = 10


def compared(
    people: pa.Table, treated: Any, outcome: str, covariates: Sequence[str], confidence: float, *,
    sides: tuple[str, str], share: bool = False,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The treated against the others in one outcome: numbers, or the ``reason`` for none; and covariates' balance.

    `treated` is a boolean array over the rows of `people`; rows without the outcome are left out. Counts and means are
    named by `sides`: ``<side>``, ``<side>_mean``. With `share` (an outcome of 0 and 1) the row has an ``e_value``.
    """
    import numpy as np
    import pyarrow as pa

    from prodsense.inference.causal_propensity import propensity

    y = people[outcome].to_numpy(zero_copy_only=False).astype(float)
    known = np.isfinite(y)
    y, d = y[known], treated[known].astype(float)
    counts = int(d.sum()), int((1 - d).sum())
    row: dict[str, Any] = {
        **dict(zip(sides, counts, strict=True)),
        f"{sides[0]}_mean": float(y[d == 1].mean()) if counts[0] else None,
        f"{sides[1]}_mean": float(y[d == 0].mean()) if counts[1] else None,
        **dict.fromkeys(
            ("difference", "difference_low", "difference_high", "effect", "low", "high", "p_value", "e_value")
        ),
        "reason": "",
    }
    if min(counts) < LEAST:
        row["reason"] = f"cannot be said: {counts[0]} against {counts[1]} users; {LEAST} of each are needed"
        return row, []
    if y.max() == y.min():
        row["reason"] = "cannot be said: all users have the same outcome"
        return row, []
    try:
        columns = covariate_columns(people.filter(pa.array(known)), covariates, d)
        found = propensity(
            pa.table({**columns, "treated": d, "y": y}), "y", treated="treated", covariates=list(columns),
            method="doubly_robust", target="treated", confidence=confidence,
        )
    except ProdsenseError as error:
        row["reason"] = f"cannot be said: {error.message}"
        return row, []
    effect, plain = found.rows[0], found.rows[-1]
    row |= {
        "difference": plain["estimate"], "difference_low": plain["low"], "difference_high": plain["high"],
        "effect": effect["estimate"], "low": effect["low"], "high": effect["high"], "p_value": effect["p_value"],
    }
    if share:
        row["e_value"] = e_value(row[f"{sides[0]}_mean"], effect["estimate"], effect["low"], effect["high"])
    return row, [dict(line) for line in found.extras["balance"]]


def covariate_columns(people: pa.Table, names: Sequence[str], d: Any) -> dict[str, Any]:
    """Covariates that vary, as 0/1 or numbers, none of which adds up from others; missing text is its own value. Of
    many, the first ones: one for each `PER_COVARIATE` users of the smaller side."""
    import numpy as np
    import pyarrow as pa

    found: dict[str, Any] = {}
    basis = [np.ones(len(d))]
    for name in names:
        column = people[name].combine_chunks()
        made: dict[str, Any] = {}
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values = np.array([v if v is not None else "(none)" for v in column.to_pylist()], dtype=object)
            levels, sizes = np.unique(values.astype(str), return_counts=True)
            for level in np.delete(levels, sizes.argmax()):
                made[f"{name}_{level}"] = (values == level).astype(float)
        else:
            made[name] = column.to_numpy(zero_copy_only=False).astype(float)
        for label, values in made.items():
            binary = set(np.unique(values)) <= {0.0, 1.0}
            few = binary and min(values.sum(), (1 - values).sum()) < LEAST_OF_A_VALUE
            # What all of one side have alike would tell the sides apart completely.
            alone = binary and 0 in (np.ptp(values[d == 1]), np.ptp(values[d == 0]))
            if np.ptp(values) == 0 or few or alone:
                continue
            if np.linalg.matrix_rank(np.column_stack([*basis, values])) > len(basis):
                basis.append(values)
                found[f"c{len(found)}_{_plain(label)}"] = values
    if not found:
        raise UsageError("nothing is known of the users that they could be compared by")
    room = max(int(min(d.sum(), (1 - d).sum())) // PER_COVARIATE, 1)
    return dict(list(found.items())[:room])


def _plain(label: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in label.lower()).strip("_")


def e_value(mean: float, effect: float, low: float, high: float) -> float | None:
    """E-value of a difference of shares on the treated whose share is `mean`: the risk ratio that an unknown
    confounder needs with both the deed and the outcome to move the interval to 0. 1 where the interval holds 0."""
    if low is None or high is None or low <= 0 <= high:
        return 1.0
    edge = low if effect > 0 else high
    base = mean - edge
    if not 0 < base < 1 or not 0 < mean <= 1:
        return None
    ratio = mean / base if edge > 0 else base / mean
    return ratio + math.sqrt(ratio * (ratio - 1))
