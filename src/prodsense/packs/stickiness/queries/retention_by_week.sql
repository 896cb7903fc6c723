-- Retention on day 1, 7 and 30 by week of signup, from the cohort store: of users whose day has passed by `as_of`.
-- as_of: active_days.activity_date
WITH seen AS (
    SELECT MIN(activity_date) AS first_day
    FROM active_days
),
steps AS (
    SELECT 1 AS day_n
    UNION ALL SELECT 7
    UNION ALL SELECT 30
),
cohorts AS (
    SELECT c.cohort_key, c.signup_date, c.cohort_users, s.day_n
    FROM cohort_daily AS c
    CROSS JOIN steps AS s
    CROSS JOIN seen AS f
    WHERE c.day_n = 0 AND c.signup_date >= f.first_day AND add_days(c.signup_date, s.day_n) <= date_of(:as_of)
)
SELECT
    period_start(c.signup_date, 'week') AS signup_week,
    c.day_n,
    'day ' || text_of(c.day_n) AS day,
    SUM(c.cohort_users) AS users,
    COALESCE(SUM(d.active_users), 0) AS retained,
    100 * ratio(COALESCE(SUM(d.active_users), 0), SUM(c.cohort_users)) AS percent_retained
FROM cohorts AS c
LEFT JOIN cohort_daily AS d ON d.cohort_key = c.cohort_key AND d.day_n = c.day_n
GROUP BY period_start(c.signup_date, 'week'), c.day_n
ORDER BY signup_week, c.day_n
