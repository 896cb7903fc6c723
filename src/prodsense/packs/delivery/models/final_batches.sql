-- The batch that a delivery ended in: its latest batch that is not cancelled, of any size. Earlier and cancelled
-- batches stay in fact_batch_deliveries as history and never repeat a delivery here.
-- kind: view
-- key: delivery_id
-- references: batch_id batches, delivery_id deliveries
-- column: delivery_id = the delivery
-- column: batch_delivery_id = place of a delivery in a batch
-- column: batch_id = its final batch
-- column: pickup_sequence = place of its restaurant among the pickups; equal where one visit picks up several [rank]
-- column: dropoff_sequence = place of its customer among the drop-offs [rank]
-- column: estimated_pickup_time = pickup as planned [UTC]
-- column: actual_pickup_time = pickup as it happened [UTC]
-- column: estimated_dropoff_time = drop-off as planned [UTC]
-- column: actual_dropoff_time = drop-off as it happened [UTC]
-- column: pickup_wait_time_minutes = wait at the restaurant [minutes]
-- column: delivery_delay_minutes = minutes later than the estimate for the delivery alone [minutes]
-- column: estimated_food_temp_at_delivery = food temperature at the door; the unit is the source's, use one throughout [degrees]
-- column: customer_satisfaction_score = rating by the customer, where given [score 1-5]
-- column: batch_size = total_deliveries of the batch [deliveries]
-- column: batch_efficiency_score = score by the algorithm's own definition: compare versions of one algorithm, not algorithms [score]
-- column: batch_status = where the batch stands
-- column: batching_algorithm_key = the algorithm that formed the batch
-- column: actual_total_distance_miles = route as driven [miles]
-- column: is_batched = the batch holds two or more deliveries
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
