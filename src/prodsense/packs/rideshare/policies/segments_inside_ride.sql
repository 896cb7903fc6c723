-- Journeys that end before they begin, or reach outside their ride by more than a minute.
SELECT
    CASE WHEN s.segment_dropoff_timestamp < s.segment_pickup_timestamp THEN 'dropoff before pickup'
        ELSE 'outside the ride' END AS violation,
    s.ride_id,
    s.ride_segment_id,
    s.segment_pickup_timestamp,
    s.segment_dropoff_timestamp
FROM fact_ride_segments AS s
JOIN fact_rides AS r ON r.ride_id = s.ride_id
WHERE s.segment_dropoff_timestamp < s.segment_pickup_timestamp
    OR minutes_between(s.segment_pickup_timestamp, r.start_timestamp) > 1
    OR minutes_between(r.end_timestamp, s.segment_dropoff_timestamp) > 1
ORDER BY s.ride_id, s.ride_segment_id
