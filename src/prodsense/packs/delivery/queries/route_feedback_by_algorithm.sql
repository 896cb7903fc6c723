-- What the route feedback of the last 28 days up to `as_of` (both days inside) says of each algorithm and version: miles
-- and minutes beyond the plan, and lateness at stops.
-- as_of: fact_delivery_batches.date_partition
SELECT
    a.algorithm_name,
    a.algorithm_version,
    COUNT(*) AS batches,
    ratio(
        SUM(CASE WHEN f.planned_miles IS NOT NULL THEN f.driven_miles END),
        SUM(CASE WHEN f.driven_miles IS NOT NULL THEN f.planned_miles END)
    ) AS route_efficiency_ratio,
    mean(f.excess_miles) AS avg_excess_miles,
    mean(f.actual_minutes - f.planned_minutes) AS avg_excess_minutes,
    ratio(SUM(f.mean_minutes_late * f.timed_stops), SUM(CASE WHEN f.timed_stops > 0 THEN f.timed_stops END))
        AS avg_minutes_late_at_stops,
    mean(f.last_minutes_late) AS avg_minutes_late_at_last_stop
FROM route_feedback AS f
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = f.batching_algorithm_key
WHERE f.date_partition BETWEEN add_days(date_of(:as_of), -27) AND date_of(:as_of)
GROUP BY a.algorithm_name, a.algorithm_version
ORDER BY route_efficiency_ratio NULLS LAST, a.algorithm_name, a.algorithm_version
