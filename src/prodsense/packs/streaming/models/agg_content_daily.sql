-- Each title's day, for dashboards. Without internal users.
-- key: content_key, activity_date    partition: activity_date    late: 3 days
-- references: content_key titles
-- column: content_key = title
-- column: activity_date = day [day]
-- column: sessions = sessions
-- column: watched_seconds = watched time [seconds]
-- column: views = views; open sessions inside once they are long enough
-- column: viewers = distinct users with one
-- column: completed = sessions that completed it
SELECT
    content_key,
    s.session_date AS activity_date,
    COUNT(*) AS sessions,
    CAST(SUM(COALESCE(watched_seconds, 0)) AS BIGINT) AS watched_seconds,
    COUNT(CASE WHEN s.is_long_enough THEN 1 END) AS views,
    COUNT(DISTINCT CASE WHEN s.is_long_enough THEN s.user_key END) AS viewers,
    COUNT(CASE WHEN is_completed THEN 1 END) AS completed
FROM session_facts AS s
LEFT JOIN dim_users AS u ON u.user_key = s.user_key
WHERE s.content_key IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
GROUP BY content_key, s.session_date
