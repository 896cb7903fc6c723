-- Completed rides whose total fare is not that of their journeys, all of them with a fare, to half a cent.
WITH summed AS (
    SELECT ride_id, SUM(segment_fare) AS fares
    FROM fact_ride_segments
    GROUP BY ride_id
    HAVING COUNT(*) = COUNT(segment_fare)
)
SELECT 'the fares of a ride and of its segments differ' AS violation, r.ride_id, r.total_fare, s.fares
FROM rides AS r
JOIN summed AS s ON s.ride_id = r.ride_id
WHERE ABS(r.total_fare - s.fares) >= 0.005
ORDER BY r.ride_id
