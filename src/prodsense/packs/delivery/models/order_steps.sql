-- The way of each order as events: placed, then what happened to the delivery that counts for it. A moment that is
-- not known, or has not come, has no row. Without internal customers.
-- kind: view
-- key: order_id, step
-- partition: date_partition
-- time: happened_at
-- references: order_id orders
-- column: order_id = the order
-- column: step = 'placed', 'assigned', 'arrived' (the driver at the restaurant), 'picked_up' or 'delivered'
-- column: happened_at = when [UTC]
-- column: delivery_type = 'batched' or 'individual' as its delivery; NULL without one
-- column: date_partition = day that the order belongs to [day]
WITH steps AS (
    SELECT order_id, 'placed' AS step, order_timestamp AS happened_at, delivery_type, date_partition
    FROM orders
    UNION ALL
    SELECT o.order_id, 'assigned' AS step, d.assigned_to_driver_at, o.delivery_type, o.date_partition
    FROM orders AS o
    JOIN delivery_facts AS d ON d.delivery_id = o.delivery_id
    UNION ALL
    SELECT o.order_id, 'arrived' AS step, d.driver_arrived_at_restaurant_at, o.delivery_type, o.date_partition
    FROM orders AS o
    JOIN delivery_facts AS d ON d.delivery_id = o.delivery_id
    UNION ALL
    SELECT o.order_id, 'picked_up' AS step, d.picked_up_at, o.delivery_type, o.date_partition
    FROM orders AS o
    JOIN delivery_facts AS d ON d.delivery_id = o.delivery_id
    UNION ALL
    SELECT o.order_id, 'delivered' AS step, d.delivered_at, o.delivery_type, o.date_partition
    FROM orders AS o
    JOIN delivery_facts AS d ON d.delivery_id = o.delivery_id
    WHERE o.is_delivered
)
SELECT order_id, step, happened_at, delivery_type, date_partition
FROM steps
WHERE happened_at IS NOT NULL
