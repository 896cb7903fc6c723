-- Batches by current state among those formed in the 24 hours up to `as_of`, with the trigger of their last change.
-- as_of: fact_delivery_batches.batch_created_at
SELECT
    current_state,
    change_trigger,
    COUNT(*) AS batches
FROM batch_states
WHERE batch_created_at <= :as_of AND batch_created_at > add_minutes(:as_of, -1440)
GROUP BY current_state, change_trigger
ORDER BY current_state, change_trigger NULLS LAST
