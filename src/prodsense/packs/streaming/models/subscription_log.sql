-- Subscriptions without those of internal users.
-- kind: view
-- time: started_at
-- references: user_key viewers
-- column: subscription_key = subscription: its id, or else its user and start
-- column: user_key = whose
-- column: tier = its tier, in lower case
-- column: started_at = start; of one that has only a trial, that of the trial [UTC]
-- column: ended_at = end; NULL while it lasts [UTC]
-- column: churn_reason = reason of the cancellation; unknown where not captured
-- column: trial_started_at = start of the trial [UTC]
-- column: trial_ends_at = end of the trial [UTC]
-- column: converted_to_paid_at = when it became paid [UTC]
SELECT
    COALESCE(s.subscription_id, COALESCE(s.user_id, '') || ' ' || COALESCE(text_of(s.started_at), '')
        || ' ' || COALESCE(text_of(s.trial_started_at), '')) AS subscription_key,
    COALESCE(u.user_key, key_of(s.user_id)) AS user_key,
    LOWER(s.tier) AS tier,
    COALESCE(s.started_at, s.trial_started_at) AS started_at,
    s.ended_at,
    CASE WHEN s.ended_at IS NOT NULL THEN COALESCE(NULLIF(LOWER(TRIM(s.churn_reason)), ''), 'unknown') END AS churn_reason,
    s.trial_started_at,
    s.trial_ends_at,
    s.converted_to_paid_at
FROM subscriptions AS s
LEFT JOIN viewers AS u ON u.user_id = s.user_id
WHERE NOT COALESCE(u.is_internal, FALSE)
