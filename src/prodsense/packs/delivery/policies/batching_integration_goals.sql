WITH routed AS (
    SELECT DISTINCT batch_id
    FROM fact_batch_waypoints
)
SELECT 'grouping: a batch that is not cancelled holds no delivery' AS violation, batch_id AS id
FROM batches
WHERE NOT is_cancelled AND recorded_deliveries = 0
UNION ALL
SELECT 'routing: a delivery of a routed batch lacks its restaurant or customer stop', p.batch_delivery_id
FROM final_batches AS p
JOIN routed AS r ON r.batch_id = p.batch_id
JOIN fact_deliveries AS d ON d.delivery_id = p.delivery_id AND d.delivery_status <> 'cancelled'
LEFT JOIN fact_batch_waypoints AS w ON w.batch_id = p.batch_id AND w.delivery_id = p.delivery_id
GROUP BY p.batch_delivery_id
HAVING COUNT(DISTINCT CASE WHEN w.waypoint_type IN ('restaurant', 'customer') THEN w.waypoint_type END) < 2
UNION ALL
SELECT 'performance: a delivered delivery of a batch has no delivery minutes of its own', delivery_id
FROM delivery_facts
WHERE batch_id IS NOT NULL AND is_delivered AND actual_minutes IS NULL
UNION ALL
SELECT 'strategies: an algorithm states no batch size or traffic fraction', batching_algorithm_key
FROM dim_batching_algorithms
WHERE max_batch_size IS NULL OR traffic_percentage IS NULL
