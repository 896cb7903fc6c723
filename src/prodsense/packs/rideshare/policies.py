"""Rules of the carpool model, each with the query that proves it."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Policy

POLICIES = (
    Policy("completed_rides_have_segments", "A completed Carpool ride has one segment or more."),
    Policy("ride_keys_match_start", "date_key and time_key of a ride are those of its start, never of its end."),
    Policy(
        "ride_fares_match_segments",
        "Fares are kept twice, in the ride and in its segments: they agree wherever all segments have one.",
    ),
    Policy(
        "segments_inside_ride", "A journey ends after it begins and lies inside its ride, give or take a minute.",
        level="warning",
    ),
    Policy(
        "guardrail_carpool_satisfaction",
        "Pooling may not cost satisfaction: Carpool riders score at most half a point below those of Regular rides.",
        level="warning",
    ),
)
