"""What teams ask of the rideshare pack, in our own words."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Question

_SLICES = (
    "ride_type", "hour_of_day", "day_of_week", "weekday_vs_weekend", "city", "zone", "route_corridor",
    "rider_new_vs_existing", "rider_demographics", "rider_price_sensitivity", "trip_purpose", "driver_tenure",
    "vehicle_type", "driver_rating", "driver_carpool_opt_in_frequency", "trip_distance", "ride_time_of_day",
    "matched_passengers_in_batch", "cancellation_reason", "complaint_category",
)

QUESTIONS = (
    Question(
        "Q1.1.1",
        "Why offer Carpool beside ordinary rides: what do riders, drivers, the platform and the city gain?",
        (
            "carpool_fare_discount", "price_sensitive_rider_share", "pickup_wait_time", "fares_per_driver_trip",
            "driver_idle_time_between_fares", "driver_utilisation_rate", "total_ride_volume",
            "passengers_per_vehicle_mile", "vehicle_miles_avoided", "emissions_avoided", "rider_pairs",
            "carpool_launch_effect", "carpool_for_the_city",
        ),
        headline=(
            "carpool_fare_discount", "fares_per_driver_trip", "driver_utilisation_rate", "passengers_per_vehicle_mile",
            "vehicle_miles_avoided",
        ),
        notes={
            "road_infrastructure_use": "Pooling carries more people over the same roads. What can be shown of it are"
            " passengers_per_vehicle_mile and vehicle_miles_avoided; how full the roads are is not in these tables.",
            "competitive_differentiation": "A good carpool may draw riders from rivals who have none, and keep them."
            " Nothing here knows of rivals, so it stays a claim until someone brings their prices or a survey.",
            "mission_connecting_people": "Riders who would never have met share a car. The query rider_pairs counts"
            " distinct pairs who were on board together; whether they spoke, it cannot tell.",
            "mission_building_community": "Cheaper rides let people go to what brings them together. That is"
            " indirect and for interviews rather than for a number.",
            "mission_efficiency_sustainability": "Fewer vehicle miles for the same journeys:"
            " passengers_per_vehicle_mile, vehicle_miles_avoided and emissions_avoided tell how far that goes.",
            "mission_accessibility": "A lower price opens rides to more people. carpool_fare_discount says how much"
            " lower, price_sensitive_rider_share whether those for whom it matters come.",
        },
    ),
    Question(
        "Q1.1.2",
        "Carpool is live. Which numbers say whether it is healthy, for whom, where and when?",
        (
            "carpool_ride_penetration", "carpool_request_success_rate", "daily_active_carpool_riders",
            "weekly_active_carpool_riders", "monthly_active_carpool_riders", "daily_active_carpool_drivers",
            "weekly_active_carpool_drivers", "monthly_active_carpool_drivers", "new_user_carpool_first_ride_share",
            "average_fill_rate", "average_fill_rate_occupied", "average_detour_time_per_rider",
            "average_detour_distance_per_rider", "driver_earnings_per_hour", "driver_earnings_per_mile",
            "driver_earnings_per_hour_difference", "driver_earnings_per_mile_difference",
            "driver_earnings_change_after_opt_in", "carpool_revenue", "revenue_per_carpool_ride",
            "revenue_per_standard_ride",
            "platform_take_rate", "profit_per_ride", "cost_per_passenger_mile", "cost_per_passenger_mile_reduction",
            "carpool_rider_csat", "carpool_rider_nps", "rider_satisfaction_price", "rider_satisfaction_travel_time",
            "rider_satisfaction_co_passenger", "carpool_driver_dsat", "carpool_driver_nps",
            "driver_satisfaction_earnings", "driver_satisfaction_multi_stop_ease",
            "driver_satisfaction_instruction_clarity",
            "carpool_rider_cancellation_rate", "carpool_driver_cancellation_rate", "carpool_complaint_rate",
            "complaints_detour_too_long", "complaints_co_passenger_discomfort", "complaints_safety_concern", *_SLICES,
            "request_funnel", "carpool_rider_retention", "ride_volume_ahead", "carpool_price_test", "detour_rise",
            "carpool_cancellation_rise", "guardrail_carpool_satisfaction", "carpool_health",
        ),
        headline=(
            "carpool_ride_penetration", "carpool_request_success_rate", "average_fill_rate",
            "average_detour_time_per_rider", "driver_earnings_per_hour_difference", "cost_per_passenger_mile_reduction",
            "carpool_rider_csat",
        ),
        notes={
            "metric_purpose": "The set has one use: to see how the feature does, and which of matching, riders' and"
            " drivers' experience, or prices to work on next. A number that leads to none of these can go.",
        },
    ),
    Question(
        "Q1.2.1",
        "How do one ride's riders, each with own pickup and dropoff, go into a star schema, and what does that cost?",
        (
            "fact_rides", "fact_ride_segments", "fact_ride_requests", "fact_driver_sessions", "fact_driver_earnings",
            "dim_users", "dim_location", "dim_ride_type", "dim_vehicle", "dim_date", "dim_time",
            "riders_sharing_a_ride", "passenger_behaviour_summary", "driver_ride_summary", "pickup_dropoff_pattern",
            "segment_sequence_consistency", "completed_rides_have_segments", "ride_keys_match_start",
            "ride_fares_match_segments", "segments_inside_ride", "rides", "segments",
        ),
        headline=("total_ride_volume", "fares_per_driver_trip"),
        notes={
            "no_passenger_limit": "A ride takes as many riders as it has segments: a fifth needs no new column.",
            "tradeoff_query_complexity": "Some questions join both facts, which is more to write and slower on very"
            " many rows. The model rides adds segments up once a ride, so that metrics need not.",
            "tradeoff_storage_vs_query": "Kept apart, facts store each thing once and are joined; riders put as an"
            " array into fact_rides store more and make a few queries short. Here they are apart.",
            "alternative_json_or_array": "Riders as JSON or arrays inside a ride are hard to index,"
            " to check and to correct, and leave standard SQL behind; every question about riders"
            " would begin by unpacking. Not chosen.",
            "tradeoff_sequence_vs_timestamp": "Sequence numbers repeat what times say. They read well and can"
            " contradict; segment_sequence_consistency finds where, and metrics use the times.",
            "alternative_rider_segment_bridge": "A bridge between segments and riders would let several people share"
            " one segment, at the price of one more join everywhere. rider_user_key stays in the segment;"
            " party_size tells how many travel on it.",
            "star_schema_choice": "Facts and dimensions in a star suit a warehouse for reports, the more so as it"
            " grows: dimensions are joined many to one, so slices never repeat a ride.",
        },
    ),
)
