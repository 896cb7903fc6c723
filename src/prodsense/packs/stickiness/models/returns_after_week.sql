-- Users active seven days before a day, and whether they were active again on it. Days after the newest activity are left out.
-- kind: view
-- time: day
-- references: user_id members
-- column: user_id = user
-- column: day = the day looked at [day]
-- column: device = kind of device seven days before
-- column: tenure_days = days since signup [days]
-- column: user_day = user and day in one
-- column: came_back = active on the day
WITH newest AS (
    SELECT MAX(activity_date) AS day
    FROM active_days
),
again AS (
    SELECT DISTINCT user_id, activity_date
    FROM active_days
)
SELECT
    a.user_id,
    add_days(a.activity_date, 7) AS day,
    a.device,
    a.tenure_days + 7 AS tenure_days,
    a.user_day,
    r.user_id IS NOT NULL AS came_back
FROM activity AS a
CROSS JOIN newest AS n
LEFT JOIN again AS r ON r.user_id = a.user_id AND r.activity_date = add_days(a.activity_date, 7)
WHERE add_days(a.activity_date, 7) <= n.day
