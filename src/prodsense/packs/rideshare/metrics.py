"""What the rideshare pack measures, and what it can be sliced by.

Unless a definition says otherwise: only completed rides count (they have an end); internal and test users are left
out; what is about a ride is dated and placed by its start, what is about a rider's journey by its pickup; money is in
major units; shares are 0 to 1. Metrics of Carpool that are read beside standard rides are those of Carpool until they
are sliced by ride_type.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric, MetricTree
from prodsense.packs.shapes import net_promoter_score, rate_by_kind, ratio_where_known

_TIME = ("hour_of_day", "day_of_week", "weekday_vs_weekend")
_PLACE = ("city", "zone", "route_corridor")
_WHERE = (*_TIME, *_PLACE)
_RIDER = ("rider_demographics", "rider_price_sensitivity")
_RIDERS = ("rider_new_vs_existing", *_RIDER, "trip_purpose")
_DRIVERS = ("driver_tenure", "vehicle_type", "driver_rating", "driver_carpool_opt_in_frequency")
_RIDES = ("trip_distance", "ride_time_of_day", "matched_passengers_in_batch")

#: What a metric of Carpool is about, until it is sliced by ride type.
_CARPOOL = ("ride_type", "is_carpool")

_ride = partial(Metric, source="rides", by=("ride_type", *_WHERE))
_carpool_ride = partial(Metric, source="rides", where="is_carpool", by=(*_WHERE, *_RIDES))
_detour = partial(Metric, better="down", source="journeys", where="is_carpool", by=(*_WHERE, *_RIDES))
_active_riders = partial(
    Metric, unit="count", better="up", sql="COUNT(DISTINCT rider_user_key)", source="journeys", where="is_carpool",
    by=(*_PLACE, *_RIDERS),
)
_active_drivers = partial(
    Metric, unit="count", better="up", sql="COUNT(DISTINCT driver_user_key)", source="rides", where="is_carpool",
    by=(*_PLACE, *_DRIVERS),
)
_earned = partial(
    Metric, unit="currency", better="up", source="ride_earnings", by=("ride_type", *_WHERE, *_DRIVERS),
)
_rider_answer = partial(
    Metric, unit="score", better="up", sql="mean(score)", source="answers", focus=_CARPOOL, by=(*_WHERE, *_RIDERS)
)
_driver_answer = partial(
    Metric, unit="score", better="up", sql="mean(score)", source="answers", focus=_CARPOOL, by=(*_PLACE, *_DRIVERS)
)
_cancelled = partial(Metric, unit="share", better="down", source="cancellations", focus=_CARPOOL)
_complaint = partial(Metric, better="down", source="complaints", by=_WHERE)

_COST_PER_MILE = (
    "ratio(SUM(CASE WHEN {0} THEN platform_cost END), SUM(CASE WHEN {0} AND platform_cost IS NOT NULL THEN"
    " passenger_miles END))"
)

# What has a place of its own; what points to a ride, and has none, takes that of the ride's start.
_PLACED = (
    "rides", "segments", "journeys", "comparable_fares", "first_rides", "answers", "bookings", "driver_cycles",
    "driver_time",
)
_TENURE = (
    "CASE WHEN driver_tenure_days < 0 THEN NULL WHEN driver_tenure_days < 90 THEN '0-89 days' WHEN driver_tenure_days"
    " < 365 THEN '90-364 days' WHEN driver_tenure_days < 1095 THEN '1-2 years' WHEN driver_tenure_days >= 1095 THEN"
    " '3+ years' END"
)
_NEW = (
    "CASE WHEN rider_age_days < 0 THEN NULL WHEN rider_age_days <= 30 THEN 'new' WHEN rider_age_days > 30 THEN"
    " 'existing' END"
)
_MILES = (
    "CASE WHEN {0} < 2 THEN '0-2 miles' WHEN {0} < 5 THEN '2-5 miles' WHEN {0} < 10 THEN '5-10 miles' WHEN {0} >= 10"
    " THEN '10+ miles' END"
)
_WEEKDAY = (
    "CASE iso_weekday(time) WHEN 1 THEN 'Monday' WHEN 2 THEN 'Tuesday' WHEN 3 THEN 'Wednesday' WHEN 4 THEN 'Thursday'"
    " WHEN 5 THEN 'Friday' WHEN 6 THEN 'Saturday' WHEN 7 THEN 'Sunday' END"
)
_DAYTIME = (
    "CASE WHEN hour_of(time) < 6 THEN 'night' WHEN hour_of(time) < 12 THEN 'morning' WHEN hour_of(time) < 18 THEN"
    " 'afternoon' ELSE 'evening' END"
)

DIMENSIONS = (
    Dimension(
        "ride_type", "Carpool, Regular or other: of the ride; of a booking, the type asked for.",
        dict.fromkeys(
            ("rides", "segments", "journeys", "comparable_fares", "answers", "ride_earnings", "bookings",
             "cancellations"), "ride_type"),
        "Ride type",
    ),
    Dimension("hour_of_day", "Hour, 0 to 23, in the time zone of the report.", {"*": "hour_of(time)"}, "Hour"),
    Dimension("day_of_week", "Weekday name, in the time zone of the report.", {"*": _WEEKDAY}, "Weekday"),
    Dimension(
        "weekday_vs_weekend", "weekday or weekend (Saturday and Sunday).",
        {"*": "CASE WHEN iso_weekday(time) >= 6 THEN 'weekend' WHEN iso_weekday(time) < 6 THEN 'weekday' END"},
        "Part of week",
    ),
    Dimension(
        "ride_time_of_day", "night (0 to 5 o'clock), morning (6 to 11), afternoon (12 to 17), evening (18 to 23).",
        {"*": _DAYTIME}, "Part of day",
    ),
    Dimension(
        "city", "City of the pickup: of a ride, of its start; of a rider, of the own pickup.",
        dict.fromkeys(_PLACED, "city"), "City",
    ),
    Dimension("zone", "Zone of the pickup, as city.", dict.fromkeys(_PLACED, "zone"), "Zone"),
    Dimension(
        "route_corridor",
        "Start zone and end zone, such as 'Airport -> Centre': of the ride; of a rider, of the own journey.",
        dict.fromkeys(_PLACED, "route_corridor"), "Corridor",
    ),
    Dimension(
        "rider_new_vs_existing", "new (account made at most 30 days before) or existing, at the time of the ride.",
        dict.fromkeys(("segments", "journeys", "ride_riders", "first_rides", "answers", "bookings"), _NEW), "Rider",
    ),
    Dimension(
        "rider_demographics", "Age band and gender of the rider in one, such as '25-34, female'.",
        {"riders": "demographics"}, "Demographics",
    ),
    Dimension(
        "rider_price_sensitivity", "Price sensitivity segment of the rider.", {"riders": "price_sensitivity"},
        "Price sensitivity",
    ),
    Dimension(
        "trip_purpose", "commute, leisure or other, as the request of the trip tells.",
        dict.fromkeys(("journeys", "ride_riders", "answers", "bookings"), "trip_purpose"), "Purpose",
    ),
    Dimension(
        "driver_tenure", "Time since the driver's account was made, at the time of the ride, in bands.",
        dict.fromkeys(("rides", "bookings", "driver_cycles", "driver_time", "opt_in_earnings"), _TENURE), "Tenure",
    ),
    Dimension("vehicle_type", "Vehicle type.", {"dim_vehicle": "vehicle_type"}, "Vehicle"),
    Dimension(
        "driver_rating", "Driver rating, in bands.",
        {"drivers": "CASE WHEN driver_rating < 4 THEN 'below 4.0' WHEN driver_rating < 4.5 THEN '4.0-4.4'"
                    " WHEN driver_rating < 4.8 THEN '4.5-4.7' WHEN driver_rating >= 4.8 THEN '4.8-5.0' END"},
        "Rating",
    ),
    Dimension(
        "driver_carpool_opt_in_frequency",
        "How often the driver opts in to Carpool, by share of online sessions: never, sometimes (less than half),"
        " often, always.",
        {"drivers": "CASE WHEN opt_in_share = 0 THEN 'never' WHEN opt_in_share < 0.5 THEN 'sometimes'"
                    " WHEN opt_in_share < 1 THEN 'often' WHEN opt_in_share = 1 THEN 'always' END"},
        "Opts in",
    ),
    Dimension(
        "trip_distance", "Miles of the ride, in bands; of a booking, of the trip asked for.",
        {"rides": _MILES.format("total_distance"), "bookings": _MILES.format("trip_miles")}, "Distance",
    ),
    Dimension("matched_passengers_in_batch", "Riders matched into the same ride.", {"rides": "riders"}, "Riders"),
    Dimension(
        "cancellation_reason",
        "Cause of a cancellation: poor_eta, long_wait, matching_problem or other. From the stored reason;"
        " else poor_eta when the wait was longer than promised, long_wait from ten minutes on,"
        " matching_problem when nobody was found.",
        {"cancellations": "cancellation_reason"}, "Reason",
    ),
    Dimension(
        "complaint_category", "Category of a complaint, as stored.", {"complaints": "complaint_category"}, "Complaint",
    ),
    Dimension(
        "carpool_drivers", "Whether the driver has opted in to Carpool: 'opted in' or 'not opted in'.",
        {"opt_in_earnings": "carpool_drivers"}, "Drivers",
    ),
)

METRICS = (
    # Why carpool: riders
    Metric(
        "carpool_fare_discount",
        "1 - the Carpool fare a mile over the Regular one on comparable trips (same city, corridor, distance band and"
        " hour of the day), weighed by what is ridden. Journeys without a comparable Regular one are left out.",
        "share", "up", f"1 - {ratio_where_known('fare', 'expected_fare')}",
        source="comparable_fares", focus=_CARPOOL, by=("ride_type", *_PLACE, "trip_distance"),
    ),
    Metric(
        "price_sensitive_rider_share",
        "Share of Carpool riders who are price-sensitive, of those whose segment"
        " is known. By ride_type beside Regular.",
        "share", "up",
        "ratio(COUNT(DISTINCT CASE WHEN is_price_sensitive THEN rider_user_key END), COUNT(DISTINCT CASE WHEN"
        " is_price_sensitive IS NOT NULL THEN rider_user_key END))",
        source="journeys", focus=_CARPOOL, by=("ride_type", *_PLACE),
    ),
    Metric(
        "pickup_wait_time",
        "Mean seconds from request to pickup for Carpool. By ride_type beside Regular; a gain is only expected where a"
        " pooled car is near, so read it by zone and hour.",
        "seconds", "down", "mean(wait_seconds)", source="journeys", focus=_CARPOOL, by=("ride_type", *_WHERE),
    ),
    # Why carpool: drivers
    Metric(
        "fares_per_driver_trip",
        "Mean paid rider journeys of a Carpool ride; rides without any journey are left out. By ride_type beside"
        " Regular.",
        "count", "up", "mean(CASE WHEN segments > 0 THEN paid_segments END)", source="rides", focus=_CARPOOL,
        by=("ride_type", *_DRIVERS),
    ),
    Metric(
        "driver_idle_time_between_fares",
        "Mean minutes that a driver waits online, nobody on board, from the last dropoff of a ride to the first pickup"
        " of the next in the same session; at the time and place of that pickup.",
        "minutes", "down", "mean(idle_minutes)", source="driver_cycles", time="picked_up_at", by=(*_DRIVERS, *_WHERE),
    ),
    Metric(
        "driver_utilisation_rate",
        "Time of drivers with a rider on board over their time online. Time online counts"
        " where the ride starts that it leads to.",
        "share", "up", "ratio(SUM(occupied_seconds), SUM(online_seconds))", source="driver_time",
        by=(*_DRIVERS, *_WHERE),
    ),
    # Why carpool: platform and city
    _ride("total_ride_volume", "Completed rides of all types.", "count", "up", "COUNT(*)"),
    _ride(
        "passengers_per_vehicle_mile",
        "Miles of riders over miles of vehicles, of rides whose vehicle miles are known: how many ride a mile driven.",
        "ratio", "up",
        ratio_where_known("passenger_miles", "total_distance"),
        by=("ride_type", *_PLACE),
    ),
    _carpool_ride(
        "vehicle_miles_avoided",
        "Miles that the riders of Carpool rides would have been driven alone less those that the vehicles drove,"
        " summed over rides where both are known.",
        "miles", "up", "SUM(direct_miles - total_distance)", by=_WHERE,
    ),
    _carpool_ride(
        "emissions_avoided",
        "Vehicle miles avoided by Carpool times the emission factor of the vehicle, in that factor's unit; vehicles"
        " without a factor are left out.",
        "score", "up", "SUM((direct_miles - total_distance) * emission_factor)", by=("city", "vehicle_type"),
    ),
    # Adoption
    Metric(
        "carpool_ride_penetration",
        "Carpool rides over all rides. By a slice of riders, a ride counts once in the group of each of its riders.",
        "share", "up",
        "ratio(COUNT(DISTINCT CASE WHEN is_carpool THEN ride_id END), COUNT(DISTINCT ride_id))", source="ride_riders",
        by=(*_WHERE, *_RIDERS, *_DRIVERS, "trip_distance"),
    ),
    Metric(
        "carpool_request_success_rate", "Carpool requests that were matched over Carpool requests made.",
        "share", "up", "share(is_matched)", source="bookings", where="is_carpool",
        by=(*_WHERE, *_RIDERS, "trip_distance"),
    ),
    _active_riders(
        "daily_active_carpool_riders",
        "Distinct riders with a Carpool journey in the day; coarser grains give the mean of their days.",
        per="day", grain="day",
    ),
    _active_riders(
        "weekly_active_carpool_riders",
        "Distinct riders with a Carpool journey in the week (by day: in the seven days that end with it); coarser"
        " grains give the mean of their weeks.",
        per="week", rolling=7, grain="week",
    ),
    _active_riders(
        "monthly_active_carpool_riders",
        "Distinct riders with a Carpool journey in the month (by day or week: in the 28 days that end with it);"
        " coarser grains give the mean of their months.",
        per="month", rolling=28, grain="month",
    ),
    _active_drivers(
        "daily_active_carpool_drivers",
        "Distinct drivers with a Carpool ride in the day; coarser grains give the mean of their days.",
        per="day", grain="day",
    ),
    _active_drivers(
        "weekly_active_carpool_drivers",
        "Distinct drivers with a Carpool ride in the week (by day: in the seven days that end with it); coarser grains"
        " give the mean of their weeks.",
        per="week", rolling=7, grain="week",
    ),
    _active_drivers(
        "monthly_active_carpool_drivers",
        "Distinct drivers with a Carpool ride in the month (by day or week: in the 28 days that end with it); coarser"
        " grains give the mean of their months.",
        per="month", rolling=28, grain="month",
    ),
    Metric(
        "new_user_carpool_first_ride_share",
        "Of new riders (account made at most 30 days before) who took their first ride in the period, the share whose"
        " first ride was Carpool.",
        "share", "up", "share(is_carpool)", source="first_rides", by=(*_WHERE, "rider_demographics"),
    ),
    Metric(
        "carpool_share_of_journeys", "Journeys of riders in Carpool rides over all journeys of riders.",
        "share", "up", "share(is_carpool)", source="journeys", by=(*_WHERE, *_RIDERS),
    ),
    # Efficiency
    _carpool_ride(
        "average_fill_rate",
        "Mean riders on board of Carpool vehicles over the pooled part of the trip (two or more on board), by time."
        " Over all time with a rider on board: average_fill_rate_occupied.",
        "count", "up", "ratio(SUM(pooled_rider_seconds), SUM(pooled_seconds))",
    ),
    _carpool_ride(
        "average_fill_rate_occupied",
        "Mean riders on board of Carpool vehicles over all time with at least one on board.",
        "count", "up", "ratio(SUM(rider_seconds), SUM(occupied_seconds))",
    ),
    _detour(
        "average_detour_time_per_rider",
        "Mean minutes that Carpool riders travel beyond the estimate for the same journey alone.",
        "minutes", sql="mean(detour_minutes)",
    ),
    _detour(
        "average_detour_distance_per_rider",
        "Mean miles that Carpool riders travel beyond the estimate for the same journey alone.",
        "miles", sql="mean(detour_miles)",
    ),
    _detour("carpool_journeys", "Journeys of riders in Carpool rides.", "count", sql="COUNT(*)", hidden=True),
    # Money
    _earned(
        "driver_earnings_per_hour",
        "Earnings of drivers from rides over their driving hours. By ride_type for Carpool and standard rides; the"
        " difference is driver_earnings_per_hour_difference.",
        sql="ratio(SUM(CASE WHEN total_duration IS NOT NULL THEN earnings END), ratio(SUM(total_duration), 3600))",
    ),
    _earned(
        "driver_earnings_per_mile",
        "Earnings of drivers from rides over miles driven. By ride_type for Carpool and standard rides; the difference"
        " is driver_earnings_per_mile_difference.",
        sql=ratio_where_known("earnings", "total_distance"),
    ),
    *(
        Metric(
            f"driver_earnings_per_{unit}_difference",
            f"Earnings of drivers a {unit} of Carpool rides less those a {unit} of Regular rides.",
            "currency", "up", f"carpool_earnings_per_{unit} - standard_earnings_per_{unit}", by=(*_WHERE, *_DRIVERS),
        )
        for unit in ("hour", "mile")
    ),
    *(
        Metric(
            f"{kind}_earnings_per_{unit}", f"Earnings of drivers a {unit} of {name} rides.", "currency", "up",
            f"ratio(SUM(CASE WHEN {column} IS NOT NULL THEN earnings END), ratio(SUM({column}), {scale}))",
            source="ride_earnings", where=where, hidden=True,
        )
        for kind, name, where in (
            ("carpool", "Carpool", "LOWER(ride_type) = 'carpool'"),
            ("standard", "Regular", "LOWER(ride_type) IN ('regular', 'standard')"),
        )
        for unit, column, scale in (("hour", "total_duration", 3600), ("mile", "total_distance", 1))
    ),
    Metric(
        "driver_earnings_change_after_opt_in",
        "Relative change of drivers' total earnings after they opted in to Carpool: from then on against as many days"
        " before, at most 28, dated by the opt-in. By carpool_drivers, those who did not opt in stand beside, around"
        " the middle of the others' opt-ins. Nobody was assigned: observational.",
        "share", "up", "ratio(SUM(after_amount), SUM(before_amount)) - 1", source="opt_in_earnings",
        focus=("carpool_drivers", "carpool_drivers = 'opted in'"),
        by=("carpool_drivers", *_DRIVERS, *_PLACE),
    ),
    _carpool_ride(
        "revenue_per_carpool_ride", "Mean platform revenue of a Carpool ride.",
        "currency", "up", "mean(platform_revenue)",
    ),
    _carpool_ride(
        "carpool_revenue", "Platform revenue of Carpool rides.", "currency", "up", "SUM(platform_revenue)",
    ),
    _carpool_ride(
        "carpool_rides", "Carpool rides whose revenue is known.", "count", "up", "COUNT(platform_revenue)", hidden=True,
    ),
    _ride(
        "revenue_per_standard_ride", "Mean platform revenue of a Regular ride.",
        "currency", "up", "mean(platform_revenue)",
        where="is_standard", by=(*_WHERE, "trip_distance"),
    ),
    _ride(
        "platform_take_rate", "Platform revenue over gross fares, of rides where both are known.", "share", "up",
        "ratio(SUM(CASE WHEN total_fare IS NOT NULL THEN platform_revenue END), SUM(CASE WHEN platform_revenue IS NOT"
        " NULL THEN total_fare END))",
    ),
    _ride(
        "profit_per_ride", "Mean platform revenue less variable cost, of rides where both are known.", "currency", "up",
        "mean(platform_revenue - platform_cost)",
    ),
    _ride(
        "cost_per_passenger_mile", "Platform cost over miles of riders, of rides whose cost is known.",
        "currency", "down", _COST_PER_MILE.format("TRUE"), by=("ride_type", *_PLACE, *_RIDES),
    ),
    _ride(
        "cost_per_passenger_mile_reduction",
        "1 - cost per passenger mile of Carpool over that of Regular rides: what pooling saves the platform.",
        "share", "up",
        f"1 - ratio({_COST_PER_MILE.format('is_carpool')}, {_COST_PER_MILE.format('is_standard')})",
        by=(*_PLACE, "trip_distance"),
    ),
    # Voices
    _rider_answer(
        "carpool_rider_csat", "Mean satisfaction score (CSAT, 1 to 5) of riders on"
        " Carpool rides. By ride_type beside Regular.",
        where="respondent = 'rider' AND kind = 'satisfaction' AND topic = 'overall'",
        by=("ride_type", *_WHERE, *_RIDERS),
    ),
    _rider_answer(
        "carpool_rider_nps",
        "Net promoter score of riders on Carpool, -100 to 100: percent of answers 9 or 10 less percent 0 to 6. By"
        " ride_type beside Regular.",
        sql=net_promoter_score(), where="respondent = 'rider' AND kind = 'nps'", by=("ride_type", *_PLACE, *_RIDERS),
    ),
    *(
        _rider_answer(
            f"rider_satisfaction_{topic}", f"Mean answer of Carpool riders to the survey question on {what}.",
            where=f"respondent = 'rider' AND kind <> 'nps' AND topic = '{topic}'",
        )
        for topic, what in (
            ("price", "the price paid"), ("travel_time", "travel time"), ("co_passenger", "fellow passengers"),
        )
    ),
    _driver_answer(
        "carpool_driver_dsat",
        "Mean satisfaction score of drivers on Carpool rides (DSAT: driver satisfaction, not dissatisfaction).",
        where="respondent = 'driver' AND kind = 'satisfaction' AND topic = 'overall'",
    ),
    _driver_answer(
        "carpool_driver_nps", "Net promoter score of drivers about Carpool, -100 to 100.", sql=net_promoter_score(),
        where="respondent = 'driver' AND kind = 'nps'",
    ),
    *(
        _driver_answer(
            f"driver_satisfaction_{topic}", f"Mean answer of drivers on Carpool rides to the survey question on"
            f" {what}.",
            where=f"respondent = 'driver' AND kind <> 'nps' AND topic = '{topic}'",
        )
        for topic, what in (
            ("earnings", "earnings"), ("multi_stop_ease", "how easy several pickups and dropoffs are"),
            ("instruction_clarity", "how clear the instructions are"),
        )
    ),
    # Trouble
    Metric(
        "carpool_bookings", "Carpool bookings made.", "count", "up", "COUNT(*)", source="bookings", where="is_carpool",
        hidden=True,
    ),
    _cancelled(
        "carpool_rider_cancellation_rate", "Carpool bookings cancelled by the rider over Carpool bookings. By"
        " ride_type beside Regular.",
        sql=rate_by_kind("by_rider", "cause_number"), by=("ride_type", *_WHERE, *_RIDERS, "cancellation_reason"),
    ),
    _cancelled(
        "carpool_driver_cancellation_rate", "Carpool bookings cancelled by the driver over Carpool bookings. By"
        " ride_type beside Regular.",
        sql=rate_by_kind("by_driver", "cause_number"), by=("ride_type", *_WHERE, *_DRIVERS, "cancellation_reason"),
    ),
    _complaint(
        "carpool_complaint_rate", "Complaints about Carpool rides over Carpool rides;"
        " by category, out of all Carpool rides.",
        "share", sql=rate_by_kind("complaints", "category_number"), by=("complaint_category", *_WHERE),
    ),
    *(
        metric
        for topic, what in (
            ("detour_too_long", "the detour being too long"),
            ("co_passenger_discomfort", "an unpleasant experience with a fellow passenger"),
            ("safety_concern", "safety"),
        )
        for about in (f"CASE WHEN topic = '{topic}' THEN complaints ELSE 0 * complaints END",)
        for metric in (
            _complaint(
                f"complaints_{topic}",
                f"Complaints about {what}, on Carpool rides; over rides: complaints_{topic}_rate.",
                "count", sql=f"SUM({about})",
            ),
            _complaint(
                f"complaints_{topic}_rate", f"Complaints about {what} over Carpool rides.",
                "share", sql=rate_by_kind(about, "category_number"),
            ),
        )
    ),
)

TREES = (
    MetricTree(
        "carpool_revenue_tree", "What the platform keeps of Carpool rides: how many there are and what each brings.",
        "carpool_revenue", "carpool_rides * revenue_per_carpool_ride",
    ),
)
