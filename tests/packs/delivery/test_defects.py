"""One test for each thing that a naive version of the delivery model gets wrong."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pack_kit import tiny_folder

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("delivery")


def context(city: Warehouse) -> dict[int, dict]:
    rows = city.show("delivery.vw_delivery_batch_context", limit=None).rows
    counts = Counter(row["delivery_id"] for row in rows)
    assert set(counts.values()) == {1}, "one row a delivery"
    return {row["delivery_id"]: row for row in rows}


def test_context_has_its_columns(city: Warehouse) -> None:
    row = context(city)[1001]
    assert set(row) >= {
        "delivery_id", "order_id", "driver_id", "delivery_status", "batch_id", "pickup_sequence", "dropoff_sequence",
        "pickup_wait_time_minutes", "delivery_delay_minutes", "batch_size", "batch_efficiency_score", "batch_status",
        "algorithm_name", "algorithm_version", "individual_delivery_time", "batch_delivery_time", "delivery_type",
        "date_partition", "batch_delivery_minutes",
    }
    assert (row["batch_size"], row["algorithm_name"], row["individual_delivery_time"]) == (2, "nearest_neighbor", 36)


def test_rebatched_delivery_has_its_last_live_batch(city: Warehouse) -> None:
    assert context(city)[1004]["batch_id"] == 3
    assert context(city)[1004]["delivery_delay_minutes"] == 5


def test_one_delivery_batch_is_individual_and_keeps_its_algorithm(city: Warehouse) -> None:
    row = context(city)[1007]
    assert (row["delivery_type"], row["batch_id"], row["algorithm_name"]) == ("individual", 4, "no_batching")


@pytest.mark.slow
def test_cancelled_batch_leaves_a_delivery_individual(own_city: Warehouse) -> None:
    place = {"batch_delivery_id": [99], "batch_id": [8], "delivery_id": [1003], "pickup_sequence": [1],
             "dropoff_sequence": [1]}
    own_city.ingest(pa.table(place), table="delivery.fact_batch_deliveries")
    own_city.build("delivery")
    row = context(own_city)[1003]
    assert (row["delivery_type"], row["batch_id"], row["batch_status"]) == ("individual", None, None)


def test_batch_time_is_the_actual_dropoff_never_the_estimate(city: Warehouse) -> None:
    rows = context(city)
    assert rows[1002]["batch_delivery_time"] == datetime(2024, 3, 18, 12, 50)
    # From 12:05, when the delivery came to be: comparable with its individual time.
    assert rows[1002]["batch_delivery_minutes"] == 45.0 == rows[1002]["individual_delivery_time"]
    assert rows[1012]["batch_delivery_time"] is None, "not dropped off yet, though estimated"
    assert rows[1003]["batch_delivery_time"] is None, "no batch"


@pytest.mark.slow
def test_two_live_batches_do_not_fan_out(own_city: Warehouse) -> None:
    place = {"batch_delivery_id": [99], "batch_id": [7], "delivery_id": [1001], "pickup_sequence": [2],
             "dropoff_sequence": [3]}
    own_city.ingest(pa.table(place), table="delivery.fact_batch_deliveries")
    own_city.build("delivery")
    assert context(own_city)[1001]["batch_id"] == 7
    (result,) = own_city.policies("delivery.one_live_batch_per_delivery")
    assert [row["delivery_id"] for row in result.violations.rows] == [1001]
    (row,) = own_city.metric("delivery.total_order_volume").rows
    assert row["total_order_volume"] == 19


def test_sample_context(sample: Warehouse) -> None:
    rows = context(sample)
    for delivery in (2001, 2002):
        row = rows[delivery]
        assert (row["delivery_type"], row["batch_id"], row["batch_size"]) == ("batched", 3001, 2)
        assert (row["algorithm_name"], row["algorithm_version"]) == ("nearest_neighbor", "v1.0")
        assert float(row["batch_efficiency_score"]) == 0.85
    row = rows[2003]
    assert row["delivery_type"] == "individual"
    empty = ("batch_id", "batch_size", "algorithm_name", "batch_status", "batch_delivery_time")
    assert {row[k] for k in empty} == {None}


def test_sample_minutes_are_kept_and_reported(sample: Warehouse) -> None:
    (row,) = sample.metric("delivery.actual_delivery_time").rows
    assert row["actual_delivery_time"] == pytest.approx((48 + 52 + 38) / 3)
    (result,) = sample.policies("delivery.delivery_minutes_match_timestamps")
    assert [(r["delivery_id"], r["stored_minutes"], r["minutes_by_timestamps"]) for r in result.violations.rows] == [
        (2001, 48, 65.0), (2002, 52, 70.0), (2003, 38, 62.0),
    ]


def test_cancelled_early_without_rows_counts_as_cancelled(city: Warehouse) -> None:
    """Batch 8 has no rows in the junction, which an inner join would drop."""
    rows = {r["algorithm"]: r for r in city.metric("delivery.batch_cancellation_rate", by="algorithm").rows}
    assert rows["genetic_algorithm"]["batch_cancellation_rate"] == pytest.approx(1 / 3)


def test_driver_without_batched_delays_is_not_rated(city: Warehouse, sample: Warehouse) -> None:
    rows = {r["driver_id"]: r for r in sample.analyze("delivery.batch_adaptation_rating").rows}
    assert rows[102]["batch_adaptation_rating"] is None
    assert rows[101]["batch_adaptation_rating"] == "excellent"
    rows = {r["driver_id"]: r for r in city.analyze("delivery.batch_adaptation_rating", as_of="2024-03-26").rows}
    assert rows[11]["avg_batch_delay"] == pytest.approx((3 + 8 + 5 + 12 + 9 + 4) / 6)
    assert rows[11]["batch_adaptation_rating"] == "good"


def test_ratings_change_at_five_and_ten() -> None:
    from prodsense.packs.delivery.effects import rate_adaptation

    assert [rate_adaptation(v) for v in (None, 0, 4.999, 5, 9.999, 10)] == [
        None, "excellent", "excellent", "good", "good", "needs_improvement",
    ]


def test_shared_stop_counts_once(city: Warehouse) -> None:
    stops = city.show("delivery.route_stops", limit=None, where="batch_id = 1").rows
    assert len(stops) == 4, "five rows in the file, two of one restaurant stop"
    (feedback,) = city.show("delivery.route_feedback", limit=None, where="batch_id = 1").rows
    assert float(feedback["stop_miles"]) == pytest.approx(4.4)


def test_internal_customers_are_left_out(city: Warehouse) -> None:
    orders = {row["order_id"] for row in city.show("delivery.orders", limit=None).rows}
    assert 114 not in orders
    assert len(orders) == 19


def test_nothing_is_reported_is_not_nothing_known(sample: Warehouse) -> None:
    """Without any report ever loaded the complaint rate is unknown, not 0."""
    (row,) = sample.metric("delivery.food_condition_complaint_rate").rows
    assert row["food_condition_complaint_rate"] is None


def refused(table: str, row: dict[str, object]) -> str:
    """The reason for which a row is quarantined in an otherwise empty warehouse."""
    with prodsense.warehouse.open(":memory:") as warehouse:
        report = warehouse.ingest(pa.table({k: [v] for k, v in row.items()}), table=f"delivery.{table}")
        assert report.quarantined == 1, str(report)
        return str(report)


ORDER = {"order_id": 1, "customer_id": 1, "restaurant_id": 1, "order_timestamp": datetime(2024, 1, 1),
         "order_total_cents": 1, "item_count": 1, "date_partition": date(2024, 1, 1)}
BATCH = {"batch_id": 1, "batching_algorithm_key": 1, "batch_created_at": datetime(2024, 1, 1), "total_deliveries": 2,
         "total_orders": 2, "date_partition": date(2024, 1, 1)}
PLACE = {"batch_delivery_id": 1, "batch_id": 1, "delivery_id": 1, "pickup_sequence": 1, "dropoff_sequence": 1}
ALGORITHM = {"batching_algorithm_key": 1, "algorithm_name": "a", "algorithm_version": "1",
             "deployed_at": datetime(2024, 1, 1)}
STATE = {"state_change_id": 1, "batch_id": 1, "timestamp": datetime(2024, 1, 1), "new_state": "created"}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("fact_orders", {**ORDER, "order_status": "lost"}),
        ("fact_delivery_batches", {**BATCH, "batch_status": "paused"}),
        ("fact_delivery_batches", {**BATCH, "batch_assigned_at": datetime(2024, 1, 1)}),  # assigned to nobody
        ("fact_batch_deliveries", {**PLACE, "customer_satisfaction_score": 6}),
        ("fact_batch_deliveries", {**PLACE, "customer_satisfaction_score": 0}),
        ("dim_batching_algorithms", {**ALGORITHM, "traffic_percentage": 25.0}),
        ("fact_batch_state_changes", {**STATE, "change_trigger": "weather"}),
    ],
)
def test_contract_refuses(table: str, row: dict[str, object]) -> None:
    refused(table, row)


def test_contract_accepts_a_batch_before_its_driver() -> None:
    with prodsense.warehouse.open(":memory:") as warehouse:
        report = warehouse.ingest(pa.table({k: [v] for k, v in BATCH.items()}), table="delivery.fact_delivery_batches")
        assert report.accepted == 1


def test_one_foreign_key_a_column_and_all_of_them() -> None:
    declared = {
        (name, r.columns): r.table for name, table in PACK.tables.items() for r in table.references
    }
    for name, table in PACK.tables.items():
        assert len({r.columns for r in table.references}) == len(table.references), name
    for key, target in {
        ("fact_orders", ("customer_id",)): "dim_customers",
        ("fact_orders", ("restaurant_id",)): "dim_restaurants",
        ("fact_deliveries", ("driver_id",)): "dim_drivers",
        ("fact_delivery_batches", ("batching_algorithm_key",)): "dim_batching_algorithms",
        ("fact_batch_delivery_events", ("batch_delivery_id",)): "fact_batch_deliveries",
    }.items():
        assert declared[key] == f"delivery.{target}"
    assert PACK.tables["fact_batch_deliveries"].uniques[0] == ("batch_id", "delivery_id")
    assert PACK.tables["dim_batching_algorithms"].uniques == (("algorithm_name", "algorithm_version"),)


@pytest.mark.slow
def test_setup_runs_twice_and_loads_by_name(sample: Warehouse) -> None:
    report = PACK.pipelines["delivery_setup_script"].run(sample)  # type: ignore[misc]
    assert sum(row["accepted"] + row["quarantined"] for row in report) == 0, "nothing new the second time"
    for table in ("fact_orders", "fact_deliveries", "dim_drivers", "dim_restaurants", "dim_batching_algorithms",
                  "fact_delivery_batches", "fact_batch_deliveries"):
        reduced = sample.show(f"delivery.{table}_setup", limit=None).rows
        full = sample.show(f"delivery.{table}", limit=None).rows
        key = PACK.tables[table].primary_key[0]
        by_key = {row[key]: row for row in full}
        assert reduced, table
        for row in reduced:
            assert {k: by_key[row[key]][k] for k in row} == row, table
    assert {"delivery.fact_batch_state_changes", "delivery.dim_customers", "delivery.fact_batch_delivery_events",
            "delivery.fact_batch_waypoints_setup"} <= set(sample.engine.relations())


def test_setup_does_not_mix_with_real_orders(own_city: Warehouse) -> None:
    from prodsense.errors import UsageError

    with pytest.raises(UsageError, match="other orders"):
        PACK.pipelines["delivery_setup_script"].run(own_city)  # type: ignore[misc]


def test_setup_columns_stand_in_the_order_of_the_sample() -> None:
    sample = Path(str(PACK.folder)) / "sample"
    for path in sample.glob("*.csv"):
        assert path.read_text().splitlines()[0].split(",") == list(PACK.tables[f"{path.stem}_setup"].columns)


@pytest.mark.slow
def test_only_the_columns_that_are_sure_suffice(tmp_path: Path) -> None:
    """Open tables with nothing but the columns that every file has still give numbers."""
    sure = {
        "support_tickets": ("order_id", "issue_type", "restaurant_id"),
        "refund_requests": ("order_id", "reason"),
        "survey_responses": ("order_id", "customer_id", "driver_id", "restaurant_id", "question", "score", "nps_score"),
        "driver_earnings": ("amount_cents",),
        "driver_online_sessions": ("driver_id", "online_at", "offline_at"),
        # The driver too: an offer to nobody known ends nobody's wait.
        "batch_offers": ("offer_id", "driver_id", "offered_at", "decision"),
        "delivery_costs": ("order_id", "amount_cents"),
        "batching_algorithm_runs": ("started_at", "finished_at", "orders_considered"),
        "dim_customers": ("customer_id",),
    }
    import csv

    with prodsense.warehouse.open(":memory:") as warehouse:
        for table in PACK.tables:
            source = tiny_folder("delivery") / f"{table}.csv"
            if not source.exists():
                continue
            rows = list(csv.DictReader(source.open()))
            keep = sure.get(table, tuple(rows[0]))
            with (tmp_path / source.name).open("w", newline="") as file:
                writer = csv.DictWriter(file, keep, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
            warehouse.ingest(tmp_path / source.name, table=f"delivery.{table}")
        warehouse.build("delivery")
        missing = [
            m.name for m in PACK.metrics.values()
            if not m.hidden and warehouse.metric(f"delivery.{m.name}").rows[0][m.name] is None
        ]
        assert missing == []
        (pay,) = warehouse.metric("delivery.driver_pay").rows
        assert pay["driver_pay"] == pytest.approx(128.5)
