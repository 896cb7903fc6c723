-- One row per stop of a batch's route: a restaurant visited once for several orders counts once.
-- key: batch_id, sequence_order    partition: date_partition    late: 1 day    spread: 1 day
-- time: batch_created_at
-- references: batch_id batches
-- column: batch_id = the batch
-- column: sequence_order = place in the route [rank]
-- column: date_partition = day that its rows belong to [day]
-- column: batch_created_at = when the batch was formed [UTC]
-- column: waypoint_type = kind of stop
-- column: estimated_arrival_time = arrival as planned [UTC]
-- column: actual_arrival_time = arrival as it happened [UTC]
-- column: minutes_late = actual less estimated arrival; positive is late, NULL when either is unknown [minutes]
-- column: distance_to_next_miles = miles driven to the next stop [miles]
-- column: is_last = the last stop of the batch with a known lateness
WITH stops AS (
    SELECT
        batch_id,
        sequence_order,
        MIN(waypoint_type) AS waypoint_type,
        MIN(estimated_arrival_time) AS estimated_arrival_time,
        MIN(actual_arrival_time) AS actual_arrival_time,
        MAX(distance_to_next_miles) AS distance_to_next_miles
    FROM fact_batch_waypoints
    GROUP BY batch_id, sequence_order
)
SELECT
    s.batch_id,
    s.sequence_order,
    b.date_partition,
    b.batch_created_at,
    s.waypoint_type,
    s.estimated_arrival_time,
    s.actual_arrival_time,
    minutes_between(s.estimated_arrival_time, s.actual_arrival_time) AS minutes_late,
    s.distance_to_next_miles,
    s.estimated_arrival_time IS NOT NULL AND s.actual_arrival_time IS NOT NULL
        AND s.sequence_order = MAX(
            CASE
                WHEN s.estimated_arrival_time IS NOT NULL AND s.actual_arrival_time IS NOT NULL THEN s.sequence_order
            END
        ) OVER (PARTITION BY s.batch_id) AS is_last
FROM stops AS s
JOIN fact_delivery_batches AS b ON b.batch_id = s.batch_id
