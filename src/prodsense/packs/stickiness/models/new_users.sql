-- Users by day of signup and whether they were active on later days of their life: NULL of days before the first activity of
-- all, of which nothing is known. Without internal users, and without those whose signup is not known.
-- kind: view
-- time: signup_date
-- key: user_id
-- references: user_id members
-- column: user_id = user
-- column: signup_date = day 0 [day]
-- column: first_day = first day on which anybody was active [day]
-- column: tenure_days = days since signup at the newest day of activity [days]
-- column: on_day_1 = active on day 1
-- column: on_day_7 = active on day 7
-- column: on_day_30 = active on day 30
-- column: in_fourth_week = active on any of days 21 to 27
WITH seen AS (
    SELECT MIN(activity_date) AS first_day, MAX(activity_date) AS newest_day
    FROM active_days
),
lives AS (
    SELECT
        m.user_id,
        MAX(CASE WHEN days_between(m.signup_date, a.activity_date) = 1 THEN 1 ELSE 0 END) AS day_1,
        MAX(CASE WHEN days_between(m.signup_date, a.activity_date) = 7 THEN 1 ELSE 0 END) AS day_7,
        MAX(CASE WHEN days_between(m.signup_date, a.activity_date) = 30 THEN 1 ELSE 0 END) AS day_30,
        MAX(CASE WHEN days_between(m.signup_date, a.activity_date) BETWEEN 21 AND 27 THEN 1 ELSE 0 END) AS later
    FROM members AS m
    JOIN active_days AS a ON a.user_id = m.user_id
    WHERE days_between(m.signup_date, a.activity_date) BETWEEN 1 AND 30
    GROUP BY m.user_id
)
SELECT
    m.user_id,
    m.signup_date,
    s.first_day,
    days_between(m.signup_date, s.newest_day) AS tenure_days,
    CASE WHEN add_days(m.signup_date, 1) >= s.first_day THEN COALESCE(l.day_1, 0) = 1 END AS on_day_1,
    CASE WHEN add_days(m.signup_date, 7) >= s.first_day THEN COALESCE(l.day_7, 0) = 1 END AS on_day_7,
    CASE WHEN add_days(m.signup_date, 30) >= s.first_day THEN COALESCE(l.day_30, 0) = 1 END AS on_day_30,
    CASE WHEN add_days(m.signup_date, 21) >= s.first_day THEN COALESCE(l.later, 0) = 1 END AS in_fourth_week
FROM members AS m
CROSS JOIN seen AS s
LEFT JOIN lives AS l ON l.user_id = m.user_id
WHERE m.signup_date IS NOT NULL AND NOT m.is_internal
