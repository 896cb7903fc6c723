-- Each user's day of viewing, for dashboards. Without internal users.
-- key: user_key, activity_date    partition: activity_date    late: 3 days
-- references: user_key viewers
-- column: user_key = user
-- column: activity_date = day [day]
-- column: sessions = sessions
-- column: watched_seconds = watched time [seconds]
-- column: views = views; open sessions inside once they are long enough
-- column: completed = sessions that completed their title
-- column: titles = distinct titles
SELECT
    s.user_key,
    s.session_date AS activity_date,
    COUNT(*) AS sessions,
    CAST(SUM(COALESCE(watched_seconds, 0)) AS BIGINT) AS watched_seconds,
    COUNT(CASE WHEN s.is_long_enough THEN 1 END) AS views,
    COUNT(CASE WHEN is_completed THEN 1 END) AS completed,
    COUNT(DISTINCT content_key) AS titles
FROM session_facts AS s
LEFT JOIN dim_users AS u ON u.user_key = s.user_key
WHERE s.user_key IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
GROUP BY s.user_key, s.session_date
