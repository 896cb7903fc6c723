SELECT
    'a delivery is in several batches that are not cancelled' AS violation,
    p.delivery_id,
    COUNT(*) AS batches
FROM fact_batch_deliveries AS p
JOIN fact_delivery_batches AS b ON b.batch_id = p.batch_id
WHERE COALESCE(b.batch_status, 'created') <> 'cancelled'
GROUP BY p.delivery_id
HAVING COUNT(*) > 1
