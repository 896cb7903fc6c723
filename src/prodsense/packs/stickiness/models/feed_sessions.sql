-- Sessions in which the feed was scrolled, and how far. Without internal users.
-- kind: view
-- time: started_at
-- references: user_id members
-- column: user_id = who
-- column: session_id = session
-- column: started_at = first event in the feed [UTC]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: depth = furthest position [items]
SELECT
    e.user_id,
    e.session_id,
    MIN(e.occurred_at) AS started_at,
    MIN(e.device) AS device,
    days_between(MIN(m.signup_date), MIN(e.event_date)) AS tenure_days,
    MAX(e.scroll_position) AS depth
FROM event_log AS e
LEFT JOIN members AS m ON m.user_id = e.user_id
WHERE e.scroll_position IS NOT NULL
    AND e.session_id IS NOT NULL
    AND COALESCE(e.feature_name, 'feed') IN ('feed', 'news_feed')
    AND NOT COALESCE(m.is_internal, FALSE)
GROUP BY e.user_id, e.session_id
