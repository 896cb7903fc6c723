SELECT
    'total_deliveries or total_orders differ from the rows in fact_batch_deliveries' AS violation,
    batch_id,
    total_deliveries,
    recorded_deliveries,
    total_orders,
    recorded_orders
FROM batches
WHERE NOT is_cancelled AND (total_deliveries <> recorded_deliveries OR total_orders <> recorded_orders)
