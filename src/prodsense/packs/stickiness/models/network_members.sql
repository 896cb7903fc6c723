-- People who can be connected: all users, and whoever has a connection. Without internal users.
-- kind: view
-- key: user_id
-- references: user_id members
-- column: user_id = user
-- column: tenure_days = days since signup at the newest day of activity [days]
-- column: is_known = whether any connection is known
WITH newest AS (
    SELECT MAX(activity_date) AS day
    FROM active_days
),
loaded AS (
    SELECT COUNT(*) > 0 AS is_known
    FROM connections
),
everyone AS (
    SELECT user_id FROM members
    UNION ALL
    SELECT user_id FROM connections
    UNION ALL
    SELECT connected_user_id FROM connections
)
SELECT
    e.user_id,
    MAX(days_between(m.signup_date, n.day)) AS tenure_days,
    l.is_known
FROM everyone AS e
CROSS JOIN loaded AS l
CROSS JOIN newest AS n
LEFT JOIN members AS m ON m.user_id = e.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
GROUP BY e.user_id, l.is_known
