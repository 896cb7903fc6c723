"""Rules that the delivery pack's data and design must keep, each with the query or check that proves it.

Guardrails compare the arms of the batching test by their means; without assignments there is nothing to compare and
they hold. Their limits are parameters; the requirement names none, so the defaults are ours and say so.
"""

from __future__ import annotations

from prodsense.contracts.vocabulary import Policy
from prodsense.packs.delivery.structure import core_comes_first, relationships_hold

POLICIES = (
    Policy(
        "guardrail_delivery_time_increase",
        "Customers: under treatment, mean delivery time rises by less than max_increase_minutes against control.",
    ),
    Policy(
        "guardrail_driver_earnings_drop",
        "Drivers: under treatment, earnings per hour fall by less than max_drop_percent against control. Online time"
        " belongs to no arm, so hours are those from assignment to delivery, once a trip.",
    ),
    Policy(
        "guardrail_driver_earnings_floor",
        "Drivers: earnings per hour online do not go below floor_per_hour.",
    ),
    Policy(
        "guardrail_fulfillment_drop",
        "Platform: under treatment, the order fulfillment rate falls by less than max_drop_percent against control.",
    ),
    Policy(
        "core_first_design",
        "Batching tables extend orders, deliveries, drivers and restaurants: they reference them, nothing of the core"
        " references batching, and every batched delivery is a delivery of the core.",
        check=core_comes_first,
    ),
    Policy(
        "batch_optional_deliveries",
        "A delivery without a batch is as valid as one with: each stands exactly once in the batch context and in what"
        " metrics count.",
    ),
    Policy(
        "algorithm_agnostic_evaluation",
        "Any strategy and version can be recorded and compared: batches point to a recorded, live algorithm, and"
        " name and version tell algorithms apart.",
    ),
    Policy(
        "operational_and_historical_use",
        "One model serves live operations and history: the state log ends in each batch's state, and facts lie in the"
        " partition of their day.",
        level="warning",
    ),
    Policy(
        "model_relationships",
        "Every reference resolves, an order has at most one delivery that is not cancelled, the junction is the only"
        " link between deliveries and batches.",
        check=relationships_hold,
    ),
    Policy(
        "batch_constraint_parameters",
        "Batches that are not cancelled keep the limits of their algorithm (size, distance, time, spread of preparation"
        " times, restaurants), driver (capacity) and restaurants (batch pickups, concurrent orders). Zones are not"
        " recorded, so allow_cross_zone_batching is not judged.",
        level="warning",
    ),
    Policy(
        "batching_integration_goals",
        "The extension does its four jobs: groups deliveries, routes over their stops, keeps per-delivery measures, and"
        " holds configurable strategies.",
    ),
    Policy(
        "delivery_minutes_match_timestamps",
        "actual_delivery_time_minutes is the time from delivery_created_at to delivered_at, within tolerance_minutes.",
        level="warning",
    ),
    Policy(
        "live_traffic_fractions",
        "At every moment, traffic fractions of the algorithms live then sum to at most 1.",
    ),
    Policy("one_active_delivery_per_order", "An order has at most one delivery that is not cancelled."),
    Policy("one_live_batch_per_delivery", "A delivery is in at most one batch that is not cancelled."),
    Policy(
        "batch_totals_reconciled",
        "total_deliveries and total_orders of a batch that is not cancelled equal its rows in fact_batch_deliveries.",
    ),
    Policy(
        "order_and_delivery_status_agree", "An order is delivered exactly when its delivery is.", level="warning",
    ),
    Policy(
        "online_sessions_are_plausible",
        "Online sessions last at most max_hours; metrics count no more of a longer one.",
        level="warning",
    ),
)
