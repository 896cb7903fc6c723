-- Each batching algorithm and version (but no_batching) over the batches of the last 30 days up to `as_of` (both days
-- inside). Size, distance, score and duration are one value a completed batch; cancellations are out of all batches;
-- deliveries, delay and wait are of delivered deliveries whose final batch is completed.
-- as_of: fact_delivery_batches.date_partition
WITH recent AS (
    SELECT *
    FROM batches
    WHERE date_partition BETWEEN add_days(date_of(:as_of), -30) AND date_of(:as_of)
),
by_batch AS (
    SELECT
        batching_algorithm_key,
        COUNT(*) AS total_batches,
        mean(CASE WHEN is_completed THEN total_deliveries END) AS avg_batch_size,
        mean(CASE WHEN is_completed THEN actual_total_distance_miles END) AS avg_total_distance,
        mean(CASE WHEN is_completed THEN batch_efficiency_score END) AS avg_efficiency_score,
        mean(CASE WHEN is_completed THEN duration_minutes END) AS avg_batch_duration_minutes,
        100 * share(is_cancelled) AS cancellation_rate_pct
    FROM recent
    GROUP BY batching_algorithm_key
),
by_delivery AS (
    SELECT
        b.batching_algorithm_key,
        COUNT(*) AS total_deliveries,
        mean(d.delay_minutes) AS avg_delivery_delay,
        mean(d.pickup_wait_minutes) AS avg_pickup_wait
    FROM recent AS b
    JOIN deliveries AS d ON d.batch_id = b.batch_id
    WHERE b.is_completed AND d.is_delivered
    GROUP BY b.batching_algorithm_key
)
SELECT
    a.algorithm_name,
    a.algorithm_version,
    b.total_batches,
    COALESCE(d.total_deliveries, 0) AS total_deliveries,
    b.avg_batch_size,
    b.avg_total_distance,
    b.avg_efficiency_score,
    b.avg_batch_duration_minutes,
    d.avg_delivery_delay,
    d.avg_pickup_wait,
    b.cancellation_rate_pct
FROM by_batch AS b
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = b.batching_algorithm_key
LEFT JOIN by_delivery AS d ON d.batching_algorithm_key = b.batching_algorithm_key
WHERE a.algorithm_name <> 'no_batching'
ORDER BY b.avg_efficiency_score DESC NULLS LAST, a.algorithm_name, a.algorithm_version
