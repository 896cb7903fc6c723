-- One row per order with the delivery that counts for it: the latest that is not cancelled, else the latest.
-- Internal customers are still inside; the view `orders` leaves them out.
-- key: order_id    partition: date_partition    late: 1 day    spread: 1 day
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
WITH final_deliveries AS (
    SELECT *
    FROM delivery_facts
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY order_id
        ORDER BY CASE WHEN delivery_status = 'cancelled' THEN 1 ELSE 0 END, delivery_created_at DESC, delivery_id DESC
    ) = 1
)
SELECT
    o.order_id,
    o.customer_id,
    o.restaurant_id,
    o.order_timestamp,
    o.date_partition,
    o.order_status,
    COALESCE(o.order_status = 'delivered', d.is_delivered, FALSE) AS is_delivered,
    o.order_total_cents,
    o.item_count,
    o.delivery_fee_cents,
    o.tip_amount_cents,
    d.delivery_id,
    d.driver_id,
    d.delivery_type,
    COALESCE(
        COALESCE(o.order_status, d.delivery_status) = 'cancelled'
        AND (
            LOWER(d.cancellation_reason) LIKE '%eta%'
            OR LOWER(d.cancellation_reason) LIKE '%long%wait%'
            OR LOWER(d.cancellation_reason) LIKE '%wait%long%'
            OR LOWER(d.cancellation_reason) LIKE '%too%long%'
        ),
        FALSE
    ) AS is_long_eta_cancelled,
    text_of(CAST(FLOOR(o.delivery_address_lat * 50) / 50.0 AS DECIMAL(9, 2))) || ','
        || text_of(CAST(FLOOR(o.delivery_address_lng * 50) / 50.0 AS DECIMAL(9, 2))) AS area
FROM fact_orders AS o
LEFT JOIN final_deliveries AS d ON d.order_id = o.order_id
