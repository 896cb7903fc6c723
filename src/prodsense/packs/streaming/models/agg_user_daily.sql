-- What each user watched on each day, by the day on which sessions started: one row per user and day. It is the ledger from
-- which user_cumulative_snapshot is made. A late or corrected session changes its own day alone.
-- key: user_id, session_date    partition: session_date    late: 3 days
-- references: user_key viewers
-- column: user_id = user
-- column: user_key = user
-- column: session_date = day [day]
-- column: sessions = sessions begun
-- column: views = views
-- column: titles = titles watched
-- column: completed = sessions that completed their title
-- column: watched_seconds = watched time [seconds]
SELECT
    COALESCE(u.user_id, text_of(s.user_key)) AS user_id,
    s.user_key,
    s.session_date,
    COUNT(*) AS sessions,
    COUNT(CASE WHEN s.is_view THEN 1 END) AS views,
    COUNT(DISTINCT s.content_key) AS titles,
    COUNT(CASE WHEN s.is_completed THEN 1 END) AS completed,
    CAST(COALESCE(SUM(s.watched_seconds), 0) AS BIGINT) AS watched_seconds
FROM sessions AS s
LEFT JOIN viewers AS u ON u.user_key = s.user_key
WHERE s.user_key IS NOT NULL
GROUP BY COALESCE(u.user_id, text_of(s.user_key)), s.user_key, s.session_date
