-- Watched time of users in total after `process_date`: what user_cumulative_snapshot held when it was loaded, and the watched
-- time of each later day, up to that one. The days are those of the sessions' starts (UTC), kept in agg_user_daily, which late
-- and corrected sessions restate; so a day twice, a day skipped and a day gone back to all give the same total. Users without
-- sessions that day keep their row; a date never moves backwards. The table shows the totals after the newest day.
-- param: process_date date = null, the day; the newest with sessions by default
WITH days AS (
    SELECT COALESCE(u.user_id, text_of(a.user_key)) AS user_id, a.activity_date AS day, a.watched_seconds AS seconds
    FROM agg_user_daily AS a
    LEFT JOIN viewers AS u ON u.user_key = a.user_key
),
chosen AS (
    SELECT COALESCE(CAST(:process_date AS DATE), MAX(day)) AS day
    FROM days
),
added AS (
    SELECT user_id, total_view_time_seconds AS seconds, last_updated_date AS day
    FROM user_cumulative_snapshot
    UNION ALL
    SELECT d.user_id, d.seconds, d.day
    FROM days AS d
    CROSS JOIN chosen AS c
    LEFT JOIN user_cumulative_snapshot AS o ON o.user_id = d.user_id
    WHERE d.day <= c.day AND (o.last_updated_date IS NULL OR d.day > o.last_updated_date)
)
SELECT user_id, CAST(SUM(seconds) AS BIGINT) AS total_view_time_seconds, MAX(day) AS last_updated_date
FROM added
GROUP BY user_id
ORDER BY user_id
