-- Views of content and positions in the feed, by event, without internal users.
-- kind: view
-- time: occurred_at
-- references: user_id members
-- column: user_id = who
-- column: user_session = user and the session that the client put it in, in one
-- column: occurred_at = when [UTC]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: viewed = post, video or story; NULL of other events
-- column: completed = the view reached the end
SELECT
    e.user_id,
    e.user_id || ' ' || e.session_id AS user_session,
    e.occurred_at,
    e.device,
    days_between(m.signup_date, e.event_date) AS tenure_days,
    e.viewed,
    e.completed
FROM event_log AS e
LEFT JOIN members AS m ON m.user_id = e.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
