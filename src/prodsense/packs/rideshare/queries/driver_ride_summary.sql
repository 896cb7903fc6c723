-- Each driver's completed rides by ride type, from rides alone: joining riders first would repeat ride totals.
-- param: start_date date = null, first day of rides, inside
-- param: end_date date = null, last day of rides, inside
SELECT
    driver_user_key,
    ride_type,
    COUNT(*) AS rides,
    SUM(total_fare) AS total_fare,
    SUM(total_distance) AS total_distance,
    SUM(total_duration) AS total_duration
FROM rides
WHERE driver_user_key IS NOT NULL
    AND (:start_date IS NULL OR day >= :start_date)
    AND (:end_date IS NULL OR day <= :end_date)
GROUP BY driver_user_key, ride_type
ORDER BY driver_user_key, ride_type
