-- One row per completed batch: its route as planned beside as driven, to judge and tune route optimisation by algorithm.
-- key: batch_id    partition: date_partition    late: 1 day    spread: 1 day
-- time: batch_created_at
-- references: batch_id batches, batching_algorithm_key dim_batching_algorithms
-- column: batch_id = the batch
-- column: batching_algorithm_key = the algorithm
-- column: date_partition = day that its rows belong to [day]
-- column: batch_created_at = when the batch was formed [UTC]
-- column: planned_miles = route as planned; NULL without a plan above 0 [miles]
-- column: driven_miles = route as driven [miles]
-- column: stop_miles = sum over its stops, as a cross-check [miles]
-- column: excess_miles = driven less planned [miles]
-- column: route_efficiency_ratio = driven over planned
-- column: planned_minutes = time as planned; NULL without a plan above 0 [minutes]
-- column: actual_minutes = time as taken [minutes]
-- column: timed_stops = stops with both arrival times [stops]
-- column: mean_minutes_late = mean actual less estimated arrival over these [minutes]
-- column: last_minutes_late = the same at the last of these [minutes]
WITH stops AS (
    SELECT
        batch_id,
        SUM(distance_to_next_miles) AS stop_miles,
        COUNT(minutes_late) AS timed_stops,
        mean(minutes_late) AS mean_minutes_late,
        MAX(CASE WHEN is_last THEN minutes_late END) AS last_minutes_late
    FROM route_stops
    GROUP BY batch_id
)
SELECT
    b.batch_id,
    b.batching_algorithm_key,
    b.date_partition,
    b.batch_created_at,
    CASE WHEN b.has_plan THEN b.planned_total_distance_miles END AS planned_miles,
    b.actual_total_distance_miles AS driven_miles,
    s.stop_miles,
    CASE WHEN b.has_plan THEN b.actual_total_distance_miles - b.planned_total_distance_miles END AS excess_miles,
    CASE WHEN b.has_plan THEN ratio(b.actual_total_distance_miles, b.planned_total_distance_miles) END
        AS route_efficiency_ratio,
    CASE WHEN b.planned_total_time_minutes > 0 THEN b.planned_total_time_minutes END AS planned_minutes,
    b.actual_total_time_minutes AS actual_minutes,
    COALESCE(s.timed_stops, 0) AS timed_stops,
    s.mean_minutes_late,
    s.last_minutes_late
FROM batches AS b
LEFT JOIN stops AS s ON s.batch_id = b.batch_id
WHERE b.is_completed
