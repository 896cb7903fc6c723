-- The batch that a delivery ended in: its latest batch that is not cancelled, of any size. Earlier and cancelled
-- batches stay in fact_batch_deliveries as history and never repeat a delivery here.
-- kind: view
-- key: delivery_id
-- references: batch_id batches, delivery_id deliveries
-- column: delivery_id = the delivery
-- column: batch_id = its final batch
-- column: batch_size = total_deliveries of the batch [deliveries]
SELECT
    p.delivery_id,
    p.batch_delivery_id,
    p.batch_id,
    p.pickup_sequence,
    p.dropoff_sequence,
    p.estimated_pickup_time,
    p.actual_pickup_time,
    p.estimated_dropoff_time,
    p.actual_dropoff_time,
    p.pickup_wait_time_minutes,
    p.delivery_delay_minutes,
    p.estimated_food_temp_at_delivery,
    p.customer_satisfaction_score,
    b.total_deliveries AS batch_size,
    b.batch_efficiency_score,
    b.batch_status,
    b.batching_algorithm_key,
    b.actual_total_distance_miles,
    b.total_deliveries >= 2 AS is_batched
FROM fact_batch_deliveries AS p
JOIN fact_delivery_batches AS b ON b.batch_id = p.batch_id
WHERE COALESCE(b.batch_status, 'created') <> 'cancelled'
QUALIFY ROW_NUMBER() OVER (PARTITION BY p.delivery_id ORDER BY b.batch_created_at DESC, b.batch_id DESC) = 1
