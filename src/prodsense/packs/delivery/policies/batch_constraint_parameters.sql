WITH stops AS (
    SELECT
        p.batch_id,
        o.restaurant_id,
        COUNT(*) AS orders,
        MIN(o.estimated_prep_time_minutes) AS least_prep,
        MAX(o.estimated_prep_time_minutes) AS most_prep
    FROM fact_batch_deliveries AS p
    JOIN fact_deliveries AS d ON d.delivery_id = p.delivery_id
    JOIN fact_orders AS o ON o.order_id = d.order_id
    GROUP BY p.batch_id, o.restaurant_id
),
totals AS (
    SELECT
        batch_id,
        COUNT(*) AS restaurants,
        MAX(most_prep) - MIN(least_prep) AS prep_spread
    FROM stops
    GROUP BY batch_id
),
judged AS (
    SELECT b.*, t.restaurants, t.prep_spread
    FROM batches AS b
    LEFT JOIN totals AS t ON t.batch_id = b.batch_id
    WHERE NOT b.is_cancelled
)
SELECT 'more deliveries than max_batch_size' AS violation, j.batch_id, j.total_deliveries AS value, a.max_batch_size AS limit_value
FROM judged AS j
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = j.batching_algorithm_key
WHERE j.total_deliveries > a.max_batch_size
UNION ALL
SELECT 'planned longer than max_total_distance_miles', j.batch_id, j.planned_total_distance_miles, a.max_total_distance_miles
FROM judged AS j
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = j.batching_algorithm_key
WHERE j.planned_total_distance_miles > a.max_total_distance_miles AND a.max_batch_size > 1
UNION ALL
SELECT 'planned longer than max_total_time_minutes', j.batch_id, j.planned_total_time_minutes, a.max_total_time_minutes
FROM judged AS j
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = j.batching_algorithm_key
WHERE j.planned_total_time_minutes > a.max_total_time_minutes
UNION ALL
SELECT 'preparation times differ by more than max_prep_time_variance_minutes', j.batch_id, j.prep_spread,
    a.max_prep_time_variance_minutes
FROM judged AS j
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = j.batching_algorithm_key
WHERE j.prep_spread > a.max_prep_time_variance_minutes
UNION ALL
SELECT 'more restaurants than max_restaurants_per_batch', j.batch_id, j.restaurants, a.max_restaurants_per_batch
FROM judged AS j
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = j.batching_algorithm_key
WHERE j.restaurants > a.max_restaurants_per_batch
UNION ALL
SELECT 'more deliveries than the driver''s max_batch_capacity', j.batch_id, j.total_deliveries, d.max_batch_capacity
FROM judged AS j
JOIN dim_drivers AS d ON d.driver_id = j.driver_id
WHERE j.total_deliveries > d.max_batch_capacity
UNION ALL
SELECT 'several orders at a restaurant that cannot handle batch pickups', j.batch_id, s.orders, 1
FROM judged AS j
JOIN stops AS s ON s.batch_id = j.batch_id
JOIN dim_restaurants AS r ON r.restaurant_id = s.restaurant_id
WHERE s.orders > 1 AND NOT r.can_handle_batch_pickups
UNION ALL
SELECT 'more orders at a restaurant than its max_concurrent_orders', j.batch_id, s.orders, r.max_concurrent_orders
FROM judged AS j
JOIN stops AS s ON s.batch_id = j.batch_id
JOIN dim_restaurants AS r ON r.restaurant_id = s.restaurant_id
WHERE s.orders > r.max_concurrent_orders
