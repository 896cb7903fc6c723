"""Every delivery metric as leaves over the rows of the oracle's city (see `oracle_kit`); a row carries its slices."""

from __future__ import annotations

from datetime import date, timedelta

from oracle_kit import Leaf, Measure, Value, distinct, mean, nps, one, quantile, ratio, share, total

from .oracle import FOOD, WRONG, City, Row, minutes


def saving(rows: list[Row]) -> Value:
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

    def place(rows: list[Row], key: str) -> Value:
        return mean(d["place"].get(key) for d in rows)

    def pickup_delay(rows: list[Row]) -> Value:
        return mean(minutes(d["place"]["estimated_pickup_time"], d["place"]["actual_pickup_time"]) for d in rows)

    def food_wait(d: Row) -> Value:
        order = city.all_orders[d["order_id"]]
        ready = order["order_timestamp"] + timedelta(minutes=order["estimated_prep_time_minutes"])
        return minutes(ready, d["picked_up_at"])

    def of_orders(rows: list[Row]) -> Value:
        return ratio(distinct([r for r in rows if r["reported"]], "order_id"), distinct(rows, "order_id"))

    def of_visits(rows: list[Row]) -> Value:
        return ratio(distinct([r for r in rows if r["reported"]], "visit"), distinct(rows, "visit"))

    def of_frequent(rows: list[Row], segment: str, gone: bool) -> Measure:
        return one(rows, lambda a: share(r["returned"] != gone for r in a), focus=(segment, "frequent"))

    def pay(rows: list[Row]) -> Value:
        return total(r["pay"] for r in rows)

    def waited(rows: list[Row]) -> Value:
        return mean(d["wait"] for d in rows)

    def idle(rows: list[Row]) -> Value:
        return mean(g["idle"] for g in rows)

    def scored(people: list[Row], topic: str) -> Measure:
        return one([s for s in people if topic in ("", s["topic"])], lambda a: mean(s["score"] for s in a))

    def batched_score(rows: list[Row]) -> Value:
        own = [r for r in rows if r["batched"]]
        return place(own or rows, "customer_satisfaction_score")

    online = Leaf(city.time, lambda a: ratio(total(r["minutes"] for r in a), 60))
    return {
        "actual_delivery_time": one(delivered, lambda a: mean(d["actual_delivery_time_minutes"] for d in a)),
        "actual_delivery_time_median": one(
            delivered, lambda a: quantile((d["actual_delivery_time_minutes"] for d in a), 0.5)),
        "actual_delivery_time_p90": one(
            delivered, lambda a: quantile((d["actual_delivery_time_minutes"] for d in a), 0.9)),
        "eta_error": one(delivered, lambda a: mean(d["error"] for d in a)),
        "eta_error_median": one(delivered, lambda a: quantile((d["error"] for d in a), 0.5)),
        "click_to_door": one(
            delivered,
            lambda a: mean(minutes(city.all_orders[d["order_id"]]["order_timestamp"], d["delivered_at"]) for d in a)),
        "ready_to_pickup": one(delivered, lambda a: mean(food_wait(d) for d in a)),
        "on_time_rate": one(delivered, lambda a: share(d["on_time"] for d in a)),
        "total_order_volume": one(city.orders, len),
        "order_fulfillment_rate": one(city.orders, lambda a: share(o["delivered"] for o in a)),
        "long_eta_cancellation_rate": one(city.orders, lambda a: share(o["long_eta"] for o in a)),
        "pct_orders_batched": one(
            [o for o in city.orders if o["delivered"]], lambda a: share(o["delivery_type"] == "batched" for o in a)),
        "average_batch_size": one(done, lambda a: mean(b["total_orders"] for b in a)),
        "avg_batch_efficiency_score": one(done, lambda a: mean(b["batch_efficiency_score"] for b in a)),
        "deliveries_per_mile": one(done, lambda a: ratio(
            total(b["total_deliveries"] for b in a if b["actual_total_distance_miles"] is not None),
            total(b["actual_total_distance_miles"] for b in a))),
        "avg_batch_duration": one(done, lambda a: mean(minutes(b["batch_started_at"], b["batch_completed_at"]) for b in a)),
        "time_per_batch": one(done, lambda a: mean(b["route_minutes"] for b in a)),
        "avg_batch_distance": one(done, lambda a: mean(b["actual_total_distance_miles"] for b in a)),
        "route_efficiency_ratio": one(planned, lambda a: ratio(
            total(b["actual_total_distance_miles"] for b in a),
            total(b["planned_total_distance_miles"] for b in a if b["actual_total_distance_miles"] is not None))),
        "planned_vs_actual_batch_time": one(
            [b for b in done if (b["planned_total_time_minutes"] or 0) > 0],
            lambda a: mean(b["actual_total_time_minutes"] - b["planned_total_time_minutes"] for b in a)),
        "batch_revenue": one(done, lambda a: ratio(mean(b["revenue"] for b in a), 100)),
        "batch_delivery_fees": one(done, lambda a: ratio(mean(b["total_delivery_fees_cents"] for b in a), 100)),
        "batch_tips": one(done, lambda a: ratio(mean(b["total_tips_cents"] for b in a), 100)),
        "batch_cancellation_rate": one(city.batches, lambda a: share(b["batch_status"] == "cancelled" for b in a)),
        "arrival_time_variance": one(city.stops(), lambda a: mean(s["late"] for s in a)),
        "avg_batch_delay": one(batched, lambda a: place(a, "delivery_delay_minutes")),
        "avg_pickup_wait": one(batched, lambda a: place(a, "pickup_wait_time_minutes")),
        "fast_batch_pickup_rate": one(batched, lambda a: share(
            d["place"]["pickup_wait_time_minutes"] <= 5 for d in a
            if d["place"]["pickup_wait_time_minutes"] is not None)),
        "first_pickup_delay": one([d for d in batched if d["place"]["pickup_sequence"] == 1], pickup_delay),
        "subsequent_pickup_delay": one([d for d in batched if d["place"]["pickup_sequence"] > 1], pickup_delay),
        "estimated_food_temperature_at_delivery": one(batched, lambda a: place(a, "estimated_food_temp_at_delivery")),
        "batch_customer_satisfaction": one(delivered, batched_score),
        "food_condition_complaint_rate": one(food, of_orders),
        "food_condition_ticket_rate": one(city.issues(FOOD, ("complaint",)), of_orders),
        "food_condition_refund_rate": one(city.issues(FOOD, ("refund",)), of_orders),
        "incorrect_order_rate": one(wrong, of_orders),
        "food_quality_csat": scored(customers, "food"),
        "overall_customer_csat": scored(customers, "overall"),
        "customer_nps": one(customers, lambda a: nps(r["nps"] for r in a)),
        "batched_customer_retention_rate": of_frequent(
            city.window_customers(ripe), "frequent_batched_customer", gone=False),
        "batched_customer_churn_rate": of_frequent(
            city.window_customers(ripe), "frequent_batched_customer", gone=True),
        "driver_earnings_per_hour": Measure([Leaf(earnings, pay), online], ratio),
        "driver_earnings_per_trip": Measure(
            [Leaf(earnings, pay), Leaf(delivered, lambda a: distinct(a, "trip"))], ratio),
        "deliveries_per_hour": Measure([Leaf(delivered, len), online], ratio),
        "mileage_per_delivery": one(delivered, lambda a: mean(city.miles(d) for d in a)),
        "mileage_per_dollar_earned": Measure(
            [Leaf(delivered, lambda a: total(city.miles(d) for d in a)), Leaf(earnings, pay)], ratio),
        "driver_restaurant_wait_time": one(city.deliveries, waited),
        "driver_between_offers_idle_time": one(city.gaps, idle),
        "driver_idle_time": Measure(
            [Leaf(city.deliveries, waited), Leaf(city.gaps, idle)], lambda a, b: None if None in (a, b) else a + b),
        "driver_utilization_rate": one(city.time, lambda a: ratio(
            total(t["minutes"] for t in a if t["delivery_type"]), total(t["minutes"] for t in a))),
        "batch_offer_acceptance_rate": one(city.offers(), lambda a: share(o["accepted"] for o in a)),
        "driver_satisfaction_score": scored(drivers, ""),
        "driver_instruction_clarity_score": scored(drivers, "clarity"),
        "driver_pay_fairness_score": scored(drivers, "fairness"),
        "driver_multi_order_ease_score": scored(drivers, "ease"),
        "frequent_batch_driver_churn_rate": of_frequent(
            city.window_drivers(ripe), "frequent_batch_driver", gone=True),
        "restaurant_satisfaction_score": scored(city.answers("restaurant"), ""),
        "batched_pickup_issue_rate": one(pickups, of_visits),
        "logistics_cost_per_order": Measure(
            [Leaf(city.costs(), lambda a: total(c["cost"] for c in a)),
             Leaf([o for o in city.orders if o["delivered"]], len)], ratio),
        "delivery_fee_reduction_potential": one(city.order_costs(), saving),
        "algorithm_computation_time": one(city.runs(), lambda a: mean(r["seconds"] for r in a)),
        "algorithm_computation_time_p95": one(city.runs(), lambda a: quantile((r["seconds"] for r in a), 0.95)),
        "algorithm_peak_scalability": one(
            [r for r in city.runs() if r["load_level"] == "peak"], lambda a: mean(r["seconds"] for r in a)),
    }
