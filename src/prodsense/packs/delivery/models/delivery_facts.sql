-- One row per delivery with its order, its final batch and the minutes and miles that metrics need.
-- Reads partitioned tables only, so that a new day costs a day. Internal customers are still inside;
-- the view `deliveries` leaves them out.
-- key: delivery_id    partition: date_partition    late: 1 day    spread: 1 day
-- time: order_timestamp
-- references: order_id orders, customer_id dim_customers, restaurant_id dim_restaurants, driver_id dim_drivers, batch_id batches, batching_algorithm_key dim_batching_algorithms
-- column: delivery_id = the delivery
-- column: order_id = the order it delivers
-- column: customer_id = who ordered
-- column: restaurant_id = who cooked
-- column: driver_id = who delivers
-- column: date_partition = day that its rows belong to [day]
-- column: order_timestamp = when the order was placed; delivery_created_at where the order is unknown [UTC]
-- column: delivery_created_at = when the delivery came to be: the start of actual_delivery_time_minutes [UTC]
-- column: assigned_to_driver_at = when a driver took it [UTC]
-- column: driver_arrived_at_restaurant_at = when the driver stood at the restaurant [UTC]
-- column: picked_up_at = when the driver had the food [UTC]
-- column: delivered_at = when the customer had the food [UTC]
-- column: delivery_status = where the delivery stands
-- column: is_delivered = delivery_status is 'delivered'
-- column: cancellation_reason = why it was cancelled
-- column: delivery_type = 'batched' (in a batch of two or more that is not cancelled) or 'individual'
-- column: batch_id = the final batch, of any size
-- column: batch_size = total_deliveries of the final batch [deliveries]
-- column: batch_status = where the batch stands
-- column: batching_algorithm_key = the algorithm of the final batch
-- column: pickup_sequence = place of its restaurant among the pickups; equal where one visit picks up several [rank]
-- column: dropoff_sequence = place of its customer among the drop-offs [rank]
-- column: trip_id = one number a trip: the batch when batched, minus the delivery otherwise
-- column: actual_minutes = minutes taken, as stored [minutes]
-- column: estimated_minutes = minutes promised [minutes]
-- column: eta_error_minutes = taken less promised; positive is late [minutes]
-- column: is_on_time = taken at most ten minutes more than promised; NULL when either is unknown
-- column: restaurant_wait_minutes = driver's arrival at the restaurant to pickup [minutes]
-- column: pickup_wait_minutes = wait at the restaurant as recorded in the batch [minutes]
-- column: delay_minutes = minutes later than the estimate for the delivery alone, as recorded in the batch [minutes]
-- column: pickup_delay_minutes = actual less estimated pickup in the batch [minutes]
-- column: food_temperature = estimated temperature at the door [degrees]
-- column: satisfaction_score = customer's rating of the delivery in its batch [score 1-5]
-- column: driven_miles = miles driven: an equal part of the batch's for each of its delivered deliveries when batched, else its own; NULL when unknown or not delivered [miles]
-- column: distance_miles = length of the delivery by itself [miles]
-- column: prep_minutes = preparation time expected [minutes]
-- column: area = grid cell of 0.02 degrees of the drop-off: 'latitude,longitude' of its south-west corner
WITH delivered_in_batch AS (
    SELECT f.batch_id, COUNT(*) AS deliveries
    FROM final_batches AS f
    JOIN fact_deliveries AS d ON d.delivery_id = f.delivery_id
    WHERE f.is_batched AND d.delivery_status = 'delivered'
    GROUP BY f.batch_id
)
SELECT
    d.delivery_id,
    d.order_id,
    o.customer_id,
    o.restaurant_id,
    d.driver_id,
    d.date_partition,
    COALESCE(o.order_timestamp, d.delivery_created_at) AS order_timestamp,
    d.delivery_created_at,
    d.assigned_to_driver_at,
    d.driver_arrived_at_restaurant_at,
    d.picked_up_at,
    d.delivered_at,
    d.delivery_status,
    COALESCE(d.delivery_status = 'delivered', FALSE) AS is_delivered,
    d.cancellation_reason,
    CASE WHEN f.is_batched THEN 'batched' ELSE 'individual' END AS delivery_type,
    f.batch_id,
    f.batch_size,
    f.batch_status,
    f.batching_algorithm_key,
    f.pickup_sequence,
    f.dropoff_sequence,
    CASE WHEN f.is_batched THEN f.batch_id ELSE -d.delivery_id END AS trip_id,
    d.actual_delivery_time_minutes AS actual_minutes,
    d.estimated_delivery_time_minutes AS estimated_minutes,
    d.actual_delivery_time_minutes - d.estimated_delivery_time_minutes AS eta_error_minutes,
    d.actual_delivery_time_minutes <= d.estimated_delivery_time_minutes + 10 AS is_on_time,
    minutes_between(d.driver_arrived_at_restaurant_at, d.picked_up_at) AS restaurant_wait_minutes,
    f.pickup_wait_time_minutes AS pickup_wait_minutes,
    f.delivery_delay_minutes AS delay_minutes,
    minutes_between(f.estimated_pickup_time, f.actual_pickup_time) AS pickup_delay_minutes,
    f.estimated_food_temp_at_delivery AS food_temperature,
    f.customer_satisfaction_score AS satisfaction_score,
    CASE
        WHEN COALESCE(d.delivery_status, '') <> 'delivered' THEN NULL
        WHEN f.is_batched THEN ratio(f.actual_total_distance_miles, n.deliveries)
        ELSE CAST(COALESCE(d.delivery_distance_miles, f.actual_total_distance_miles) AS DOUBLE)
    END AS driven_miles,
    d.delivery_distance_miles AS distance_miles,
    o.estimated_prep_time_minutes AS prep_minutes,
    text_of(CAST(FLOOR(o.delivery_address_lat * 50) / 50.0 AS DECIMAL(9, 2))) || ','
        || text_of(CAST(FLOOR(o.delivery_address_lng * 50) / 50.0 AS DECIMAL(9, 2))) AS area
FROM fact_deliveries AS d
LEFT JOIN fact_orders AS o ON o.order_id = d.order_id
LEFT JOIN final_batches AS f ON f.delivery_id = d.delivery_id
LEFT JOIN delivered_in_batch AS n ON n.batch_id = f.batch_id
