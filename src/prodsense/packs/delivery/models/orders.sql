-- order_facts without those of internal customers: what order metrics count.
-- kind: view
-- key: order_id
-- partition: date_partition
-- time: order_timestamp
-- references: delivery_id deliveries, customer_id dim_customers, restaurant_id dim_restaurants
SELECT o.*
FROM order_facts AS o
WHERE NOT EXISTS (SELECT 1 FROM dim_customers AS c WHERE c.customer_id = o.customer_id AND c.is_internal)
