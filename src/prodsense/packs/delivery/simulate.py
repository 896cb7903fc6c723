"""A made-up city for the delivery pack: every table, consistent, with planted truths.

Orders follow a daily and a weekly rhythm; a zone's day is given to one of the algorithms live at the
time; batches keep every limit of their algorithm; a driver never does two jobs at once. What is planted
is listed in :class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True``
nothing is planted, and batched orders fare like the others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prodsense.packs.planted import Made, Setting, simulator

from .simulate_core import core_tables
from .simulate_frame import RESTAURANT, Frame
from .simulate_orders import BASE_CANCELLED, make_orders
from .simulate_routes import batch_tables
from .simulate_trips import ETA_SD, Day, make_trips
from .simulate_voices import (
    COLD_FOOD,
    DETRACTORS,
    FOOD_QUALITY,
    OVERALL,
    PAY_PER_HOUR,
    PROMOTERS,
    WRONG_ITEM,
    voice_tables,
)
from .simulate_world import Effects, World, make_world

#: Parents before the tables that refer to them.
ORDER_OF_TABLES = (
    "dim_customers", "dim_drivers", "dim_restaurants", "fact_orders", "fact_deliveries",
    "dim_batching_algorithms", "fact_delivery_batches", "fact_batch_deliveries", "fact_batch_waypoints",
    "fact_batch_state_changes", "fact_batch_delivery_events", "batch_offers", "driver_online_sessions",
    "driver_earnings", "delivery_costs", "support_tickets", "refund_requests", "survey_responses",
    "batching_algorithm_runs", "experiment_assignments",
)  # fmt: skip


#: Nine weeks are the least that retention over 28 days and the 28 after can be seen in.
@simulator(Effects, days=63, of="a city", size="about 1,500 orders a day")
def simulate(given: Setting[Effects]) -> Made:
    streams = given.streams
    world = make_world(given.start, given.days, given.scale, streams, given.effects)
    day = make_trips(world, make_orders(world, streams), streams)
    frame = Frame(given.start, given.days)
    tables, delivery_of = core_tables(world, day, frame, streams)
    more, batch_of = batch_tables(world, day, frame, delivery_of, streams)
    tables |= more
    tables |= voice_tables(world, day, frame, delivery_of, batch_of, streams)
    return {name: tables[name] for name in ORDER_OF_TABLES}, lambda: describe(world, day)


def describe(world: World, day: Day) -> dict[str, Any]:
    """What was planted, each with its size, unit and place. Sizes are those of the process, not of a sample."""
    effects, slow = world.effects, world.restaurants.slow
    base, spread = ETA_SD, effects.batched_eta_spread
    return {
        "batched_delivery_minutes": {
            "unit": "minutes",
            "says": "longer from creation to door than the same order alone, mean over delivered batched orders",
            **day.truth["minutes"],
        },
        "eta_error_minutes": {"unit": "minutes", "says": "mean of actual minus estimated", **day.truth["eta"]},
        "eta_error_sd_minutes": {"unit": "minutes", "individual": base, "batched": base * spread},
        "algorithm_ab_test": {
            "unit": "minutes",
            "says": "ml_optimized minus nearest_neighbor, batched orders, at equal distance and preparation",
            "control": "nearest_neighbor",
            "treatment": "ml_optimized",
            "randomised": "by zone and day",
            "from": (world.start + timedelta(days=world.test_from)).isoformat(),
            "effect": -2.0 * effects.algorithm_minutes,
        },
        "route_ratio": {
            "unit": "driven over planned miles",
            **{
                f"{a.name} {a.version}": 1.0 + effects.route_excess * (0.75 + 0.25 * a.weakness)
                for a in world.algorithms if a.max_size > 1
            },
        },
        "cold_food_reports": {
            "unit": "share of delivered orders with a ticket or refund request",
            "individual": COLD_FOOD, "batched": COLD_FOOD + effects.cold_food_uplift,
        },
        "wrong_item_reports": {
            "unit": "share of delivered orders", "individual": WRONG_ITEM,
            "batched": WRONG_ITEM + effects.wrong_item_uplift,
        },
        "long_eta_cancellations": {
            "unit": "share of orders", "individual": BASE_CANCELLED[0],
            "batched": BASE_CANCELLED[0] + effects.long_eta_uplift,
        },
        "food_quality_score": {
            "unit": "mean score 1-5", "individual": FOOD_QUALITY,
            "batched": FOOD_QUALITY + effects.food_quality_drop,
        },
        "overall_score": {
            "unit": "mean score 1-5, customers told nothing", "others": OVERALL,
            "frequent_batched": OVERALL + effects.frequent_csat_drop,
        },
        "nps": {
            "unit": "promoters minus detractors, share", "others": PROMOTERS - DETRACTORS,
            "frequent_batched": PROMOTERS - DETRACTORS + 1.5 * effects.frequent_promoter_drop,
        },
        "transparency_test": {
            "unit": "overall score of batched orders, detailed minus control", "effect": effects.transparency_csat,
        },
        "churn": {
            "unit": "probability to leave right after the second and each later batched order",
            "effect": effects.churn_uplift,
        },
        "base_pay_per_engaged_hour": {
            "unit": "cents, tips apart, from assignment to the last drop-off", "individual": PAY_PER_HOUR,
            "batched": PAY_PER_HOUR * (1.0 + effects.earnings_uplift),
        },
        "slow_restaurant": {
            "unit": "minutes beyond its own estimate", "restaurant_id": RESTAURANT + slow,
            "effect": effects.slow_restaurant_minutes,
        },
        "outage": {
            "unit": "share of orders cancelled for system_outage",
            "day": (world.start + timedelta(days=world.outage_day)).isoformat(),
            "effect": effects.outage_cancellations,
        },
        "batch_cancellation_spread": {
            "unit": "probability, nearest_neighbor above and ml_optimized below genetic_algorithm",
            "effect": effects.batch_cancellation_spread,
        },
        "algorithm_run_seconds": {
            "unit": "seconds: constant, per order, per order squared",
            **{f"{a.name} {a.version}": list(a.run_seconds) for a in world.algorithms},
        },
    }  # fmt: skip
