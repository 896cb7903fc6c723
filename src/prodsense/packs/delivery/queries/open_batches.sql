-- Batches that are neither completed nor cancelled, the longest without a change first: state, since when, trigger,
-- driver and position, and minutes since the change at `as_of`.
-- as_of: fact_batch_state_changes.timestamp
-- param: max_rows integer = 100, most batches listed
WITH listed AS (
    SELECT
        s.*,
        ROW_NUMBER() OVER (ORDER BY s.state_since, s.batch_id) AS place
    FROM batch_states AS s
    WHERE s.is_open AND s.batch_created_at <= :as_of
)
SELECT
    batch_id,
    driver_id,
    current_state,
    state_since,
    minutes_between(state_since, :as_of) AS minutes_in_state,
    change_trigger,
    CAST(driver_lat AS DOUBLE) AS driver_lat,
    CAST(driver_lng AS DOUBLE) AS driver_lng,
    total_deliveries
FROM listed
WHERE place <= :max_rows
ORDER BY state_since, batch_id
