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
    SELECT a.user_id, a.watched_seconds, a.session_date
    FROM agg_user_daily AS a
    LEFT JOIN user_cumulative_snapshot AS o ON o.user_id = a.user_id
    WHERE o.last_updated_date IS NULL OR a.session_date > o.last_updated_date
)
SELECT user_id, CAST(SUM(seconds) AS BIGINT) AS total_view_time_seconds, MAX(day) AS last_updated_date
FROM added
GROUP BY user_id
