-- Requests with what became of them, internal users left out.
-- key: request_id
-- time: requested_at
-- references: ride_id rides, rider_user_key riders, driver_user_key drivers, vehicle_key dim_vehicle
-- column: request_id = request
-- column: rider_user_key = who asks
-- column: driver_user_key = the driver it was given to
-- column: vehicle_key = the vehicle it was given to
-- column: ride_id = the completed ride it led to
-- column: ride_type = ride type asked for
-- column: is_carpool = asks for Carpool
-- column: requested_at = when; undated ones count at the newest request [UTC]
-- column: is_matched = was given to a driver
-- column: is_rider_cancelled = cancelled by the rider
-- column: is_driver_cancelled = cancelled by the driver
-- column: cause_number = 1 to 4, for the cause of a cancellation: poor_eta, long_wait, matching_problem, other
-- column: trip_purpose = commute, leisure or other
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: trip_miles = miles of the trip as asked for, else of its ride [miles]
-- column: rider_age_days = days since the rider's account was made [days]
-- column: driver_tenure_days = days since the driver's account was made [days]
WITH words AS (
    SELECT word, MIN(ride_type_name) AS ride_type
    FROM (
        SELECT text_of(ride_type_key) AS word, ride_type_name FROM dim_ride_type
        UNION ALL
        SELECT LOWER(ride_type_name), ride_type_name FROM dim_ride_type
    ) AS spelled
    GROUP BY word
),
linked AS (
    SELECT
        l.request_id,
        s.ride_id,
        s.segment_pickup_location_key,
        s.segment_dropoff_location_key
    FROM request_links AS l
    JOIN fact_ride_segments AS s ON s.ride_segment_id = l.ride_segment_id
    WHERE l.is_of_request
),
asked AS (
    SELECT
        q.*,
        LOWER(TRIM(q.cancelled_by)) AS canceller,
        ' ' || LOWER(REPLACE(REPLACE(q.cancel_reason, '_', ' '), '-', ' ')) || ' ' AS reason,
        COALESCE(LOWER(TRIM(q.match_status)) IN ('matched', 'accepted', 'completed'), FALSE) AS is_matched,
        seconds_between(q.request_timestamp, q.cancelled_timestamp) AS waited_seconds,
        COALESCE(q.pickup_location_key, l.segment_pickup_location_key) AS from_key,
        COALESCE(q.dropoff_location_key, l.segment_dropoff_location_key) AS to_key,
        COALESCE(q.ride_id, l.ride_id) AS led_to
    FROM fact_ride_requests AS q
    LEFT JOIN linked AS l ON l.request_id = q.request_id
)
SELECT
    q.request_id,
    q.rider_user_key,
    COALESCE(q.driver_user_key, r.driver_user_key) AS driver_user_key,
    COALESCE(q.vehicle_key, r.vehicle_key) AS vehicle_key,
    r.ride_id,
    COALESCE(t.ride_type, q.requested_ride_type) AS ride_type,
    COALESCE(LOWER(COALESCE(t.ride_type, q.requested_ride_type)) = 'carpool', FALSE) AS is_carpool,
    COALESCE(q.request_timestamp, q.cancelled_timestamp, (SELECT MAX(request_timestamp) FROM fact_ride_requests))
        AS requested_at,
    q.is_matched,
    COALESCE(q.canceller = 'rider', FALSE) AS is_rider_cancelled,
    COALESCE(q.canceller = 'driver', FALSE) AS is_driver_cancelled,
    CASE
        WHEN q.reason LIKE '% eta %' THEN 1
        WHEN q.reason LIKE '%wait%' OR q.reason LIKE '%too long%' THEN 2
        WHEN q.reason LIKE '%match%' THEN 3
        WHEN q.reason IS NOT NULL THEN 4
        WHEN q.waited_seconds > q.eta_seconds THEN 1
        WHEN q.waited_seconds >= 600 THEN 2
        WHEN NOT q.is_matched THEN 3
        ELSE 4
    END AS cause_number,
    q.trip_purpose,
    a.city,
    a.zone,
    a.zone || ' -> ' || b.zone AS route_corridor,
    COALESCE(q.direct_distance_estimate, r.total_distance) AS trip_miles,
    days_between(u.created_at, q.request_timestamp) AS rider_age_days,
    days_between(d.created_at, q.request_timestamp) AS driver_tenure_days
FROM asked AS q
LEFT JOIN words AS t ON t.word = LOWER(TRIM(q.requested_ride_type))
LEFT JOIN rides AS r ON r.ride_id = q.led_to
LEFT JOIN dim_location AS a ON a.location_key = q.from_key
LEFT JOIN dim_location AS b ON b.location_key = q.to_key
LEFT JOIN riders AS u ON u.rider_user_key = q.rider_user_key
LEFT JOIN drivers AS d ON d.driver_user_key = COALESCE(q.driver_user_key, r.driver_user_key)
WHERE NOT COALESCE(u.is_internal, FALSE)
