-- Each rider's journeys in completed rides: how many, how many of them Carpool, fares, miles and minutes, total and mean.
-- param: start_date date = null, first day of pickups, inside
-- param: end_date date = null, last day of pickups, inside
SELECT
    rider_user_key,
    COUNT(*) AS segments,
    COUNT(*) FILTER (WHERE is_carpool) AS carpool_segments,
    SUM(fare) AS total_segment_fare,
    mean(fare) AS mean_segment_fare,
    SUM(miles) AS total_segment_distance,
    mean(miles) AS mean_segment_distance,
    SUM(minutes) AS total_segment_minutes,
    mean(minutes) AS mean_segment_minutes
FROM segments
WHERE rider_user_key IS NOT NULL
    AND (:start_date IS NULL OR day >= :start_date)
    AND (:end_date IS NULL OR day <= :end_date)
GROUP BY rider_user_key
ORDER BY rider_user_key
