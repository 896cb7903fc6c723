-- delivery_facts without those of internal customers: what delivery metrics count.
-- kind: view
-- key: delivery_id
-- partition: date_partition
-- time: order_timestamp
-- references: order_id orders, customer_id dim_customers, restaurant_id dim_restaurants, driver_id dim_drivers, batch_id batches, batching_algorithm_key dim_batching_algorithms
SELECT d.*
FROM delivery_facts AS d
WHERE NOT EXISTS (SELECT 1 FROM dim_customers AS c WHERE c.customer_id = d.customer_id AND c.is_internal)
