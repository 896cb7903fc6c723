-- Within a ride the order of pickup sequences must be that of pickup times, and the order of dropoff sequences that of
-- dropoff times. Each pair of journeys that disagrees is a finding; equal times agree with any order, equal sequences disagree
-- with different times.
-- as_of: fact_ride_segments.segment_dropoff_timestamp
-- param: days integer = null, only rides with a stop in the last so many days; all by default
WITH stops AS (
    SELECT
        ride_id, ride_segment_id, 'pickup' AS stop_type, segment_pickup_timestamp AS stop_at,
        pickup_sequence_in_ride AS place
    FROM fact_ride_segments
    WHERE segment_pickup_timestamp IS NOT NULL AND pickup_sequence_in_ride IS NOT NULL
    UNION ALL
    SELECT
        ride_id, ride_segment_id, 'dropoff', segment_dropoff_timestamp, dropoff_sequence_in_ride
    FROM fact_ride_segments
    WHERE segment_dropoff_timestamp IS NOT NULL AND dropoff_sequence_in_ride IS NOT NULL
)
SELECT
    'ride_id=' || text_of(a.ride_id) AS subject,
    date_of(a.stop_at) AS period,
    a.stop_type || '_sequence' AS metric,
    CAST(b.place AS DOUBLE) AS value,
    CAST(NULL AS DOUBLE) AS expected,
    'journeys ' || text_of(a.ride_segment_id) || ' and ' || text_of(b.ride_segment_id) || ': ' || a.stop_type
        || ' sequence ' || text_of(a.place) || ' at ' || text_of(a.stop_at) || ', but ' || text_of(b.place) || ' at '
        || text_of(b.stop_at) AS reason,
    a.ride_id,
    a.ride_segment_id AS earlier_segment_id,
    b.ride_segment_id AS later_segment_id,
    r.driver_user_key
FROM stops AS a
JOIN stops AS b ON b.ride_id = a.ride_id AND b.stop_type = a.stop_type AND a.stop_at < b.stop_at AND a.place >= b.place
LEFT JOIN fact_rides AS r ON r.ride_id = a.ride_id
WHERE b.stop_at <= :as_of
    AND (:days IS NULL OR days_between(date_of(b.stop_at), :as_of) < :days)
ORDER BY a.ride_id, a.stop_type DESC, a.ride_segment_id, b.ride_segment_id
