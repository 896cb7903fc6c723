-- Exactly one row per delivery with its batch context, if any: the latest batch that is not cancelled.
-- A delivery is 'batched' in such a batch of two or more deliveries, else 'individual'; the batch columns of a
-- one-delivery batch stay visible, those of a delivery without a batch are NULL.
-- kind: view
-- key: delivery_id
-- partition: date_partition
-- time: delivery_created_at
-- references: order_id orders, driver_id dim_drivers, batch_id batches
-- column: delivery_id = the delivery
-- column: order_id = the order it delivers
-- column: driver_id = who delivers
-- column: delivery_status = where the delivery stands
-- column: batch_id = its final batch that is not cancelled
-- column: pickup_sequence = place of the restaurant among the pickups [rank]
-- column: dropoff_sequence = place of the customer among the drop-offs [rank]
-- column: pickup_wait_time_minutes = wait at the restaurant [minutes]
-- column: delivery_delay_minutes = minutes later than the estimate for the delivery alone [minutes]
-- column: batch_size = total_deliveries of the batch [deliveries]
-- column: batch_efficiency_score = score by the algorithm's own definition [score]
-- column: batch_status = where the batch stands
-- column: algorithm_name = what formed the batch
-- column: algorithm_version = its version
-- column: individual_delivery_time = minutes the delivery took, as stored [minutes]
-- column: batch_delivery_time = drop-off in the batch: the actual one, else delivered_at; never an estimate [UTC]
-- column: batch_delivery_minutes = minutes from delivery_created_at to batch_delivery_time, to set beside individual_delivery_time [minutes]
-- column: delivery_type = 'batched' or 'individual'
-- column: delivery_created_at = when the delivery came to be [UTC]
-- column: date_partition = day of the delivery [day]
SELECT
    d.delivery_id,
    d.order_id,
    d.driver_id,
    d.delivery_status,
    f.batch_id,
    f.pickup_sequence,
    f.dropoff_sequence,
    f.pickup_wait_time_minutes,
    f.delivery_delay_minutes,
    f.batch_size,
    f.batch_efficiency_score,
    f.batch_status,
    a.algorithm_name,
    a.algorithm_version,
    d.actual_delivery_time_minutes AS individual_delivery_time,
    CASE WHEN f.batch_id IS NOT NULL THEN COALESCE(f.actual_dropoff_time, d.delivered_at) END AS batch_delivery_time,
    CASE
        WHEN f.batch_id IS NOT NULL
            THEN minutes_between(d.delivery_created_at, COALESCE(f.actual_dropoff_time, d.delivered_at))
    END AS batch_delivery_minutes,
    CASE WHEN f.is_batched THEN 'batched' ELSE 'individual' END AS delivery_type,
    d.delivery_created_at,
    d.date_partition
FROM fact_deliveries AS d
LEFT JOIN final_batches AS f ON f.delivery_id = d.delivery_id
LEFT JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = f.batching_algorithm_key
