-- Watched time of users in total after the newest day: what user_cumulative_snapshot held when it was loaded, and the days
-- after it. Made of daily sums, so that late, corrected and old sessions come out right.
-- kind: view
-- completes: user_cumulative_snapshot
-- key: user_id
-- column: user_id = user
-- column: total_view_time_seconds = watched time so far [seconds]
-- column: last_updated_date = newest day in it [day]
WITH added AS (
    SELECT user_id, total_view_time_seconds AS seconds, last_updated_date AS day
    FROM user_cumulative_snapshot
    UNION ALL
    SELECT COALESCE(u.user_id, text_of(a.user_key)), a.watched_seconds, a.activity_date
    FROM agg_user_daily AS a
    LEFT JOIN viewers AS u ON u.user_key = a.user_key
    LEFT JOIN user_cumulative_snapshot AS o ON o.user_id = COALESCE(u.user_id, text_of(a.user_key))
    WHERE o.last_updated_date IS NULL OR a.activity_date > o.last_updated_date
)
SELECT user_id, CAST(SUM(seconds) AS BIGINT) AS total_view_time_seconds, MAX(day) AS last_updated_date
FROM added
GROUP BY user_id
