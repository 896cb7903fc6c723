"""Where riders of the rideshare pack act, and the events that an app logs on the way to a ride."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Event, EventSource, Field

#: A journey in a completed ride is what a rider does; internal users are left out.
EVENTS_TABLE = EventSource("segments", user="rider_user_key", time="picked_up_at", event="ride_type")

_EVERY = (
    Field("request_id", "BIGINT", True, "The request it belongs to."),
    Field("rider_user_key", "BIGINT", True, "Who asked."),
)
_DRIVEN = (
    Field("ride_id", "BIGINT", True, "The ride."),
    Field("driver_user_key", "BIGINT", True, "Who drives."),
)

EVENTS = (
    Event("ride_requested", "A rider asks for a ride.", (
        *_EVERY,
        Field("requested_ride_type", "VARCHAR", True, "Carpool, Regular or other."),
        Field("request_timestamp", "TIMESTAMP", True, "When.", "UTC"),
        Field("eta_seconds", "DOUBLE", False, "Wait until pickup as promised.", "seconds"),
        Field("trip_purpose", "VARCHAR", False, "commute, leisure or other."),
    )),
    Event("ride_matched", "The request was given to a driver.", (*_EVERY, *_DRIVEN)),
    Event("ride_cancelled", "The request was cancelled.", (
        *_EVERY,
        Field("cancelled_by", "VARCHAR", True, "rider, driver or other."),
        Field("cancelled_timestamp", "TIMESTAMP", True, "When.", "UTC"),
        Field("cancel_reason", "VARCHAR", False, "Why."),
    )),
    Event("rider_picked_up", "The rider gets in.", (
        *_EVERY, *_DRIVEN,
        Field("segment_pickup_timestamp", "TIMESTAMP", True, "When.", "UTC"),
        Field("pickup_sequence_in_ride", "INT", False, "Place among the pickups of the ride."),
    )),
    Event("rider_dropped_off", "The rider gets out.", (
        *_EVERY, *_DRIVEN,
        Field("segment_dropoff_timestamp", "TIMESTAMP", True, "When.", "UTC"),
        Field("dropoff_sequence_in_ride", "INT", False, "Place among the dropoffs of the ride."),
    )),
)
