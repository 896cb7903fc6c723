-- Payments to drivers with the trip they belong to. A payment without a time takes that of its delivery, else of its
-- batch, else of its partition; failing all, of the newest order.
-- kind: view
-- partition: date_partition
-- time: earned_at
-- references: driver_id dim_drivers, delivery_id deliveries, batch_id batches
-- column: driver_id = who earned; the driver of the delivery or batch where the payment names none
-- column: delivery_id = the delivery paid; of a payment for a batch, the one dropped off first
-- column: batch_id = the batch paid
-- column: delivery_type = 'batched' or 'individual'; NULL for pay that belongs to no delivery
-- column: amount_cents = amount [cents]
-- column: earned_at = when [UTC]
-- column: date_partition = day of the payment as loaded [day]
SELECT
    COALESCE(e.driver_id, d.driver_id, b.driver_id) AS driver_id,
    COALESCE(e.delivery_id, b.lead_delivery_id) AS delivery_id,
    COALESCE(e.batch_id, d.batch_id) AS batch_id,
    COALESCE(
        d.delivery_type,
        CASE
            WHEN b.batch_id IS NULL THEN NULL
            WHEN b.total_deliveries >= 2 AND NOT b.is_cancelled THEN 'batched'
            ELSE 'individual'
        END
    ) AS delivery_type,
    e.amount_cents,
    COALESCE(
        e.earned_at,
        d.delivered_at,
        b.batch_completed_at,
        b.batch_created_at,
        CAST(e.date_partition AS TIMESTAMP),
        (SELECT MAX(order_timestamp) FROM fact_orders)
    ) AS earned_at,
    e.date_partition
FROM driver_earnings AS e
LEFT JOIN delivery_facts AS d ON d.delivery_id = e.delivery_id
LEFT JOIN batches AS b ON b.batch_id = e.batch_id
