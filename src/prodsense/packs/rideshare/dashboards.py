"""Charts and pages of the rideshare pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Chart, Dashboard, Section

_weekly = partial(Chart, grain="week", question="Q1.1.2")
_whole = partial(Chart, grain="all", form="bar", question="Q1.1.2")

CHARTS = (
    _weekly("carpool_share_by_city", "Share of rides that are Carpool, by city.", metrics=("carpool_ride_penetration",),
            by=("city",)),
    _weekly("rides_by_type", "Completed rides by type.", metrics=("total_ride_volume",), by=("ride_type",)),
    _weekly("riders_and_drivers", "Active Carpool riders and drivers of a week.",
            metrics=("weekly_active_carpool_riders", "weekly_active_carpool_drivers")),
    _whole("carpool_share_by_rider", "Share of rides that are Carpool, by price sensitivity of riders.",
           metrics=("carpool_ride_penetration",), by=("rider_price_sensitivity",)),
    _weekly("riders_on_board", "Mean riders on board, while pooled and while anybody rides.",
            metrics=("average_fill_rate", "average_fill_rate_occupied")),
    _weekly("detour_by_city", "Mean minutes that Carpool riders travel beyond the journey alone, by city.",
            metrics=("average_detour_time_per_rider",), by=("city",)),
    _whole("detour_by_riders", "Mean detour by riders in the car.", metrics=("average_detour_time_per_rider",),
           by=("matched_passengers_in_batch",)),
    _whole("earnings_by_hour", "Earnings of drivers an hour of driving, by hour of the day and ride type.",
           metrics=("driver_earnings_per_hour",), by=("hour_of_day", "ride_type"), form="line"),
    _weekly("profit_by_type", "Platform profit of a ride, by type.", metrics=("profit_per_ride",), by=("ride_type",)),
    _weekly("cost_by_type", "Platform cost of a passenger mile, by type.", metrics=("cost_per_passenger_mile",),
            by=("ride_type",)),
    _whole("satisfaction_by_type", "Satisfaction of riders by ride type.", metrics=("carpool_rider_csat",),
           by=("ride_type",)),
    _weekly("cancellations_by_city", "Share of Carpool bookings that riders cancel, by city.",
            metrics=("carpool_rider_cancellation_rate",), by=("city",)),
    _whole("cancellations_by_cause", "Share of Carpool bookings that riders cancel, by cause.",
           metrics=("carpool_rider_cancellation_rate",), by=("cancellation_reason",)),
    _whole("complaints_by_category", "Complaints over Carpool rides, by category.", metrics=("carpool_complaint_rate",),
           by=("complaint_category",)),
    _whole("waits_by_hour", "Mean wait for a pickup by hour and ride type.", metrics=("pickup_wait_time",),
           by=("hour_of_day", "ride_type"), form="line"),
    _weekly("miles_avoided", "Vehicle miles that Carpool avoided.", metrics=("vehicle_miles_avoided",), form="bar"),
    _whole("miles_avoided_by_city", "Vehicle miles that Carpool avoided, by city.", metrics=("vehicle_miles_avoided",),
           by=("city",)),
    _whole("utilisation_by_hour", "Share of online time with a rider on board, by hour.",
           metrics=("driver_utilisation_rate",), by=("hour_of_day",), form="line"),
    _whole("idle_by_opt_in", "Mean wait for the next fare, by how often drivers take Carpool.",
           metrics=("driver_idle_time_between_fares",), by=("driver_carpool_opt_in_frequency",)),
)

DASHBOARDS = (
    Dashboard(
        "carpool_health",
        "Is Carpool healthy? Adoption, efficiency, money and voices, each beside standard rides.",
        (
            Section(
                "Adoption",
                ("carpool_ride_penetration", "carpool_request_success_rate", "weekly_active_carpool_riders",
                 "weekly_active_carpool_drivers", "new_user_carpool_first_ride_share"),
                ("carpool_share_by_city", "rides_by_type", "riders_and_drivers", "carpool_share_by_rider"),
            ),
            Section(
                "Efficiency",
                ("average_fill_rate", "average_detour_time_per_rider", "average_detour_distance_per_rider",
                 "pickup_wait_time"),
                ("riders_on_board", "detour_by_city", "detour_by_riders", "waits_by_hour"),
                ("segments_inside_ride",),
            ),
            Section(
                "Money",
                ("driver_earnings_per_hour", "driver_earnings_per_hour_difference", "revenue_per_carpool_ride",
                 "profit_per_ride", "cost_per_passenger_mile_reduction"),
                ("earnings_by_hour", "profit_by_type", "cost_by_type"),
                ("ride_fares_match_segments",),
            ),
            Section(
                "Voices and trouble",
                ("carpool_rider_csat", "carpool_rider_nps", "carpool_driver_dsat", "carpool_rider_cancellation_rate",
                 "carpool_complaint_rate"),
                ("satisfaction_by_type", "cancellations_by_city", "cancellations_by_cause", "complaints_by_category"),
                ("guardrail_carpool_satisfaction",),
            ),
        ),
        role="product",
        by=("city", "zone"),
    ),
    Dashboard(
        "carpool_for_the_city",
        "What pooling does for the city and its drivers: miles and emissions avoided, cars that are used, time that is"
        " not waited.",
        (
            Section(
                "City",
                ("vehicle_miles_avoided", "emissions_avoided", "passengers_per_vehicle_mile", "carpool_fare_discount"),
                ("miles_avoided", "miles_avoided_by_city"),
            ),
            Section(
                "Drivers",
                ("driver_utilisation_rate", "driver_idle_time_between_fares", "fares_per_driver_trip"),
                ("utilisation_by_hour", "idle_by_opt_in"),
            ),
        ),
        role="partner",
        by=("city",),
    ),
)
