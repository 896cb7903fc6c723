"""Pipelines of the delivery pack."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Pipeline
from prodsense.packs.computed import PackFunction

PIPELINES = (
    Pipeline(
        "delivery_setup_script",
        "The demonstration: loads the sample's algorithms, drivers, restaurants, orders, deliveries, batch and places"
        " in it, into the reduced tables and the full ones, and builds. Running it again changes nothing.",
        fresh_hours=0,
        run=PackFunction(__package__, "setup", "delivery_setup_script"),
    ),
    Pipeline(
        "route_feedback_loop",
        "Planned beside driven routes of each completed batch, kept up to date for the evaluation of route optimisation"
        " by algorithm: miles, minutes, lateness at stops.",
        models=("batches", "route_stops", "route_feedback"),
        fresh_hours=24,
        late_days=1,
    ),
    Pipeline(
        "delivery_daily",
        "All that metrics read: deliveries, orders, batches, drivers' time, windows of customers and drivers.",
        models=(
            "delivery_facts", "order_facts", "batches", "route_stops", "driver_time", "driver_gaps", "customer_windows",
            "driver_windows",
        ),
        fresh_hours=24,
        late_days=1,
    ),
)
