"""Pipelines of the rideshare pack."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Pipeline

PIPELINES = (
    Pipeline(
        "rideshare_daily",
        "All that metrics read: rides with their riders added up, journeys, which request led to which, and drivers'"
        " time.",
        models=("drivers", "rides", "segments", "request_links", "bookings", "driver_cycles", "driver_time"),
        fresh_hours=24,
        late_days=1,
    ),
)
