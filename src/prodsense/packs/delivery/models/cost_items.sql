-- Cost items with what is known of their orders. An item is dated by its order, else by itself, else by its partition,
-- else by the newest order. Items of internal customers' orders are left out.
-- kind: view
-- partition: date_partition
-- time: order_timestamp
-- references: order_id orders, restaurant_id dim_restaurants
-- column: order_id = the order it was spent on, if known
-- column: restaurant_id = who cooked
-- column: order_timestamp = when the order was placed [UTC]
-- column: delivery_type = 'batched' or 'individual'
-- column: area = grid cell of 0.02 degrees of the drop-off
-- column: amount_cents = amount [cents]
-- column: date_partition = day of the item as loaded [day]
SELECT
    i.order_id,
    o.restaurant_id,
    COALESCE(
        o.order_timestamp,
        i.incurred_at,
        CAST(i.date_partition AS TIMESTAMP),
        (SELECT MAX(order_timestamp) FROM fact_orders)
    ) AS order_timestamp,
    o.delivery_type,
    o.area,
    i.amount_cents,
    i.date_partition
FROM delivery_costs AS i
LEFT JOIN order_facts AS o ON o.order_id = i.order_id
WHERE NOT EXISTS (SELECT 1 FROM dim_customers AS c WHERE c.customer_id = o.customer_id AND c.is_internal)
