"""Every delivery metric over the rows of the oracle's city.

A metric is a function over lists of counted rows (`parts`); a row carries its slices, so that slicing is grouping the
lists.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from .oracle import FOOD, WRONG, City, Row, mean, minutes, quantile, ratio, total

Parts = dict[str, list[Row]]
Measure = tuple[Parts, Callable[..., float | None]]


def saving(rows: list[Row]) -> float | None:
    """Individual less batched cost per delivered order, at most the mean fee."""
    per = []
    for kind in ("individual", "batched"):
        own = [r for r in rows if r["delivery_type"] == kind]
        per.append(ratio(total(r["cost"] for r in own), sum(r["delivered"] for r in own)))
    fee = mean(r["delivery_fee_cents"] / 100 for r in rows if r["delivered"])
    if None in per:
        return None
    found = per[0] - per[1]
    return fee if fee is not None and found > fee else found


def measures(city: City, as_of: date = date(2024, 4, 30)) -> dict[str, Measure]:
    """Each metric as its counted rows and what it makes of them."""
    delivered = [d for d in city.deliveries if d["delivered"]]
    batched = [d for d in city.deliveries if d["batched"]]
    done = [b for b in city.batches if b["done"]]
    planned = [b for b in done if (b["planned_total_distance_miles"] or 0) > 0]
    customers, drivers = city.answers("customer"), city.answers("driver")
    food, wrong = city.issues(FOOD), city.issues(WRONG)
    pickups, earnings = city.pickups(), city.earnings()
    ripe = as_of - timedelta(28)

    def place(rows: list[Row], key: str) -> float | None:
        return mean(d["place"].get(key) for d in rows)

    def pickup_delay(rows: list[Row]) -> float | None:
        return mean(minutes(d["place"]["estimated_pickup_time"], d["place"]["actual_pickup_time"]) for d in rows)

    def food_wait(d: Row) -> float | None:
        order = city.all_orders[d["order_id"]]
        ready = order["order_timestamp"] + timedelta(minutes=order["estimated_prep_time_minutes"])
        return minutes(ready, d["picked_up_at"])

    def of_orders(rows: list[Row]) -> float | None:
        return ratio(len({r["order_id"] for r in rows if r["reported"]}), len({r["order_id"] for r in rows}))

    def of_visits(rows: list[Row]) -> float | None:
        return ratio(len({r["visit"] for r in rows if r["reported"]}), len({r["visit"] for r in rows}))

    def frequent_first(rows: list[Row], segment: str) -> list[Row]:
        """The segment's rows where they are not sliced away."""
        return [r for r in rows if r[segment] == "frequent"] or rows

    def pay(rows: list[Row]) -> float | None:
        return total(r["pay"] for r in rows)

    def hours(rows: list[Row]) -> float | None:
        return ratio(total(r["minutes"] for r in rows), 60)

    def batched_score(rows: list[Row]) -> float | None:
        own = [r for r in rows if r["batched"]]
        return place(own or rows, "customer_satisfaction_score")

    share = mean
    return {
        "actual_delivery_time": ({"a": delivered}, lambda a: mean(d["actual_delivery_time_minutes"] for d in a)),
        "actual_delivery_time_median": (
            {"a": delivered}, lambda a: quantile((d["actual_delivery_time_minutes"] for d in a), 0.5)),
        "actual_delivery_time_p90": (
            {"a": delivered}, lambda a: quantile((d["actual_delivery_time_minutes"] for d in a), 0.9)),
        "eta_error": ({"a": delivered}, lambda a: mean(d["error"] for d in a)),
        "eta_error_median": ({"a": delivered}, lambda a: quantile((d["error"] for d in a), 0.5)),
        "click_to_door": (
            {"a": delivered},
            lambda a: mean(minutes(city.all_orders[d["order_id"]]["order_timestamp"], d["delivered_at"]) for d in a)),
        "ready_to_pickup": ({"a": delivered}, lambda a: mean(food_wait(d) for d in a)),
        "on_time_rate": ({"a": delivered}, lambda a: share(d["on_time"] for d in a)),
        "total_order_volume": ({"a": city.orders}, lambda a: len(a) or None),
        "order_fulfillment_rate": ({"a": city.orders}, lambda a: share(o["delivered"] for o in a)),
        "long_eta_cancellation_rate": ({"a": city.orders}, lambda a: share(o["long_eta"] for o in a)),
        "pct_orders_batched": (
            {"a": [o for o in city.orders if o["delivered"]]},
            lambda a: share(o["delivery_type"] == "batched" for o in a)),
        "average_batch_size": ({"a": done}, lambda a: mean(b["total_orders"] for b in a)),
        "avg_batch_efficiency_score": ({"a": done}, lambda a: mean(b["batch_efficiency_score"] for b in a)),
        "deliveries_per_mile": ({"a": done}, lambda a: ratio(
            total(b["total_deliveries"] for b in a if b["actual_total_distance_miles"] is not None),
            total(b["actual_total_distance_miles"] for b in a))),
        "avg_batch_duration": (
            {"a": done}, lambda a: mean(minutes(b["batch_started_at"], b["batch_completed_at"]) for b in a)),
        "time_per_batch": ({"a": done}, lambda a: mean(b["route_minutes"] for b in a)),
        "avg_batch_distance": ({"a": done}, lambda a: mean(b["actual_total_distance_miles"] for b in a)),
        "route_efficiency_ratio": ({"a": planned}, lambda a: ratio(
            total(b["actual_total_distance_miles"] for b in a),
            total(b["planned_total_distance_miles"] for b in a if b["actual_total_distance_miles"] is not None))),
        "planned_vs_actual_batch_time": (
            {"a": [b for b in done if (b["planned_total_time_minutes"] or 0) > 0]},
            lambda a: mean(b["actual_total_time_minutes"] - b["planned_total_time_minutes"] for b in a)),
        "batch_revenue": ({"a": done}, lambda a: ratio(mean(b["revenue"] for b in a), 100)),
        "batch_delivery_fees": ({"a": done}, lambda a: ratio(mean(b["total_delivery_fees_cents"] for b in a), 100)),
        "batch_tips": ({"a": done}, lambda a: ratio(mean(b["total_tips_cents"] for b in a), 100)),
        "batch_cancellation_rate": ({"a": city.batches}, lambda a: share(b["batch_status"] == "cancelled" for b in a)),
        "arrival_time_variance": ({"a": city.stops()}, lambda a: mean(s["late"] for s in a)),
        "avg_batch_delay": ({"a": batched}, lambda a: place(a, "delivery_delay_minutes")),
        "avg_pickup_wait": ({"a": batched}, lambda a: place(a, "pickup_wait_time_minutes")),
        "fast_batch_pickup_rate": ({"a": batched}, lambda a: share(
            d["place"]["pickup_wait_time_minutes"] <= 5 for d in a
            if d["place"]["pickup_wait_time_minutes"] is not None)),
        "first_pickup_delay": (
            {"a": [d for d in batched if d["place"]["pickup_sequence"] == 1]}, lambda a: pickup_delay(a)),
        "subsequent_pickup_delay": (
            {"a": [d for d in batched if d["place"]["pickup_sequence"] > 1]}, lambda a: pickup_delay(a)),
        "estimated_food_temperature_at_delivery": (
            {"a": batched}, lambda a: place(a, "estimated_food_temp_at_delivery")),
        "batch_customer_satisfaction": ({"a": delivered}, lambda a: batched_score(a)),
        "food_condition_complaint_rate": ({"a": food}, lambda a: of_orders(a)),
        "food_condition_ticket_rate": ({"a": city.issues(FOOD, ("complaint",))}, lambda a: of_orders(a)),
        "food_condition_refund_rate": ({"a": city.issues(FOOD, ("refund",))}, lambda a: of_orders(a)),
        "incorrect_order_rate": ({"a": wrong}, lambda a: of_orders(a)),
        "food_quality_csat": (
            {"a": [s for s in customers if s["topic"] == "food"]}, lambda a: mean(s["score"] for s in a)),
        "overall_customer_csat": (
            {"a": [s for s in customers if s["topic"] == "overall"]}, lambda a: mean(s["score"] for s in a)),
        "customer_nps": ({"a": customers}, lambda a: nps(a)),
        "batched_customer_retention_rate": (
            {"a": city.window_customers(ripe)},
            lambda a: share(r["returned"] for r in frequent_first(a, "frequent_batched_customer"))),
        "batched_customer_churn_rate": (
            {"a": city.window_customers(ripe)},
            lambda a: share(not r["returned"] for r in frequent_first(a, "frequent_batched_customer"))),
        "driver_earnings_per_hour": ({"a": earnings, "b": city.time}, lambda a, b: ratio(pay(a), hours(b))),
        "driver_earnings_per_trip": (
            {"a": earnings, "b": delivered},
            lambda a, b: ratio(pay(a), len({d["trip"] for d in b}))),
        "deliveries_per_hour": ({"a": delivered, "b": city.time}, lambda a, b: ratio(len(a) or None, hours(b))),
        "mileage_per_delivery": ({"a": delivered}, lambda a: mean(city.miles(d) for d in a)),
        "mileage_per_dollar_earned": (
            {"a": delivered, "b": earnings}, lambda a, b: ratio(total(city.miles(d) for d in a), pay(b))),
        "driver_restaurant_wait_time": ({"a": city.deliveries}, lambda a: mean(d["wait"] for d in a)),
        "driver_between_offers_idle_time": ({"a": city.gaps}, lambda a: mean(g["idle"] for g in a)),
        "driver_idle_time": ({"a": city.deliveries, "b": city.gaps}, lambda a, b: plus(
            mean(d["wait"] for d in a), mean(g["idle"] for g in b))),
        "driver_utilization_rate": ({"a": city.time}, lambda a: ratio(
            total(t["minutes"] for t in a if t["delivery_type"]), total(t["minutes"] for t in a))),
        "batch_offer_acceptance_rate": ({"a": city.offers()}, lambda a: share(o["accepted"] for o in a)),
        "driver_satisfaction_score": ({"a": drivers}, lambda a: mean(s["score"] for s in a)),
        "driver_instruction_clarity_score": (
            {"a": [s for s in drivers if s["topic"] == "clarity"]}, lambda a: mean(s["score"] for s in a)),
        "driver_pay_fairness_score": (
            {"a": [s for s in drivers if s["topic"] == "fairness"]}, lambda a: mean(s["score"] for s in a)),
        "driver_multi_order_ease_score": (
            {"a": [s for s in drivers if s["topic"] == "ease"]}, lambda a: mean(s["score"] for s in a)),
        "frequent_batch_driver_churn_rate": (
            {"a": city.window_drivers(ripe)},
            lambda a: share(not r["returned"] for r in frequent_first(a, "frequent_batch_driver"))),
        "restaurant_satisfaction_score": ({"a": city.answers("restaurant")}, lambda a: mean(s["score"] for s in a)),
        "batched_pickup_issue_rate": ({"a": pickups}, lambda a: of_visits(a)),
        "logistics_cost_per_order": (
            {"a": city.costs(), "b": [o for o in city.orders if o["delivered"]]},
            lambda a, b: ratio(total(c["cost"] for c in a), len(b))),
        "delivery_fee_reduction_potential": ({"a": city.order_costs()}, lambda a: saving(a)),
        "algorithm_computation_time": ({"a": city.runs()}, lambda a: mean(r["seconds"] for r in a)),
        "algorithm_computation_time_p95": ({"a": city.runs()}, lambda a: quantile((r["seconds"] for r in a), 0.95)),
        "algorithm_peak_scalability": (
            {"a": [r for r in city.runs() if r["load_level"] == "peak"]}, lambda a: mean(r["seconds"] for r in a)),
    }


def nps(rows: list[Row]) -> float | None:
    scores = [r["nps"] for r in rows if r["nps"] is not None]
    return ratio(100 * (sum(s >= 9 for s in scores) - sum(s <= 6 for s in scores)), len(scores))


def plus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def whole(measure: Measure) -> float | None:
    parts, value = measure
    return value(**parts)


def sliced(measure: Measure, by: str) -> dict[Any, float | None]:
    parts, value = measure
    keys = {row[by] for rows in parts.values() for row in rows}
    return {
        key: value(**{name: [r for r in rows if r[by] == key] for name, rows in parts.items()}) for key in keys
    }
