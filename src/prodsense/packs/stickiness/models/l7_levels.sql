-- L7: for each day, everyone active in the seven days that end with it and on how many of them. Without internal users.
-- kind: view
-- time: day
-- key: user_id, day
-- references: user_id members
-- column: user_id = user
-- column: day = last day of the seven [day]
-- column: tenure_days = days since signup [days]
-- column: active_days = days active of the seven, 1 to 7 [days]
WITH user_days AS (
    SELECT DISTINCT user_id, activity_date, tenure_days
    FROM activity
),
newest AS (
    SELECT MAX(activity_date) AS day
    FROM user_days
),
steps AS (
    SELECT 0 AS step
    UNION ALL SELECT 1
    UNION ALL SELECT 2
    UNION ALL SELECT 3
    UNION ALL SELECT 4
    UNION ALL SELECT 5
    UNION ALL SELECT 6
)
SELECT
    u.user_id,
    add_days(u.activity_date, s.step) AS day,
    MAX(u.tenure_days + s.step) AS tenure_days,
    COUNT(*) AS active_days
FROM user_days AS u
CROSS JOIN steps AS s
CROSS JOIN newest AS n
WHERE add_days(u.activity_date, s.step) <= n.day
GROUP BY u.user_id, add_days(u.activity_date, s.step)
