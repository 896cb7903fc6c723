-- Of the users active in a month, which share was so on 1, 2, ... days: the histogram. Without internal users.
-- param: month date = null, any day of the month; the newest month with activity by default
WITH newest AS (
    SELECT COALESCE(period_start(:month, 'month'), MAX(month)) AS month
    FROM user_month_active_days
),
counted AS (
    SELECT d.active_days, COUNT(*) AS users
    FROM user_month_active_days AS d
    JOIN newest AS n ON n.month = d.month
    JOIN members AS m ON m.user_id = d.user_id
    WHERE NOT m.is_internal
    GROUP BY d.active_days
),
whole AS (
    SELECT SUM(users) AS users
    FROM counted
),
days AS (
    SELECT day_list(CAST('2000-01-01' AS DATE), CAST('2000-01-31' AS DATE)) AS day
),
steps AS (
    SELECT days_between(CAST('1999-12-31' AS DATE), day) AS active_days
    FROM days
)
SELECT
    n.month,
    s.active_days,
    COALESCE(c.users, 0) AS users,
    ratio(COALESCE(c.users, 0), w.users) AS share,
    100 * ratio(COALESCE(c.users, 0), w.users) AS percent_of_users
FROM newest AS n
CROSS JOIN whole AS w
JOIN steps AS s ON s.active_days <= days_between(n.month, period_start(add_days(n.month, 31), 'month'))
LEFT JOIN counted AS c ON c.active_days = s.active_days
WHERE w.users > 0
ORDER BY s.active_days
