"""What batching does to delivery times: adjusted difference, reliability of the promise, drivers' adaptation.

All comparisons are observational: who gets batched is not drawn by lot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from prodsense.warehouse import Warehouse

#: What `batched_delivery_time_effect` can control for: name → SQL over `deliveries`, and whether it is a category.
CONTROLS = {
    "distance": ("distance_miles", False),
    "prep": ("prep_minutes", False),
    "hour": ("hour_of(order_timestamp)", True),
    "weekday": ("iso_weekday(order_timestamp)", True),
    "restaurant": ("restaurant_id", True),
}
_MOST_CATEGORIES = 200
_OBSERVATIONAL = "observational: deliveries were not assigned to batches at random"


def rate_adaptation(mean_delay_minutes: float | None) -> str | None:
    """Rating of a driver by mean batched delay: under 5 minutes excellent, under 10 good, else needs_improvement.

    None (not rated) without batched delays.
    """
    if mean_delay_minutes is None:
        return None
    if mean_delay_minutes < 5:
        return "excellent"
    return "good" if mean_delay_minutes < 10 else "needs_improvement"


def batch_adaptation_rating(warehouse: Warehouse, as_of: Any = None) -> dict[str, Any]:
    """Rate each driver with a delivered delivery in the 30 days up to `as_of` (default: the newest day)."""
    warehouse.ready("delivery", ["delivery_facts", "deliveries"])
    found = warehouse.engine.query(
        "SELECT driver_id, COUNT(CASE WHEN delivery_type = 'batched' THEN delay_minutes END) AS rated_deliveries,"
        " mean(CASE WHEN delivery_type = 'batched' THEN delay_minutes END) AS avg_batch_delay"
        " FROM delivery.deliveries CROSS JOIN (SELECT MAX(date_partition) AS newest FROM delivery.deliveries) AS last"
        " WHERE is_delivered AND driver_id IS NOT NULL AND date_partition BETWEEN"
        " add_days(COALESCE(date_of(:as_of), newest), -30) AND COALESCE(date_of(:as_of), newest)"
        " GROUP BY driver_id ORDER BY driver_id",
        {"as_of": as_of},
    )
    return {
        "rows": [
            {**row, "batch_adaptation_rating": rate_adaptation(row["avg_batch_delay"])} for row in found.to_pylist()
        ]
    }


def batched_delivery_time_effect(
    warehouse: Warehouse,
    controls: str = "distance,prep",
    confidence: float = 0.95,
    start_date: Any = None,
    end_date: Any = None,
) -> dict[str, Any]:
    """Minutes that a delivered delivery takes longer when batched, at equal controls: least squares.

    Standard errors are robust to unequal variance and to the kinship of deliveries of one batch (clustered by trip,
    Liang & Zeger 1986, with the usual small-sample factor), intervals from Student's t with clusters - 1 degrees of
    freedom. Deliveries with an unknown time or control are left out and counted.
    """
    import numpy as np
    from scipy import stats

    from prodsense.inference.causal_result import numbers
    from prodsense.inference.ols import ols

    names = [name.strip() for name in controls.split(",") if name.strip()]
    for name in names:
        if name not in CONTROLS:
            raise UsageError(f"unknown control {name}; known: {', '.join(CONTROLS)}")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence should be from 0.5 to below 1, not {confidence}")
    columns = ", ".join(f"CAST({CONTROLS[name][0]} AS DOUBLE) AS {name}" for name in names)
    table = _delivered(
        warehouse,
        "trip_id, CAST(CASE WHEN delivery_type = 'batched' THEN 1 ELSE 0 END AS DOUBLE) AS batched,"
        " CAST(actual_minutes AS DOUBLE) AS minutes" + (f", {columns}" if columns else ""),
        start_date, end_date,
    )
    complete = table.drop_null()
    minutes, batched = (complete.column(name).to_numpy() for name in ("minutes", "batched"))
    count = {1.0: int(batched.sum()), 0.0: int(len(batched) - batched.sum())}
    if min(count.values()) < 2:
        raise UsageError(
            f"needs two batched and two individual deliveries with all of {', '.join(['minutes', *names])} known,"
            f" found {count[1.0]} and {count[0.0]}"
        )
    design = {"the constant": np.ones_like(batched), "batched": batched, **_covariates(complete, names)}
    _, trips = np.unique(complete.column("trip_id").to_numpy(), return_inverse=True)
    fit = ols(minutes, np.column_stack(list(design.values())), list(design), errors="cluster", clusters=[trips])
    effect, error = float(fit.coefficients[1]), float(fit.std_errors[1])
    found = numbers(effect, error, fit.degrees, confidence)
    p_increase = float(stats.t.sf(effect / error, fit.degrees))
    return {
        "rows": [{
            "adjusted_difference": effect,
            "ci_low": found["low"],
            "ci_high": found["high"],
            "confidence": confidence,
            "standard_error": error,
            "p_value": found["p_value"],
            "p_value_increase": p_increase,
            "increase_is_significant": p_increase < 1 - confidence,
            "unadjusted_difference": float(minutes[batched == 1].mean() - minutes[batched == 0].mean()),
            "batched_deliveries": count[1.0],
            "individual_deliveries": count[0.0],
            "left_out": table.num_rows - complete.num_rows,
            "unit": "minutes",
        }],
        "controls": names,
        "obtained": _OBSERVATIONAL,
    }


def _covariates(table: pa.Table, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of the design: numbers centred, categories as indicators of all but the most frequent."""
    import numpy as np

    found: dict[str, np.ndarray] = {}
    for name in names:
        values = table.column(name).to_numpy()
        if not CONTROLS[name][1]:
            if np.ptp(values) > 0:
                found[name] = values - values.mean()
            continue
        levels, counts = np.unique(values, return_counts=True)
        if len(levels) > _MOST_CATEGORIES:
            raise UsageError(f"{name} has {len(levels)} values, more than {_MOST_CATEGORIES} to control for")
        keep = np.delete(levels, counts.argmax())
        found |= {f"{name} {level}": (values == level).astype(float) for level in keep}
    return found


def eta_reliability_comparison(
    warehouse: Warehouse, confidence: float = 0.95, start_date: Any = None, end_date: Any = None
) -> dict[str, Any]:
    """Error of the promise (actual less estimated minutes), batched beside individual deliveries.

    Spread: standard deviations and their ratio, tested by Brown and Forsythe (deviations from the median). Bias:
    difference of means, batched less individual, by Welch's t-test with its interval.
    """
    import numpy as np
    from scipy import stats

    from prodsense.inference.causal_result import welch

    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence should be from 0.5 to below 1, not {confidence}")
    table = _delivered(
        warehouse, "delivery_type, CAST(eta_error_minutes AS DOUBLE) AS error", start_date, end_date
    ).drop_null()
    kinds = np.asarray(table.column("delivery_type").to_pylist())
    errors = table.column("error").to_numpy()
    groups = {kind: errors[kinds == kind] for kind in ("batched", "individual")}
    for kind, values in groups.items():
        if len(values) < 2:
            raise UsageError(
                f"needs two delivered {kind} deliveries with actual and estimated minutes, found {len(values)}"
            )
    rows = [
        {
            "delivery_type": kind,
            "deliveries": len(values),
            "mean_error": float(values.mean()),
            "median_error": float(np.median(values)),
            "standard_deviation": float(values.std(ddof=1)),
            "p10": float(np.quantile(values, 0.1)),
            "p90": float(np.quantile(values, 0.9)),
            "mean_absolute_error": float(np.abs(values).mean()),
            "unit": "minutes",
        }
        for kind, values in groups.items()
    ]
    batched, individual = groups["batched"], groups["individual"]
    bias = welch(batched, individual, confidence)
    difference, p = bias["estimate"], bias["p_value"]
    spread = stats.levene(batched, individual, center="median")
    deviations = batched.std(ddof=1), individual.std(ddof=1)
    return {
        "rows": rows,
        "spread": {
            "test": "Brown-Forsythe",
            "statistic": _finite(spread.statistic),
            "p_value": _finite(spread.pvalue),
            "ratio_of_standard_deviations": float(deviations[0] / deviations[1]) if deviations[1] > 0 else None,
            "batched_is_less_reliable": bool(spread.pvalue < 1 - confidence and deviations[0] > deviations[1]),
        },
        "bias": {
            "test": "Welch", "difference": difference, "ci_low": bias["low"], "ci_high": bias["high"], "p_value": p,
            "batched_is_later": None if p is None else p < 1 - confidence and difference > 0,
        },
        "obtained": _OBSERVATIONAL,
    }


def _finite(value: float) -> float | None:
    return float(value) if value == value else None


def _delivered(warehouse: Warehouse, columns: str, start_date: Any, end_date: Any) -> pa.Table:
    """Columns of delivered deliveries from `start_date` to `end_date`, both days inside; None is open."""
    warehouse.ready("delivery", ["delivery_facts", "deliveries"])
    return warehouse.engine.query(
        f"SELECT {columns} FROM delivery.deliveries WHERE is_delivered"
        " AND (CAST(:start_date AS DATE) IS NULL OR date_partition >= CAST(:start_date AS DATE))"
        " AND (CAST(:end_date AS DATE) IS NULL OR date_partition <= CAST(:end_date AS DATE))",
        {"start_date": start_date, "end_date": end_date},
    )
