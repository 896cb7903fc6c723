-- Users who are churned when a month begins (not active in the churn_days (28) days before it, though earlier) and whether
-- they became active again within it. Without internal users.
-- kind: view
-- time: month
-- references: user_id members
-- column: user_id = user
-- column: month = first day of the month [day]
-- column: tenure_days = days since signup, when the month begins [days]
-- column: is_resurrected = active again in the month
WITH cuts AS (
    SELECT COALESCE(MAX(value), 28) AS churn_days
    FROM settings
    WHERE setting = 'churn_days'
),
user_days AS (
    SELECT DISTINCT user_id, activity_date
    FROM activity
),
spells AS (
    SELECT
        user_id,
        activity_date,
        LEAD(activity_date) OVER (PARTITION BY user_id ORDER BY activity_date) AS next_date
    FROM user_days
),
months AS (
    SELECT DISTINCT period_start(activity_date, 'month') AS month
    FROM user_days
)
SELECT
    s.user_id,
    n.month,
    days_between(m.signup_date, n.month) AS tenure_days,
    COALESCE(period_start(s.next_date, 'month') = n.month, FALSE) AS is_resurrected
FROM spells AS s
CROSS JOIN cuts AS c
JOIN months AS n
    ON days_between(s.activity_date, n.month) > c.churn_days AND (s.next_date IS NULL OR s.next_date >= n.month)
LEFT JOIN members AS m ON m.user_id = s.user_id
