-- Titles by day: one row per title and day with sessions.
-- key: content_key, session_date    partition: session_date    late: 3 days
-- references: content_key dim_content
-- column: content_key = title
-- column: session_date = day [day]
-- column: viewers = users with a session
-- column: sessions = sessions begun
-- column: views = views
-- column: ended_sessions = sessions that are over
-- column: completed_sessions = those that completed the title
-- column: watched_seconds = watched time [seconds]
-- column: completion_rate = completed over ended sessions [share]
SELECT
    content_key,
    session_date,
    COUNT(DISTINCT user_key) AS viewers,
    COUNT(*) AS sessions,
    COUNT(CASE WHEN is_view THEN 1 END) AS views,
    COUNT(CASE WHEN NOT is_open THEN 1 END) AS ended_sessions,
    COUNT(CASE WHEN NOT is_open AND is_completed THEN 1 END) AS completed_sessions,
    CAST(COALESCE(SUM(watched_seconds), 0) AS BIGINT) AS watched_seconds,
    share(is_completed) FILTER (WHERE NOT is_open) AS completion_rate
FROM sessions
WHERE content_key IS NOT NULL
GROUP BY content_key, session_date
