-- What batched pickups mean for restaurants, over the last 30 days up to `as_of` (both days inside). Delivered deliveries
-- only, each once. The individual wait is the driver's arrival to pickup, so that it compares with the batched wait;
-- the fast rate (wait of at most 5 minutes) is out of batched pickups whose wait is known.
-- as_of: fact_deliveries.date_partition
-- param: min_orders integer = 50, fewest delivered orders of a restaurant
WITH delivered AS (
    SELECT
        restaurant_id,
        order_id,
        delivery_type = 'batched' AS is_batched,
        pickup_sequence,
        pickup_wait_minutes,
        restaurant_wait_minutes,
        pickup_delay_minutes
    FROM deliveries
    WHERE is_delivered
        AND date_partition BETWEEN add_days(date_of(:as_of), -30) AND date_of(:as_of)
),
by_restaurant AS (
    SELECT
        restaurant_id,
        COUNT(DISTINCT order_id) AS total_orders,
        COUNT(DISTINCT CASE WHEN is_batched THEN order_id END) AS batched_orders,
        mean(CASE WHEN is_batched THEN pickup_wait_minutes END) AS avg_batch_pickup_wait,
        mean(CASE WHEN NOT is_batched THEN restaurant_wait_minutes END) AS avg_individual_pickup_wait,
        mean(CASE WHEN is_batched AND pickup_sequence = 1 THEN pickup_delay_minutes END) AS avg_first_pickup_delay,
        mean(CASE WHEN is_batched AND pickup_sequence > 1 THEN pickup_delay_minutes END) AS avg_subsequent_pickup_delay,
        100 * ratio(
            COUNT(*) FILTER (WHERE is_batched AND pickup_wait_minutes <= 5),
            COUNT(*) FILTER (WHERE is_batched AND pickup_wait_minutes IS NOT NULL)
        ) AS fast_batch_pickup_rate_pct
    FROM delivered
    GROUP BY restaurant_id
    HAVING COUNT(DISTINCT order_id) >= :min_orders
)
SELECT
    r.restaurant_id,
    r.restaurant_name,
    r.can_handle_batch_pickups,
    d.total_orders,
    d.batched_orders,
    d.avg_batch_pickup_wait,
    d.avg_individual_pickup_wait,
    d.avg_first_pickup_delay,
    d.avg_subsequent_pickup_delay,
    d.fast_batch_pickup_rate_pct
FROM by_restaurant AS d
JOIN dim_restaurants AS r ON r.restaurant_id = d.restaurant_id
ORDER BY d.fast_batch_pickup_rate_pct DESC NULLS LAST, r.restaurant_id
