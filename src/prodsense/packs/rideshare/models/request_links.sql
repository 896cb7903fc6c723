-- Which request led to which journey, each way at most one: by the journey's request_id, else by the request's
-- ride_segment_id, else by ride and rider; where a request names neither, by rider and time, up to two hours before the
-- pickup. Of several the one that was not cancelled, then the latest request before the pickup, then the first.
-- key: ride_segment_id, request_id
-- column: ride_segment_id = journey
-- column: request_id = request
-- column: is_of_segment = the request of this journey
-- column: is_of_request = the journey of this request
WITH candidates AS (
    SELECT s.ride_segment_id, q.request_id, 1 AS way
    FROM fact_ride_segments AS s
    JOIN fact_ride_requests AS q ON q.request_id = s.request_id
    UNION ALL
    SELECT s.ride_segment_id, q.request_id, 2
    FROM fact_ride_requests AS q
    JOIN fact_ride_segments AS s ON s.ride_segment_id = q.ride_segment_id
    UNION ALL
    SELECT s.ride_segment_id, q.request_id, 3
    FROM fact_ride_requests AS q
    JOIN fact_ride_segments AS s ON s.ride_id = q.ride_id AND s.rider_user_key = q.rider_user_key
    UNION ALL
    SELECT s.ride_segment_id, q.request_id, 4
    FROM fact_ride_requests AS q
    JOIN fact_ride_segments AS s
        ON s.rider_user_key = q.rider_user_key
        AND q.request_timestamp <= s.segment_pickup_timestamp
        AND q.request_timestamp >= add_minutes(s.segment_pickup_timestamp, -120)
    WHERE q.ride_id IS NULL AND q.ride_segment_id IS NULL AND s.request_id IS NULL
        AND q.cancelled_by IS NULL AND q.cancelled_timestamp IS NULL
),
best AS (
    SELECT ride_segment_id, request_id, MIN(way) AS way
    FROM candidates
    GROUP BY ride_segment_id, request_id
),
ranked AS (
    SELECT
        b.ride_segment_id,
        b.request_id,
        ROW_NUMBER() OVER (
            PARTITION BY b.ride_segment_id
            ORDER BY
                b.way,
                CASE WHEN q.cancelled_by IS NULL AND q.cancelled_timestamp IS NULL THEN 0 ELSE 1 END,
                CASE WHEN q.request_timestamp <= s.segment_pickup_timestamp THEN 0 ELSE 1 END,
                q.request_timestamp DESC,
                b.request_id
        ) AS segment_rank,
        ROW_NUMBER() OVER (
            PARTITION BY b.request_id
            ORDER BY
                b.way,
                CASE WHEN s.segment_pickup_timestamp >= q.request_timestamp THEN 0 ELSE 1 END,
                s.segment_pickup_timestamp,
                b.ride_segment_id
        ) AS request_rank
    FROM best AS b
    JOIN fact_ride_segments AS s ON s.ride_segment_id = b.ride_segment_id
    JOIN fact_ride_requests AS q ON q.request_id = b.request_id
)
SELECT ride_segment_id, request_id, segment_rank = 1 AS is_of_segment, request_rank = 1 AS is_of_request
FROM ranked
WHERE segment_rank = 1 OR request_rank = 1
