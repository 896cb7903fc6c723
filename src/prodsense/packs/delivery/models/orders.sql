-- order_facts without those of internal customers: what order metrics count.
-- kind: view
-- key: order_id
-- partition: date_partition
-- time: order_timestamp
-- references: delivery_id deliveries, customer_id dim_customers, restaurant_id dim_restaurants
-- column: order_id = the order
-- column: customer_id = the customer
-- column: restaurant_id = the restaurant
-- column: order_timestamp = when the order was placed [UTC]
-- column: date_partition = day that its rows belong to [day]
-- column: order_status = where the order stands
-- column: is_delivered = order_status is 'delivered'; where it is unknown, its delivery was delivered
-- column: order_total_cents = price of the goods [cents]
-- column: item_count = items ordered [items]
-- column: delivery_fee_cents = fee that the customer pays for delivery [cents]
-- column: tip_amount_cents = tip for the driver [cents]
-- column: delivery_id = the delivery that counts; NULL when there is none
-- column: driver_id = the driver
-- column: delivery_type = 'batched' or 'individual' as its delivery; NULL without one
-- column: is_long_eta_cancelled = cancelled because the customer would not wait so long
-- column: area = grid cell of 0.02 degrees of the drop-off: 'latitude,longitude' of its south-west corner
SELECT o.*
FROM order_facts AS o
WHERE NOT EXISTS (SELECT 1 FROM dim_customers AS c WHERE c.customer_id = o.customer_id AND c.is_internal)
