-- How many distinct pairs of riders were on board of one Carpool ride at the same time, by month of the ride: a countable
-- sign of people who meet.
-- param: start_date date = null, first day of pickups, inside
-- param: end_date date = null, last day of pickups, inside
WITH pairs AS (
    SELECT DISTINCT
        period_start(a.picked_up_at, 'month') AS month,
        a.rider_user_key AS one,
        b.rider_user_key AS other
    FROM segments AS a
    JOIN segments AS b
        ON b.ride_id = a.ride_id
        AND b.rider_user_key > a.rider_user_key
        AND b.picked_up_at < a.dropped_off_at
        AND a.picked_up_at < b.dropped_off_at
    WHERE a.is_carpool
        AND (:start_date IS NULL OR a.day >= :start_date)
        AND (:end_date IS NULL OR a.day <= :end_date)
)
SELECT month, COUNT(*) AS rider_pairs
FROM pairs
GROUP BY month
ORDER BY month
