-- param: tolerance_minutes number = 1, how far stored minutes may be from the timestamps
SELECT
    'stored minutes differ from delivery_created_at to delivered_at' AS violation,
    delivery_id,
    actual_delivery_time_minutes AS stored_minutes,
    minutes_between(delivery_created_at, delivered_at) AS minutes_by_timestamps
FROM fact_deliveries
WHERE delivery_status = 'delivered'
    AND ABS(actual_delivery_time_minutes - minutes_between(delivery_created_at, delivered_at)) > :tolerance_minutes
