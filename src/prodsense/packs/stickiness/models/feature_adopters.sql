-- New users by feature: whether they used it in their first seven days (days 0 to 6), and whether they were there in the fourth week.
-- What counts as adoption ends before what counts as retention begins, so that nobody is an adopter because they stayed.
-- kind: view
-- time: signup_date
-- references: user_id members
-- column: user_id = user
-- column: signup_date = day 0 [day]
-- column: tenure_days = days since signup at the newest day of activity [days]
-- column: feature_name = feature
-- column: is_adopter = used it on days 0 to 6; NULL where they lie before all activity
-- column: is_retained = active on any of days 21 to 27
WITH features AS (
    SELECT DISTINCT feature_name
    FROM feature_days
),
firsts AS (
    SELECT user_id, feature_name, MIN(activity_date) AS first_use
    FROM feature_days
    GROUP BY user_id, feature_name
)
SELECT
    n.user_id,
    n.signup_date,
    n.tenure_days,
    f.feature_name,
    CASE WHEN n.signup_date >= n.first_day THEN COALESCE(days_between(n.signup_date, u.first_use) <= 6, FALSE) END AS is_adopter,
    n.in_fourth_week AS is_retained
FROM new_users AS n
CROSS JOIN features AS f
LEFT JOIN firsts AS u ON u.user_id = n.user_id AND u.feature_name = f.feature_name
