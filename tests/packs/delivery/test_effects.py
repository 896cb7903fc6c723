"""The two comparisons of batched and individual deliveries, against statsmodels, SciPy and planted truth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

DELIVERIES = 600
EFFECT = 6.0


def made_up() -> dict[str, np.ndarray]:
    """Far orders are batched more often, and distance costs time: the plain difference is too large."""
    rng = np.random.default_rng(20240115)
    distance = np.round(rng.gamma(3, 1, DELIVERIES), 2)
    prep = rng.integers(5, 40, DELIVERIES)
    batched = np.repeat(rng.random(DELIVERIES // 2) < 1 / (1 + np.exp(3 - distance[::2])), 2)
    together = np.repeat(rng.normal(0, 3, DELIVERIES // 2), 2)
    noise = together + rng.normal(0, np.where(batched, 5, 2))
    minutes = np.rint(8 + 4 * distance + 0.7 * prep + EFFECT * batched + noise).astype(int)
    estimated = np.rint(8 + 4 * distance + 0.7 * prep + 2 * batched).astype(int)
    return {"distance": distance, "prep": prep, "batched": batched, "minutes": minutes, "estimated": estimated}


DATA = made_up()


@pytest.fixture(scope="module")
def trial() -> Iterator[Warehouse]:
    ids = np.arange(DELIVERIES)
    at = [datetime(2024, 1, 1, 8) + timedelta(minutes=int(i) * 7) for i in ids]
    days = [moment.date() for moment in at]
    pairs = ids[::2][DATA["batched"][::2]]
    same = {"item_count": pa.array([1] * DELIVERIES), "date_partition": days}
    with prodsense.warehouse.open(":memory:") as warehouse:
        load = warehouse.ingest
        load(pa.table({"batching_algorithm_key": [1], "algorithm_name": ["a"], "algorithm_version": ["1"],
                       "deployed_at": [datetime(2024, 1, 1)]}), table="delivery.dim_batching_algorithms")
        load(pa.table({"order_id": ids, "customer_id": ids, "restaurant_id": ids % 5, "order_timestamp": at,
                       "order_total_cents": ids, "estimated_prep_time_minutes": DATA["prep"], **same}),
             table="delivery.fact_orders")
        load(pa.table({
            "delivery_id": ids, "order_id": ids, "delivery_created_at": at,
            "actual_delivery_time_minutes": DATA["minutes"], "estimated_delivery_time_minutes": DATA["estimated"],
            "delivery_distance_miles": DATA["distance"], "delivery_status": ["delivered"] * DELIVERIES,
            "date_partition": days,
        }), table="delivery.fact_deliveries")
        load(pa.table({
            "batch_id": pairs, "batching_algorithm_key": [1] * len(pairs), "batch_created_at": [at[i] for i in pairs],
            "total_deliveries": [2] * len(pairs), "total_orders": [2] * len(pairs),
            "batch_status": ["completed"] * len(pairs), "date_partition": [days[i] for i in pairs],
        }), table="delivery.fact_delivery_batches")
        inside = ids[DATA["batched"]]
        load(pa.table({
            "batch_delivery_id": inside, "batch_id": inside // 2 * 2, "delivery_id": inside,
            "pickup_sequence": inside % 2 + 1, "dropoff_sequence": inside % 2 + 1,
        }), table="delivery.fact_batch_deliveries")
        yield warehouse


@pytest.mark.slow
def test_effect_equals_statsmodels(trial: Warehouse) -> None:
    import statsmodels.api as sm

    ids = np.arange(DELIVERIES)
    trips = np.where(DATA["batched"], ids // 2, ids + DELIVERIES)
    design = sm.add_constant(np.column_stack([DATA["batched"], DATA["distance"], DATA["prep"]]).astype(float))
    fitted = sm.OLS(DATA["minutes"], design).fit(cov_type="cluster", cov_kwds={"groups": trips}, use_t=True)
    low, high = fitted.conf_int()[1]
    (row,) = trial.analyze("delivery.batched_delivery_time_effect").rows
    assert row["adjusted_difference"] == pytest.approx(fitted.params[1], rel=1e-8)
    assert row["standard_error"] == pytest.approx(fitted.bse[1], rel=1e-8)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), rel=1e-8)
    assert row["p_value"] == pytest.approx(fitted.pvalues[1], rel=1e-6)


def test_effect_finds_what_was_planted(trial: Warehouse) -> None:
    answer = trial.analyze("delivery.batched_delivery_time_effect")
    (row,) = answer.rows
    assert row["ci_low"] < EFFECT < row["ci_high"]
    assert row["unadjusted_difference"] > EFFECT + 3, "distance confounds"
    assert row["increase_is_significant"]
    assert (row["batched_deliveries"], row["individual_deliveries"]) == (
        int(DATA["batched"].sum()), int((~DATA["batched"]).sum()),
    )
    assert answer.extras["obtained"].startswith("observational")


def test_more_controls_and_a_window(trial: Warehouse) -> None:
    (row,) = trial.analyze("delivery.batched_delivery_time_effect", controls="distance,prep,hour,restaurant").rows
    assert row["ci_low"] < EFFECT < row["ci_high"]
    second = {"start_date": "2024-01-02", "end_date": "2024-01-02"}
    (part,) = trial.analyze("delivery.batched_delivery_time_effect", **second).rows
    assert part["batched_deliveries"] + part["individual_deliveries"] == sum(
        (datetime(2024, 1, 1, 8) + timedelta(minutes=7 * i)).day == 2 for i in range(DELIVERIES)
    )


def test_reliability_equals_scipy(trial: Warehouse) -> None:
    from scipy import stats

    error = DATA["minutes"] - DATA["estimated"]
    batched, individual = error[DATA["batched"]], error[~DATA["batched"]]
    answer = trial.analyze("delivery.eta_reliability_comparison")
    rows = {row["delivery_type"]: row for row in answer.rows}
    assert rows["batched"]["mean_error"] == pytest.approx(batched.mean())
    assert rows["individual"]["standard_deviation"] == pytest.approx(individual.std(ddof=1))
    brown_forsythe = stats.levene(batched, individual, center="median")
    assert answer.extras["spread"]["p_value"] == pytest.approx(brown_forsythe.pvalue)
    assert answer.extras["spread"]["batched_is_less_reliable"]
    welch = stats.ttest_ind(batched, individual, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert answer.extras["bias"]["p_value"] == pytest.approx(welch.pvalue)
    assert (answer.extras["bias"]["ci_low"], answer.extras["bias"]["ci_high"]) == pytest.approx(
        (interval.low, interval.high)
    )
    assert answer.extras["bias"]["batched_is_later"]
    assert answer.extras["bias"]["ci_low"] < EFFECT - 2 < answer.extras["bias"]["ci_high"]


@pytest.mark.parametrize("name", ["batched_delivery_time_effect", "eta_reliability_comparison"])
def test_too_few_deliveries_are_refused(sample: Warehouse, name: str) -> None:
    with pytest.raises(UsageError, match="needs two"):
        sample.analyze(f"delivery.{name}")


def test_wrong_parameters(trial: Warehouse) -> None:
    with pytest.raises(UsageError, match="unknown control wind"):
        trial.analyze("delivery.batched_delivery_time_effect", controls="wind")
    with pytest.raises(UsageError, match="confidence"):
        trial.analyze("delivery.eta_reliability_comparison", confidence=95)
