-- Completed Carpool rides without a journey of any rider.
SELECT 'a completed Carpool ride without segments' AS violation, r.ride_id, r.started_at
FROM rides AS r
WHERE r.is_carpool AND NOT EXISTS (SELECT 1 FROM fact_ride_segments AS s WHERE s.ride_id = r.ride_id)
ORDER BY r.ride_id
