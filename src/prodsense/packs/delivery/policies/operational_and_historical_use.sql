SELECT
    'the last state in the log is not the state of the batch' AS violation,
    batch_id AS id,
    current_state || ', not ' || COALESCE(batch_status, 'NULL') AS detail
FROM batch_states
WHERE current_state <> COALESCE(batch_status, 'created')
UNION ALL
SELECT 'an order is not in the partition of its day', order_id, text_of(date_partition)
FROM fact_orders
WHERE date_partition <> date_of(order_timestamp)
UNION ALL
SELECT 'a delivery is not in the partition of its day', delivery_id, text_of(date_partition)
FROM fact_deliveries
WHERE date_partition <> date_of(delivery_created_at)
UNION ALL
SELECT 'a batch is not in the partition of its day', batch_id, text_of(date_partition)
FROM fact_delivery_batches
WHERE date_partition <> date_of(batch_created_at)
