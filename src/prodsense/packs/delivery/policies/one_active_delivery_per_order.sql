SELECT
    'several deliveries of an order are not cancelled' AS violation,
    order_id,
    COUNT(*) AS deliveries
FROM fact_deliveries
WHERE COALESCE(delivery_status, 'created') <> 'cancelled'
GROUP BY order_id
HAVING COUNT(*) > 1
