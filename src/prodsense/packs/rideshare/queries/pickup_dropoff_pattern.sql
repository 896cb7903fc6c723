-- The stops of each completed Carpool ride in their order of time, with riders on board after each and minutes since the stop
-- before. At one moment dropoffs come before pickups, but for a journey without length; then by sequence.
-- param: ride_id integer = null, one ride; all Carpool rides by default
WITH stops AS (
    SELECT
        f.ride_id,
        f.ride_segment_id,
        f.rider_user_key,
        'pickup' AS stop_type,
        f.segment_pickup_timestamp AS stop_at,
        f.segment_pickup_location_key AS location_key,
        f.pickup_sequence_in_ride AS sequence_in_ride,
        1 AS step,
        1 AS place
    FROM segments AS s
    JOIN fact_ride_segments AS f ON f.ride_segment_id = s.ride_segment_id
    WHERE s.is_carpool AND f.segment_pickup_timestamp IS NOT NULL
    UNION ALL
    SELECT
        f.ride_id,
        f.ride_segment_id,
        f.rider_user_key,
        'dropoff',
        f.segment_dropoff_timestamp,
        f.segment_dropoff_location_key,
        f.dropoff_sequence_in_ride,
        -1,
        CASE WHEN f.segment_dropoff_timestamp = f.segment_pickup_timestamp THEN 2 ELSE 0 END
    FROM segments AS s
    JOIN fact_ride_segments AS f ON f.ride_segment_id = s.ride_segment_id
    WHERE s.is_carpool AND f.segment_dropoff_timestamp IS NOT NULL
),
numbered AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY ride_id ORDER BY stop_at, place, sequence_in_ride, ride_segment_id
        ) AS stop_number
    FROM stops
    WHERE :ride_id IS NULL OR ride_id = :ride_id
)
SELECT
    n.ride_id,
    n.stop_number,
    n.stop_type,
    n.stop_at,
    n.rider_user_key,
    n.location_key,
    l.city,
    l.zone,
    n.sequence_in_ride,
    SUM(n.step) OVER (
        PARTITION BY n.ride_id ORDER BY n.stop_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS riders_on_board,
    minutes_between(LAG(n.stop_at) OVER (PARTITION BY n.ride_id ORDER BY n.stop_number), n.stop_at)
        AS minutes_since_previous_stop
FROM numbered AS n
LEFT JOIN dim_location AS l ON l.location_key = n.location_key
ORDER BY n.ride_id, n.stop_number
