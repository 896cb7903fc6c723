-- Batched beside individual deliveries, by algorithm, over the last 30 days up to `as_of` (both days inside).
-- Delivered deliveries only, each once. Delay and efficiency are measurements of batches, so they are NULL for
-- individual deliveries; efficiency is one value a batch. On time is out of those whose minutes are known.
-- as_of: fact_deliveries.date_partition
WITH delivered AS (
    SELECT
        d.delivery_type,
        COALESCE(a.algorithm_name, 'N/A') AS algorithm,
        a.algorithm_version,
        d.batch_id,
        d.actual_minutes,
        d.delay_minutes,
        d.is_on_time,
        b.batch_efficiency_score,
        ROW_NUMBER() OVER (PARTITION BY d.batch_id ORDER BY d.delivery_id) AS place_in_batch
    FROM deliveries AS d
    LEFT JOIN batches AS b ON b.batch_id = d.batch_id
    LEFT JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = d.batching_algorithm_key
    WHERE d.is_delivered
        AND d.date_partition BETWEEN add_days(date_of(:as_of), -30) AND date_of(:as_of)
)
SELECT
    delivery_type,
    algorithm,
    COUNT(*) AS total_deliveries,
    CAST(ROUND(CAST(mean(actual_minutes) AS DECIMAL(18, 6)), 1) AS DOUBLE) AS avg_delivery_minutes,
    CAST(ROUND(CAST(mean(CASE WHEN delivery_type = 'batched' THEN delay_minutes END) AS DECIMAL(18, 6)), 1) AS DOUBLE)
        AS avg_delay_minutes,
    CAST(ROUND(CAST(mean(
        CASE WHEN delivery_type = 'batched' AND place_in_batch = 1 THEN batch_efficiency_score END
    ) AS DECIMAL(18, 6)), 3) AS DOUBLE) AS efficiency_score,
    CAST(ROUND(CAST(100 * share(is_on_time) AS DECIMAL(18, 6)), 1) AS DOUBLE) AS on_time_percentage,
    algorithm_version
FROM delivered
GROUP BY delivery_type, algorithm, algorithm_version
ORDER BY delivery_type, total_deliveries DESC, algorithm, algorithm_version
