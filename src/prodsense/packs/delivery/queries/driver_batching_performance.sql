-- Drivers with batched and with individual deliveries, over the last 30 days up to `as_of` (both days inside).
-- Delivered deliveries only, each once; efficiency is one value a batch. The rating is by mean batched delay: under 5
-- minutes excellent, under 10 good, else needs_improvement; NULL (not rated) without a batched delay.
-- as_of: fact_deliveries.date_partition
-- param: min_deliveries integer = 20, fewest delivered deliveries of a driver
WITH delivered AS (
    SELECT
        d.driver_id,
        d.delivery_type,
        d.actual_minutes,
        CASE WHEN d.delivery_type = 'batched' THEN d.delay_minutes END AS delay_minutes,
        CASE WHEN d.delivery_type = 'batched' THEN b.batch_efficiency_score END AS score,
        ROW_NUMBER() OVER (PARTITION BY d.driver_id, d.batch_id ORDER BY d.delivery_id) AS place_in_batch
    FROM deliveries AS d
    LEFT JOIN batches AS b ON b.batch_id = d.batch_id
    WHERE d.is_delivered
        AND d.date_partition BETWEEN add_days(date_of(:as_of), -30) AND date_of(:as_of)
),
by_driver AS (
    SELECT
        driver_id,
        COUNT(*) FILTER (WHERE delivery_type = 'individual') AS individual_deliveries,
        COUNT(*) FILTER (WHERE delivery_type = 'batched') AS batched_deliveries,
        mean(CASE WHEN delivery_type = 'individual' THEN actual_minutes END) AS avg_individual_time,
        mean(CASE WHEN delivery_type = 'batched' THEN actual_minutes END) AS avg_batched_time,
        mean(CASE WHEN place_in_batch = 1 THEN score END) AS avg_batch_efficiency,
        mean(delay_minutes) AS avg_batch_delay
    FROM delivered
    GROUP BY driver_id
    HAVING COUNT(*) >= :min_deliveries
)
SELECT
    r.driver_id,
    r.driver_external_id,
    r.vehicle_type,
    d.individual_deliveries,
    d.batched_deliveries,
    d.avg_individual_time,
    d.avg_batched_time,
    d.avg_batch_efficiency,
    d.avg_batch_delay,
    CASE
        WHEN d.avg_batch_delay < 5 THEN 'excellent'
        WHEN d.avg_batch_delay < 10 THEN 'good'
        WHEN d.avg_batch_delay >= 10 THEN 'needs_improvement'
    END AS batch_adaptation_rating
FROM by_driver AS d
JOIN dim_drivers AS r ON r.driver_id = d.driver_id
ORDER BY d.avg_batch_efficiency DESC NULLS LAST, r.driver_id
