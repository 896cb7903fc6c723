"""The named queries on the tiny city against the oracle, and on the sample against the answers given for it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
from oracle_kit import Row, mean, ratio, total

from prodsense.warehouse import Warehouse

from .oracle import City, minutes

CITY = City()
AS_OF = date(2024, 3, 26)


def close(rows: list[Row]) -> list[Row]:
    return [{k: pytest.approx(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def half_up(value: float | None, digits: int) -> float | None:
    """Half away from zero, as SQL rounds."""
    return None if value is None else float(int(value * 10**digits + 0.5)) / 10**digits


def recent(rows: list[Row], days: int) -> list[Row]:
    return [r for r in rows if AS_OF - timedelta(days) <= r["date_partition"] <= AS_OF]


def grouped(rows: list[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[k] for k in keys)].append(row)
    return dict(found)


def scores(rows: list[Row]) -> float | None:
    """Mean score, one a batch."""
    return mean({d["batch"]["batch_id"]: d["batch"]["batch_efficiency_score"] for d in rows if d["batched"]}.values())


def delivered(days: int) -> list[Row]:
    return [d for d in recent(CITY.deliveries, days) if d["delivered"]]


def test_batched_vs_individual_performance(city: Warehouse) -> None:
    expected = []
    groups = grouped(delivered(30), "delivery_type", "algorithm", "algorithm_version")
    for (kind, name, version), rows in groups.items():
        delays = [d["place"]["delivery_delay_minutes"] for d in rows if d["batched"]]
        rate = mean(d["on_time"] for d in rows)
        expected.append({
            "delivery_type": kind,
            "algorithm": name or "N/A",
            "total_deliveries": len(rows),
            "avg_delivery_minutes": half_up(mean(d["actual_delivery_time_minutes"] for d in rows), 1),
            "avg_delay_minutes": half_up(mean(delays), 1),
            "efficiency_score": half_up(scores(rows), 3),
            "on_time_percentage": half_up(None if rate is None else 100 * rate, 1),
            "algorithm_version": version,
        })
    expected.sort(key=lambda r: (r["delivery_type"], -r["total_deliveries"], r["algorithm"]))
    rows = city.query("delivery.batched_vs_individual_performance", as_of=AS_OF).rows
    assert list(rows[0]) == list(expected[0])
    assert rows == close(expected)
    # By hand: 50, 60, 70, 40, 58 went with genetic_algorithm; 36, 45, 40 and one unknown with nearest_neighbor.
    assert [(r["total_deliveries"], r["avg_delivery_minutes"]) for r in rows[:2]] == [(5, 55.6), (4, 40.3)]


def test_algorithm_effectiveness(city: Warehouse) -> None:
    expected = []
    batches = [b for b in recent(CITY.batches, 30) if b["algorithm"] != "no_batching"]
    for (name, version), rows in grouped(batches, "algorithm", "algorithm_version").items():
        done = [b for b in rows if b["done"]]
        inside = [
            d for d in CITY.deliveries if d["delivered"] and d["batch"] and any(d["batch"] is b for b in done)
        ]
        expected.append({
            "algorithm_name": name,
            "algorithm_version": version,
            "total_batches": len(rows),
            "total_deliveries": len(inside),
            "avg_batch_size": mean(b["total_deliveries"] for b in done),
            "avg_total_distance": mean(b["actual_total_distance_miles"] for b in done),
            "avg_efficiency_score": mean(b["batch_efficiency_score"] for b in done),
            "avg_batch_duration_minutes": mean(minutes(b["batch_started_at"], b["batch_completed_at"]) for b in done),
            "avg_delivery_delay": mean(d["place"]["delivery_delay_minutes"] for d in inside),
            "avg_pickup_wait": mean(d["place"]["pickup_wait_time_minutes"] for d in inside),
            "cancellation_rate_pct": 100 * sum(b["batch_status"] == "cancelled" for b in rows) / len(rows),
        })
    expected.sort(key=lambda r: -r["avg_efficiency_score"])
    rows = city.query("delivery.algorithm_effectiveness", as_of=AS_OF).rows
    assert list(rows[0]) == list(expected[0])
    assert rows == close(expected)
    # By hand: nearest_neighbor formed 1, 2 (cancelled), 6 (under way) and 7.
    assert (rows[0]["total_batches"], rows[0]["cancellation_rate_pct"]) == (4, 25.0)
    assert rows[0]["avg_total_distance"] == pytest.approx(3.2)


def test_route_optimization_analysis(city: Warehouse) -> None:
    expected = []
    done = [b for b in recent(CITY.batches, 7) if b["done"] and b["algorithm"] != "no_batching"]
    stops = CITY.stops()
    for (name, version), rows in grouped(done, "algorithm", "algorithm_version").items():
        ids = {b["batch_id"] for b in rows}
        planned = [b for b in rows if (b["planned_total_distance_miles"] or 0) > 0]
        ratios = [
            ratio(b["actual_total_distance_miles"], b["planned_total_distance_miles"]) for b in planned
            if b["actual_total_distance_miles"] is not None
        ]
        own = [s for s in stops if s["batch_id"] in ids]
        last = [
            max((s for s in own if s["batch_id"] == i and s["late"] is not None), key=lambda s: s["sequence"])["late"]
            for i in ids if any(s["batch_id"] == i and s["late"] is not None for s in own)
        ]
        expected.append({
            "algorithm_name": name,
            "avg_batch_size": mean(b["total_deliveries"] for b in rows),
            "avg_actual_distance_miles": mean(b["actual_total_distance_miles"] for b in rows),
            "avg_planned_distance_miles": mean(b["planned_total_distance_miles"] for b in planned),
            "avg_route_efficiency": mean(ratios),
            "avg_time_variance_minutes": mean(s["late"] for s in own),
            "best_route_efficiency": min(ratios, default=None),
            "worst_route_efficiency": max(ratios, default=None),
            "algorithm_version": version,
            "avg_last_stop_variance_minutes": mean(last),
            "avg_stop_distance_miles": mean(total(s["miles"] for s in own if s["batch_id"] == i) for i in ids),
        })
    expected.sort(key=lambda r: (r["avg_route_efficiency"] is None, r["avg_route_efficiency"]))
    rows = city.query("delivery.route_optimization_analysis", as_of=date(2024, 3, 25)).rows
    assert [r["algorithm_name"] for r in rows] == ["nearest_neighbor", "genetic_algorithm"]
    # By hand, 18 to 25 March: batch 1 is 4.4 of 4.0 miles; batch 3 is 7.5 of 6.0, and batch 5 has no plan.
    assert rows[0]["avg_route_efficiency"] == pytest.approx(1.1)
    assert rows[1]["avg_route_efficiency"] == rows[1]["worst_route_efficiency"] == pytest.approx(1.25)
    assert rows[1]["avg_planned_distance_miles"] == 6.0
    assert rows[1]["avg_batch_size"] == 2.5
    rows = city.query("delivery.route_optimization_analysis", as_of=AS_OF).rows
    assert list(rows[0]) == list(expected[0])
    assert rows == close(expected)


@pytest.mark.parametrize("least", [1, 3])
def test_driver_batching_performance(city: Warehouse, least: int) -> None:
    expected = []
    for (driver,), rows in grouped(delivered(30), "driver").items():
        if len(rows) < least:
            continue
        batched = [d for d in rows if d["batched"]]
        delay = mean(d["place"]["delivery_delay_minutes"] for d in batched)
        expected.append({
            "driver_id": driver,
            "driver_external_id": CITY.drivers[driver]["driver_external_id"],
            "vehicle_type": CITY.drivers[driver]["vehicle_type"],
            "individual_deliveries": len(rows) - len(batched),
            "batched_deliveries": len(batched),
            "avg_individual_time": mean(d["actual_delivery_time_minutes"] for d in rows if not d["batched"]),
            "avg_batched_time": mean(d["actual_delivery_time_minutes"] for d in batched),
            "avg_batch_efficiency": scores(rows),
            "avg_batch_delay": delay,
            "batch_adaptation_rating": {11: "good", 12: "good", 13: "excellent"}[driver],
        })
    expected.sort(key=lambda r: (r["avg_batch_efficiency"] is None, -(r["avg_batch_efficiency"] or 0), r["driver_id"]))
    rows = city.query("delivery.driver_batching_performance", as_of=AS_OF, min_deliveries=least).rows
    assert list(rows[0]) == list(expected[0])
    assert rows == close(expected)


def test_driver_batching_performance_needs_twenty_by_default(city: Warehouse) -> None:
    assert city.query("delivery.driver_batching_performance", as_of=AS_OF).rows == []


def test_restaurant_batching_impact(city: Warehouse) -> None:
    expected = []
    for (restaurant,), rows in grouped(delivered(30), "restaurant").items():
        batched = [d for d in rows if d["batched"]]
        waits = [d["place"]["pickup_wait_time_minutes"] for d in batched]
        known = [w for w in waits if w is not None]

        def late(first: bool, batched: list[Row] = batched) -> float | None:
            return mean(
                minutes(d["place"]["estimated_pickup_time"], d["place"]["actual_pickup_time"]) for d in batched
                if (d["place"]["pickup_sequence"] == 1) == first
            )

        expected.append({
            "restaurant_id": restaurant,
            "restaurant_name": CITY.restaurants[restaurant]["restaurant_name"],
            "can_handle_batch_pickups": CITY.restaurants[restaurant]["can_handle_batch_pickups"],
            "total_orders": len({d["order_id"] for d in rows}),
            "batched_orders": len({d["order_id"] for d in batched}),
            "avg_batch_pickup_wait": mean(waits),
            "avg_individual_pickup_wait": mean(d["wait"] for d in rows if not d["batched"]),
            "avg_first_pickup_delay": late(True),
            "avg_subsequent_pickup_delay": late(False),
            "fast_batch_pickup_rate_pct": 100 * sum(w <= 5 for w in known) / len(known) if known else None,
        })
    expected.sort(key=lambda r: (
        r["fast_batch_pickup_rate_pct"] is None, -(r["fast_batch_pickup_rate_pct"] or 0), r["restaurant_id"]
    ))
    rows = city.query("delivery.restaurant_batching_impact", as_of=AS_OF, min_orders=1).rows
    assert list(rows[0]) == list(expected[0])
    assert rows == close(expected)
    # By hand: restaurant 21 picked up 101, 102 (6), 105 (4), 110 (5) and 115 (4): three of five are fast.
    assert {r["restaurant_id"]: r["fast_batch_pickup_rate_pct"] for r in rows}[21] == pytest.approx(60)
    assert city.query("delivery.restaurant_batching_impact", as_of=AS_OF).rows == []


def test_algorithm_performance_history(city: Warehouse) -> None:
    rows = city.query("delivery.algorithm_performance_history").rows
    weeks = [(str(r["week"]), r["algorithm_name"], r["total_batches"], r["total_deliveries"]) for r in rows]
    assert weeks == [
        ("2024-03-18", "genetic_algorithm", 1, 3),
        ("2024-03-18", "nearest_neighbor", 2, 2),
        ("2024-03-18", "no_batching", 1, 1),
        ("2024-03-25", "genetic_algorithm", 2, 2),
        ("2024-03-25", "nearest_neighbor", 2, 1),
    ]
    assert rows[0]["route_efficiency_ratio"] == 1.25
    assert rows[0]["avg_delivery_delay"] == pytest.approx((5 + 12 + 9) / 3)
    assert rows[1]["cancellation_rate_pct"] == 50.0
    later = city.query("delivery.algorithm_performance_history", start_date="2024-03-20", end_date="2024-03-25").rows
    assert [(str(r["week"]), r["algorithm_name"], r["total_batches"]) for r in later] == [
        ("2024-03-25", "genetic_algorithm", 1), ("2024-03-25", "nearest_neighbor", 1),
    ]


def test_operations(city: Warehouse) -> None:
    (batch,) = city.query("delivery.open_batches", as_of="2024-03-25 20:42:00").rows
    assert batch["batch_id"] == 6
    assert batch["current_state"] == "in_progress"
    assert batch["minutes_in_state"] == 30.0
    assert (batch["driver_lat"], batch["driver_lng"]) == (37.78, -122.43)
    states = city.query("delivery.batch_state_counts", as_of="2024-03-19 10:00:00").rows
    # In the 24 hours: 1 (by its driver) and 3 (says so itself, without a log) are completed, 2 timed out.
    assert [list(row.values()) for row in states] == [["cancelled", 1, 0, 1, 0, 0], ["completed", 2, 1, 0, 0, 0]]


def test_traffic_shares_are_of_algorithms_live_at_the_moment(city: Warehouse, sample: Warehouse) -> None:
    rows = city.query("delivery.algorithm_traffic_shares", as_of="2024-03-19 00:00:00").rows
    # genetic_algorithm v2.0 left on 15 January. Routed deliveries 18 and 19 March: 3, 2 and 1.
    assert [(r["algorithm_name"], r["algorithm_version"], r["deliveries"]) for r in rows] == [
        ("genetic_algorithm", "v2.1", 3), ("nearest_neighbor", "v1.0", 2), ("no_batching", "v1.0", 1),
    ]
    assert [r["observed_share"] for r in rows] == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    # The sample's ml_optimized follows on 1 February: until then 0.70 is live.
    january = sample.query("delivery.algorithm_traffic_shares", as_of="2024-01-15 12:00:00").rows
    assert sum(r["planned_fraction"] for r in january) == pytest.approx(0.70)
    february = sample.query("delivery.algorithm_traffic_shares", as_of="2024-02-01 00:00:00").rows
    assert sum(r["planned_fraction"] for r in february) == pytest.approx(1.0)


SAMPLE_AS_OF = "2024-01-20"


def test_sample_batched_vs_individual(sample: Warehouse) -> None:
    rows = sample.query("delivery.batched_vs_individual_performance", as_of=SAMPLE_AS_OF).rows
    assert [list(r.values()) for r in rows] == [
        ["batched", "nearest_neighbor", 2, 50.0, 2.5, 0.85, 100.0, "v1.0"],
        ["individual", "N/A", 1, 38.0, None, None, 100.0, None],
    ]


def test_sample_algorithm_effectiveness(sample: Warehouse) -> None:
    (row,) = sample.query("delivery.algorithm_effectiveness", as_of=SAMPLE_AS_OF).rows
    assert list(row.values()) == ["nearest_neighbor", "v1.0", 1, 2, 2.0, 5.8, 0.85, 60.0, 2.5, 5.0, 0.0]


def test_sample_routes(sample: Warehouse) -> None:
    (row,) = sample.query("delivery.route_optimization_analysis", as_of=SAMPLE_AS_OF).rows
    assert round(row["avg_route_efficiency"], 4) == 1.1154
    assert row["avg_time_variance_minutes"] is None


def test_sample_drivers(sample: Warehouse) -> None:
    rows = sample.query("delivery.driver_batching_performance", as_of=SAMPLE_AS_OF, min_deliveries=1).rows
    assert [list(r.values()) for r in rows] == [
        [101, "DRV001", "car", 0, 2, None, 50.0, 0.85, 2.5, "excellent"],
        [102, "DRV002", "bike", 1, 0, 38.0, None, None, None, None],
    ]


def test_sample_restaurants(sample: Warehouse) -> None:
    rows = sample.query("delivery.restaurant_batching_impact", as_of=SAMPLE_AS_OF, min_orders=1).rows
    assert [list(r.values()) for r in rows] == [
        [201, "Pizza Palace", True, 2, 2, 5.0, None, 5.0, None, 100.0],
        [202, "Burger Barn", True, 1, 0, None, None, None, None, None],
    ]


def test_windows_end_where_they_say(sample: Warehouse) -> None:
    """30 days back and the day itself are inside, 31 days back and the future are not."""
    name = "delivery.batched_vs_individual_performance"
    assert len(sample.query(name, as_of="2024-02-14").rows) == 2
    assert sample.query(name, as_of="2024-02-15").rows == []
    assert sample.query(name, as_of="2024-01-14").rows == []
    assert len(sample.query("delivery.route_optimization_analysis", as_of="2024-01-22").rows) == 1
    assert sample.query("delivery.route_optimization_analysis", as_of="2024-01-23").rows == []
