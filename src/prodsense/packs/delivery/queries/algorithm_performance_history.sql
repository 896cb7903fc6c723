-- Each batching algorithm and version week by week, so that a choice rests on history. Weeks start on Monday and are
-- those of the batch; the definitions are those of algorithm_effectiveness, no_batching included. Every week from
-- `start_date` to `end_date` (both inside; open where not given) with a batch has a row.
-- param: start_date date = null, first day of batches
-- param: end_date date = null, last day of batches
WITH chosen AS (
    SELECT *, period_start(batch_created_at, 'week') AS week
    FROM batches
    WHERE (CAST(:start_date AS DATE) IS NULL OR date_partition >= CAST(:start_date AS DATE))
        AND (CAST(:end_date AS DATE) IS NULL OR date_partition <= CAST(:end_date AS DATE))
),
by_batch AS (
    SELECT
        week,
        batching_algorithm_key,
        COUNT(*) AS total_batches,
        mean(CASE WHEN is_completed THEN total_deliveries END) AS avg_batch_size,
        mean(CASE WHEN is_completed THEN actual_total_distance_miles END) AS avg_total_distance,
        mean(CASE WHEN is_completed THEN batch_efficiency_score END) AS avg_efficiency_score,
        mean(CASE WHEN is_completed THEN duration_minutes END) AS avg_batch_duration_minutes,
        ratio(
            SUM(CASE WHEN is_completed AND has_plan THEN actual_total_distance_miles END),
            SUM(
                CASE
                    WHEN is_completed AND has_plan AND actual_total_distance_miles IS NOT NULL
                        THEN planned_total_distance_miles
                END
            )
        ) AS route_efficiency_ratio,
        100 * share(is_cancelled) AS cancellation_rate_pct
    FROM chosen
    GROUP BY week, batching_algorithm_key
),
by_delivery AS (
    SELECT
        b.week,
        b.batching_algorithm_key,
        COUNT(*) AS total_deliveries,
        mean(d.delay_minutes) AS avg_delivery_delay,
        mean(d.pickup_wait_minutes) AS avg_pickup_wait,
        share(d.is_on_time) AS on_time_rate
    FROM chosen AS b
    JOIN deliveries AS d ON d.batch_id = b.batch_id
    WHERE b.is_completed AND d.is_delivered
    GROUP BY b.week, b.batching_algorithm_key
)
SELECT
    b.week,
    a.algorithm_name,
    a.algorithm_version,
    b.total_batches,
    COALESCE(d.total_deliveries, 0) AS total_deliveries,
    b.avg_batch_size,
    b.avg_total_distance,
    b.avg_efficiency_score,
    b.avg_batch_duration_minutes,
    b.route_efficiency_ratio,
    d.avg_delivery_delay,
    d.avg_pickup_wait,
    d.on_time_rate,
    b.cancellation_rate_pct
FROM by_batch AS b
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = b.batching_algorithm_key
LEFT JOIN by_delivery AS d ON d.batching_algorithm_key = b.batching_algorithm_key AND d.week = b.week
ORDER BY b.week, a.algorithm_name, a.algorithm_version
