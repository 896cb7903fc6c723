-- Riders of each ride: distinct people, so that a rider with two journeys counts once; a ride without any gives 0. A ride is
-- shared when it has two riders or more, and shared at once when two were on board at the same time.
-- param: start_date date = null, first day of rides, inside
-- param: end_date date = null, last day of rides, inside
WITH riding AS (
    SELECT s.*
    FROM fact_ride_segments AS s
    WHERE NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = s.rider_user_key AND u.is_internal)
),
counted AS (
    SELECT ride_id, COUNT(DISTINCT rider_user_key) AS riders
    FROM riding
    GROUP BY ride_id
),
-- Of the journeys that began before one began, when does the last end of another rider's?
running AS (
    SELECT
        a.ride_id,
        MAX(CASE WHEN b.rider_user_key <> a.rider_user_key THEN 1 ELSE 0 END) AS together
    FROM riding AS a
    JOIN riding AS b
        ON b.ride_id = a.ride_id
        AND b.segment_pickup_timestamp < a.segment_dropoff_timestamp
        AND a.segment_pickup_timestamp < b.segment_dropoff_timestamp
    GROUP BY a.ride_id
)
SELECT
    r.ride_id,
    COALESCE(c.riders, 0) AS rider_count,
    COALESCE(c.riders, 0) >= 2 AS is_shared,
    COALESCE(t.together, 0) = 1 AS is_shared_at_once
FROM fact_rides AS r
LEFT JOIN counted AS c ON c.ride_id = r.ride_id
LEFT JOIN running AS t ON t.ride_id = r.ride_id
WHERE (:start_date IS NULL OR date_of(r.start_timestamp) >= :start_date)
    AND (:end_date IS NULL OR date_of(r.start_timestamp) <= :end_date)
    AND NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = r.driver_user_key AND u.is_internal)
ORDER BY r.ride_id
