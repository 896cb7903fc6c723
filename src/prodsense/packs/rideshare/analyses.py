"""Named analyses of the rideshare pack."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Param
from prodsense.packs.computed import algorithm, as_of
from prodsense.packs.declared import funnel_analysis, retention_analysis
from prodsense.packs.predicted import forecast_analysis

ANALYSES = (
    algorithm(
        __package__,
        "carpool_launch_effect",
        "By how much the launch of Carpool raised the bookings of a zone: zones before and after their launch against"
        " those without it yet. Quasi-experimental.",
        "launch",
        as_of("the newest booking"),
        Param("confidence", "number", 0.95, "Level of the interval."),
        Param("aggregate", "text", "dynamic", "dynamic (by weeks since launch),"
              " group, calendar, simple or group_time."),
        kind="analysis",
    ),
    funnel_analysis(
        "request_funnel",
        "How far requests get from asked to matched, picked up and dropped off, where the others stop, and how long it"
        " takes.",
        "rideshare.booking_steps", user="request_id", time="happened_at", event="step",
        steps=("requested", "matched", "picked_up", "dropped_off"), within="6h",
    ),
    retention_analysis(
        "carpool_rider_retention",
        "Which share of Carpool riders rides Carpool again, by days since their first Carpool journey and week of it.",
        "rideshare", where="is_carpool", grain="week", days=28,
    ),
    forecast_analysis("ride_volume_ahead", "Rides of the next two weeks.", "rideshare.total_ride_volume", horizon="14"),
)
