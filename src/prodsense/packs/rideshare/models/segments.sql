-- One row per journey of a rider in a completed ride, internal users left out, at the place of its pickup. A journey without
-- a pickup time is dated by its ride.
-- key: ride_segment_id    partition: day    late: 1 day    spread: 1 day
-- time: picked_up_at
-- references: ride_id rides, rider_user_key riders
-- column: ride_segment_id = journey
-- column: ride_id = ride
-- column: rider_user_key = rider
-- column: ride_type = Carpool, Regular or other
-- column: is_carpool = in a Carpool ride
-- column: is_standard = in a Regular ride
-- column: picked_up_at = pickup [UTC]
-- column: is_pickup_known = the journey has a pickup time of its own
-- column: dropped_off_at = dropoff [UTC]
-- column: day = day of picked_up_at [day]
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: fare = fare [currency]
-- column: miles = miles carried [miles]
-- column: minutes = from pickup to dropoff [minutes]
-- column: detour_minutes = minutes beyond those of the same journey alone [minutes]
-- column: detour_miles = miles beyond those of the same journey alone [miles]
-- column: direct_miles = miles of the same journey alone [miles]
-- column: rider_age_days = days since the rider's account was made [days]
SELECT
    s.ride_segment_id,
    s.ride_id,
    s.rider_user_key,
    r.ride_type,
    r.is_carpool,
    r.is_standard,
    COALESCE(s.segment_pickup_timestamp, r.started_at) AS picked_up_at,
    s.segment_pickup_timestamp IS NOT NULL AS is_pickup_known,
    s.segment_dropoff_timestamp AS dropped_off_at,
    date_of(COALESCE(s.segment_pickup_timestamp, r.started_at)) AS day,
    a.city,
    a.zone,
    a.zone || ' -> ' || b.zone AS route_corridor,
    s.segment_fare AS fare,
    s.segment_distance AS miles,
    minutes_between(s.segment_pickup_timestamp, s.segment_dropoff_timestamp) AS minutes,
    minutes_between(s.segment_pickup_timestamp, s.segment_dropoff_timestamp) - s.direct_duration_estimate / 60.0
        AS detour_minutes,
    s.segment_distance - s.direct_distance_estimate AS detour_miles,
    s.direct_distance_estimate AS direct_miles,
    days_between(u.created_at, COALESCE(s.segment_pickup_timestamp, r.started_at)) AS rider_age_days
FROM fact_ride_segments AS s
JOIN rides AS r ON r.ride_id = s.ride_id
LEFT JOIN dim_location AS a ON a.location_key = s.segment_pickup_location_key
LEFT JOIN dim_location AS b ON b.location_key = s.segment_dropoff_location_key
LEFT JOIN riders AS u ON u.rider_user_key = s.rider_user_key
WHERE NOT COALESCE(u.is_internal, FALSE)
