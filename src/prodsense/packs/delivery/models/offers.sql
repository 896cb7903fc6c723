-- Batch offers with the driver and the time that they need: those of the batch where the offer states none.
-- kind: view
-- key: offer_id
-- partition: date_partition
-- time: offered_at
-- references: batch_id batches, driver_id dim_drivers
-- column: offer_id = the offer
-- column: batch_id = the batch offered
-- column: driver_id = to whom; the batch's driver where the offer names none
-- column: offered_at = when; the batch's creation where absent [UTC]
-- column: is_accepted = the decision is 'accepted'; an open or lapsed offer is not
-- column: date_partition = day of the offer as loaded [day]
SELECT
    o.offer_id,
    o.batch_id,
    COALESCE(o.driver_id, b.driver_id) AS driver_id,
    COALESCE(o.offered_at, b.batch_created_at) AS offered_at,
    COALESCE(LOWER(o.decision) IN ('accepted', 'accept'), FALSE) AS is_accepted,
    o.date_partition
FROM batch_offers AS o
LEFT JOIN fact_delivery_batches AS b ON b.batch_id = o.batch_id
