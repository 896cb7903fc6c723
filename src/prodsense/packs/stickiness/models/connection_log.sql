-- Connections by when they were made. Without internal users at either end.
-- kind: view
-- time: created_at
-- references: user_id members
-- column: user_id = who has it
-- column: created_at = since when [UTC]
-- column: tenure_days = days since signup [days]
-- column: connection = both users in one
SELECT
    c.user_id,
    c.created_at,
    days_between(m.signup_date, c.created_at) AS tenure_days,
    c.user_id || ' ' || c.connected_user_id AS connection
FROM connections AS c
LEFT JOIN members AS m ON m.user_id = c.user_id
LEFT JOIN members AS o ON o.user_id = c.connected_user_id
WHERE c.created_at IS NOT NULL
    AND NOT COALESCE(m.is_internal, FALSE)
    AND NOT COALESCE(o.is_internal, FALSE)
