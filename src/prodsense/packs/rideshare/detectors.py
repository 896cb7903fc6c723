"""What to look into: sequences that contradict times, and trouble with Carpool by city."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Detector
from prodsense.inference.detectors import drop_rule

DETECTORS = (
    Detector(
        "segment_sequence_consistency",
        "Within a ride the order of pickups by sequence is that by time, and so for dropoffs; equal times are no"
        " violation.",
        severity="warning", metric="sequence",
        action="Have the driver's app looked at; times are what metrics use.",
    ),
    drop_rule(
        "detour_rise", "Detours of Carpool riders in a city are two fifths longer than in the weeks before.",
        metric="average_detour_time_per_rider", by="city", drop=0.4, threshold=3.0,
        volume="carpool_journeys", min_volume=200,
        action="Look at how the city's rides are matched: radius, corridors, riders a ride.",
    ),
    drop_rule(
        "carpool_cancellation_rise", "Riders of a city cancel two fifths more of their Carpool bookings than in the"
        " weeks before.",
        metric="carpool_rider_cancellation_rate", by="city", drop=0.4, threshold=6.0,
        volume="carpool_bookings", min_volume=200,
        action="See the cause (by cancellation_reason): promised waits, waits, or nobody to match with.",
    ),
)
