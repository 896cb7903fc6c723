-- One row per batch with its state now: the last change in the state log, or, without any, the batch's own status.
-- kind: view
-- key: batch_id
-- partition: date_partition
-- time: state_since
-- references: batch_id batches, driver_id dim_drivers
-- column: batch_id = the batch
-- column: driver_id = who drives
-- column: batching_algorithm_key = the algorithm that formed the batch
-- column: current_state = state after the last change
-- column: state_since = when it changed [UTC]
-- column: change_trigger = what caused it
-- column: driver_lat = latitude of the driver at the change, else the driver's last known [degrees]
-- column: driver_lng = longitude likewise [degrees]
-- column: batch_status = status that the batch itself states
-- column: total_deliveries = deliveries in it; equals its rows in fact_batch_deliveries [deliveries]
-- column: batch_created_at = when the batch was formed [UTC]
-- column: is_open = neither completed nor cancelled
-- column: date_partition = day that its rows belong to [day]
WITH latest AS (
    SELECT *
    FROM fact_batch_state_changes
    QUALIFY ROW_NUMBER() OVER (PARTITION BY batch_id ORDER BY timestamp DESC, state_change_id DESC) = 1
)
SELECT
    b.batch_id,
    b.driver_id,
    b.batching_algorithm_key,
    COALESCE(l.new_state, b.batch_status) AS current_state,
    COALESCE(l.timestamp, b.batch_created_at) AS state_since,
    l.change_trigger,
    COALESCE(l.driver_lat, r.current_lat) AS driver_lat,
    COALESCE(l.driver_lng, r.current_lng) AS driver_lng,
    b.batch_status,
    b.total_deliveries,
    b.batch_created_at,
    COALESCE(l.new_state, b.batch_status, 'created') NOT IN ('completed', 'cancelled') AS is_open,
    b.date_partition
FROM fact_delivery_batches AS b
LEFT JOIN latest AS l ON l.batch_id = b.batch_id
LEFT JOIN dim_drivers AS r ON r.driver_id = b.driver_id
