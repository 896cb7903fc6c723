-- The newest moment of which anything is known: what "as of now" means for numbers that age.
-- kind: view
-- time: moment
-- column: moment = newest moment [UTC]
SELECT MAX(moment) AS moment
FROM (
    SELECT MAX(ended_at) AS moment FROM session_facts
    UNION ALL SELECT MAX(started_at) FROM session_facts
    UNION ALL SELECT MAX(GREATEST(started_at, ended_at, trial_started_at, converted_to_paid_at)) FROM subscriptions
    UNION ALL SELECT MAX(GREATEST(added_at, removed_at)) FROM watchlist_items
    UNION ALL SELECT MAX(event_timestamp) FROM feature_usage
) AS moments
