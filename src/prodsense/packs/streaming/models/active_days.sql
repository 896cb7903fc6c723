-- Days on which users watched, each with the user's next one: the newest as of any moment is the one whose next lies behind it.
-- Without internal users.
-- kind: view
-- key: user_key, activity_date
-- time: activity_date
-- references: user_key viewers
-- column: user_key = user
-- column: activity_date = day [day]
-- column: next_date = next day on which the user watched; NULL of the newest [day]
WITH days AS (
    SELECT DISTINCT user_key, session_date AS activity_date
    FROM sessions
    WHERE user_key IS NOT NULL
)
SELECT user_key, activity_date, LEAD(activity_date) OVER (PARTITION BY user_key ORDER BY activity_date) AS next_date
FROM days
