-- The platform's day, for dashboards. Without internal users.
-- key: activity_date    partition: activity_date    late: 3 days
-- column: activity_date = day [day]
-- column: active_users = distinct users with a session
-- column: sessions = sessions
-- column: watched_seconds = watched time [seconds]
-- column: views = views; open sessions inside once they are long enough
-- column: completed = sessions that completed their title
SELECT
    s.session_date AS activity_date,
    COUNT(DISTINCT s.user_key) AS active_users,
    COUNT(*) AS sessions,
    CAST(SUM(COALESCE(watched_seconds, 0)) AS BIGINT) AS watched_seconds,
    COUNT(CASE WHEN s.is_long_enough THEN 1 END) AS views,
    COUNT(CASE WHEN is_completed THEN 1 END) AS completed
FROM session_facts AS s
LEFT JOIN dim_users AS u ON u.user_key = s.user_key
WHERE NOT COALESCE(u.is_internal, FALSE)
GROUP BY s.session_date
