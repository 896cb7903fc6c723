-- Batches by current state among those formed in the 24 hours up to `as_of`, and how many of them came to it by each
-- trigger (the others have no trigger recorded).
-- as_of: fact_delivery_batches.batch_created_at
SELECT
    current_state,
    COUNT(*) AS batches,
    COUNT(*) FILTER (WHERE change_trigger = 'driver_action') AS by_driver_action,
    COUNT(*) FILTER (WHERE change_trigger = 'system_timeout') AS by_system_timeout,
    COUNT(*) FILTER (WHERE change_trigger = 'customer_request') AS by_customer_request,
    COUNT(*) FILTER (WHERE change_trigger = 'restaurant_delay') AS by_restaurant_delay
FROM batch_states
WHERE batch_created_at <= :as_of AND batch_created_at > add_minutes(:as_of, -1440)
GROUP BY current_state
ORDER BY current_state
