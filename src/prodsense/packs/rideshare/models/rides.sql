-- One row per completed ride (it has an end) that no internal user drove, with its segments added up first, so that ride
-- totals are never repeated by riders. Riders on board are swept once along the ride.
-- key: ride_id    partition: day    late: 1 day    spread: 1 day
-- time: started_at
-- references: driver_user_key drivers, vehicle_key dim_vehicle
-- column: ride_id = ride
-- column: driver_user_key = driver
-- column: vehicle_key = vehicle
-- column: ride_type = Carpool, Regular or other
-- column: is_carpool = a Carpool ride
-- column: is_standard = a Regular ride
-- column: started_at = start; where absent, the end less the driving time [UTC]
-- column: ended_at = end [UTC]
-- column: day = day of started_at [day]
-- column: city = city of the start
-- column: zone = zone of the start
-- column: route_corridor = zones of start and end
-- column: total_fare = gross fares [currency]
-- column: total_distance = miles of the vehicle [miles]
-- column: total_duration = driving time [seconds]
-- column: platform_revenue = what the platform keeps [currency]
-- column: platform_cost = variable cost of the platform [currency]
-- column: emission_factor = emission of the vehicle a mile [per mile]
-- column: driver_tenure_days = days since the driver's account was made [days]
-- column: segments = journeys of riders [journeys]
-- column: paid_segments = journeys with a fare above 0 [journeys]
-- column: riders = distinct riders [riders]
-- column: passenger_miles = miles of all riders; 0 without any journey [miles]
-- column: direct_miles = miles that all riders would have been driven alone; NULL where that of any is unknown [miles]
-- column: occupied_seconds = time with one rider or more on board [seconds]
-- column: rider_seconds = riders on board times time [seconds]
-- column: pooled_seconds = time with two riders or more on board [seconds]
-- column: pooled_rider_seconds = riders on board times time, while two or more [seconds]
-- column: first_pickup_at = first pickup [UTC]
-- column: last_dropoff_at = last dropoff [UTC]
WITH riding AS (
    SELECT s.*
    FROM fact_ride_segments AS s
    WHERE NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = s.rider_user_key AND u.is_internal)
),
journeys AS (
    SELECT
        ride_id,
        COUNT(*) AS segments,
        COUNT(*) FILTER (WHERE segment_fare > 0) AS paid_segments,
        COUNT(DISTINCT rider_user_key) AS riders,
        SUM(segment_distance) AS passenger_miles,
        CASE WHEN COUNT(direct_distance_estimate) = COUNT(*) THEN SUM(direct_distance_estimate) END AS direct_miles,
        MIN(segment_pickup_timestamp) AS first_pickup_at,
        MAX(segment_dropoff_timestamp) AS last_dropoff_at
    FROM riding
    GROUP BY ride_id
),
changes AS (
    SELECT ride_id, segment_pickup_timestamp AS moment, 1 AS step
    FROM riding
    WHERE segment_dropoff_timestamp > segment_pickup_timestamp
    UNION ALL
    SELECT ride_id, segment_dropoff_timestamp, -1
    FROM riding
    WHERE segment_dropoff_timestamp > segment_pickup_timestamp
),
-- Changes at one moment follow each other without time in between; sums over ORDER BY take in all of the moment.
spans AS (
    SELECT
        ride_id,
        SUM(step) OVER (PARTITION BY ride_id ORDER BY moment) AS on_board,
        seconds_between(moment, LEAD(moment) OVER (PARTITION BY ride_id ORDER BY moment)) AS seconds
    FROM changes
),
occupancy AS (
    SELECT
        ride_id,
        SUM(CASE WHEN on_board >= 1 THEN seconds END) AS occupied_seconds,
        SUM(on_board * seconds) AS rider_seconds,
        SUM(CASE WHEN on_board >= 2 THEN seconds END) AS pooled_seconds,
        SUM(CASE WHEN on_board >= 2 THEN on_board * seconds END) AS pooled_rider_seconds
    FROM spans
    GROUP BY ride_id
),
done AS (
    SELECT
        r.*,
        COALESCE(
            r.start_timestamp, add_minutes(r.end_timestamp, ratio(-r.total_duration, 60)), r.end_timestamp
        ) AS started_at
    FROM fact_rides AS r
    WHERE r.end_timestamp IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = r.driver_user_key AND u.is_internal)
)
SELECT
    r.ride_id,
    r.driver_user_key,
    r.vehicle_key,
    t.ride_type_name AS ride_type,
    COALESCE(LOWER(t.ride_type_name) = 'carpool', FALSE) AS is_carpool,
    COALESCE(LOWER(t.ride_type_name) IN ('regular', 'standard'), FALSE) AS is_standard,
    r.started_at,
    r.end_timestamp AS ended_at,
    date_of(r.started_at) AS day,
    a.city,
    a.zone,
    a.zone || ' -> ' || b.zone AS route_corridor,
    r.total_fare,
    r.total_distance,
    r.total_duration,
    r.platform_revenue,
    r.platform_cost,
    v.emission_factor,
    days_between(d.created_at, r.started_at) AS driver_tenure_days,
    COALESCE(j.segments, 0) AS segments,
    COALESCE(j.paid_segments, 0) AS paid_segments,
    COALESCE(j.riders, 0) AS riders,
    CASE WHEN j.ride_id IS NULL THEN 0 ELSE j.passenger_miles END AS passenger_miles,
    j.direct_miles,
    o.occupied_seconds,
    o.rider_seconds,
    o.pooled_seconds,
    o.pooled_rider_seconds,
    j.first_pickup_at,
    j.last_dropoff_at
FROM done AS r
LEFT JOIN dim_ride_type AS t ON t.ride_type_key = r.ride_type_key
LEFT JOIN dim_location AS a ON a.location_key = r.start_location_key
LEFT JOIN dim_location AS b ON b.location_key = r.end_location_key
LEFT JOIN dim_vehicle AS v ON v.vehicle_key = r.vehicle_key
LEFT JOIN dim_users AS d ON d.user_key = r.driver_user_key
LEFT JOIN journeys AS j ON j.ride_id = r.ride_id
LEFT JOIN occupancy AS o ON o.ride_id = r.ride_id
