-- One row per pickup of a batch: a visit to a restaurant in the route (batch, pickup_sequence), however many orders it
-- collects. Batches of two or more that are not cancelled, pickups that took place.
-- key: batch_id, pickup_sequence    partition: date_partition    late: 1 day    spread: 1 day
-- time: batch_created_at
-- references: batch_id batches, lead_delivery_id delivery_facts, restaurant_id dim_restaurants
-- column: batch_id = the batch
-- column: pickup_sequence = place among its pickups [rank]
-- column: restaurant_id = the restaurant
-- column: lead_delivery_id = the first delivery collected
-- column: picked_up_at = first moment of the pickup [UTC]
-- column: batch_created_at = when the batch was formed [UTC]
-- column: date_partition = day of the batch [day]
SELECT
    d.batch_id,
    d.pickup_sequence,
    MIN(d.restaurant_id) AS restaurant_id,
    MIN(d.delivery_id) AS lead_delivery_id,
    MIN(d.picked_up_at) AS picked_up_at,
    b.batch_created_at,
    b.date_partition
FROM delivery_facts AS d
JOIN fact_delivery_batches AS b ON b.batch_id = d.batch_id
WHERE d.delivery_type = 'batched' AND d.picked_up_at IS NOT NULL
GROUP BY d.batch_id, d.pickup_sequence, b.batch_created_at, b.date_partition
