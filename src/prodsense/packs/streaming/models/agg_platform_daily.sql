-- The platform by day: one row per day with sessions. A share and the users of longer times are not sums of these rows.
-- key: session_date    partition: session_date    late: 3 days
-- column: session_date = day [day]
-- column: daily_active_users = users with a session
-- column: sessions = sessions begun
-- column: views = views
-- column: titles = titles watched
-- column: ended_sessions = sessions that are over
-- column: completed_sessions = those that completed their title
-- column: watched_seconds = watched time [seconds]
-- column: streaming_hours = watched time [hours]
-- column: completion_rate = completed over ended sessions [share]
SELECT
    session_date,
    COUNT(DISTINCT user_key) AS daily_active_users,
    COUNT(*) AS sessions,
    COUNT(CASE WHEN is_view THEN 1 END) AS views,
    COUNT(DISTINCT content_key) AS titles,
    COUNT(CASE WHEN NOT is_open THEN 1 END) AS ended_sessions,
    COUNT(CASE WHEN NOT is_open AND is_completed THEN 1 END) AS completed_sessions,
    CAST(COALESCE(SUM(watched_seconds), 0) AS BIGINT) AS watched_seconds,
    ratio(SUM(watched_seconds), 3600) AS streaming_hours,
    share(is_completed) FILTER (WHERE NOT is_open) AS completion_rate
FROM sessions
GROUP BY session_date
