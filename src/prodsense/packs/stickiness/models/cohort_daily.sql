-- Cohorts of new users and how many of them were active on each day of their life: retention by day for any of its columns is
-- a sum over few rows. A cohort is a day of signup, a channel, a campaign and a device. Without internal users.
-- key: cohort_key, day_n
-- time: signup_date
-- column: cohort_key = day of signup, channel, campaign and device in one
-- column: signup_date = day 0 [day]
-- column: acquisition_source = channel
-- column: campaign = campaign
-- column: device = device of the first day that knows one
-- column: day_n = days since signup; day 0 is always there, other days where anybody was active [days]
-- column: cohort_users = users of the cohort [users]
-- column: active_users = of these, active on the day; NULL of a day 0 before the first activity of all [users]
WITH seen AS (
    SELECT MIN(activity_date) AS first_day
    FROM active_days
),
people AS (
    SELECT
        user_id,
        signup_date,
        acquisition_source,
        campaign,
        device,
        text_of(signup_date) || '/' || COALESCE(acquisition_source, '') || '/' || COALESCE(campaign, '')
            || '/' || COALESCE(device, '') AS cohort_key
    FROM members
    WHERE signup_date IS NOT NULL AND NOT is_internal
),
sizes AS (
    SELECT cohort_key, signup_date, acquisition_source, campaign, device, COUNT(*) AS cohort_users
    FROM people
    GROUP BY cohort_key, signup_date, acquisition_source, campaign, device
),
days AS (
    SELECT
        p.cohort_key,
        days_between(p.signup_date, a.activity_date) AS day_n,
        COUNT(DISTINCT a.user_id) AS active_users
    FROM people AS p
    JOIN active_days AS a ON a.user_id = p.user_id
    WHERE a.activity_date >= p.signup_date
    GROUP BY p.cohort_key, days_between(p.signup_date, a.activity_date)
),
all_days AS (
    SELECT cohort_key, day_n, active_users FROM days
    UNION ALL
    SELECT s.cohort_key, 0, CASE WHEN s.signup_date >= n.first_day THEN 0 END
    FROM sizes AS s
    CROSS JOIN seen AS n
    WHERE NOT EXISTS (SELECT 1 FROM days AS d WHERE d.cohort_key = s.cohort_key AND d.day_n = 0)
)
SELECT
    s.cohort_key,
    s.signup_date,
    s.acquisition_source,
    s.campaign,
    s.device,
    d.day_n,
    s.cohort_users,
    d.active_users
FROM all_days AS d
JOIN sizes AS s ON s.cohort_key = d.cohort_key
