-- Routes as driven beside routes as planned, by algorithm and version (but no_batching), over the completed batches of
-- the last 7 days up to `as_of` (both days inside). Actual miles are the batch's own; the sum over its stops stands
-- beside as a cross-check. A batch without a plan above 0 has no ratio and no planned distance. Time variance is
-- actual less estimated arrival: per stop, and at the last stop of each batch.
-- as_of: fact_delivery_batches.date_partition
WITH stops AS (
    SELECT
        batch_id,
        SUM(distance_to_next_miles) AS stop_miles,
        SUM(minutes_late) AS minutes_late,
        COUNT(minutes_late) AS timed_stops,
        MAX(CASE WHEN is_last THEN minutes_late END) AS last_minutes_late
    FROM route_stops
    GROUP BY batch_id
),
routes AS (
    SELECT
        b.batching_algorithm_key,
        b.total_deliveries,
        b.actual_total_distance_miles,
        CASE WHEN b.has_plan THEN b.planned_total_distance_miles END AS planned_miles,
        CASE WHEN b.has_plan THEN ratio(b.actual_total_distance_miles, b.planned_total_distance_miles) END AS efficiency,
        s.stop_miles,
        s.minutes_late,
        s.timed_stops,
        s.last_minutes_late
    FROM batches AS b
    LEFT JOIN stops AS s ON s.batch_id = b.batch_id
    WHERE b.is_completed
        AND b.date_partition BETWEEN add_days(date_of(:as_of), -7) AND date_of(:as_of)
)
SELECT
    a.algorithm_name,
    mean(r.total_deliveries) AS avg_batch_size,
    mean(r.actual_total_distance_miles) AS avg_actual_distance_miles,
    mean(r.planned_miles) AS avg_planned_distance_miles,
    mean(r.efficiency) AS avg_route_efficiency,
    ratio(SUM(r.minutes_late), SUM(r.timed_stops)) AS avg_time_variance_minutes,
    MIN(r.efficiency) AS best_route_efficiency,
    MAX(r.efficiency) AS worst_route_efficiency,
    a.algorithm_version,
    mean(r.last_minutes_late) AS avg_last_stop_variance_minutes,
    mean(r.stop_miles) AS avg_stop_distance_miles
FROM routes AS r
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = r.batching_algorithm_key
WHERE a.algorithm_name <> 'no_batching'
GROUP BY a.algorithm_name, a.algorithm_version
ORDER BY avg_route_efficiency NULLS LAST, a.algorithm_name, a.algorithm_version
