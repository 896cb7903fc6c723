-- The rows of user_cumulative_snapshot_daily_upsert in the form of a MERGE: users whom the snapshot knows are matched and get
-- the days after theirs added, others are inserted with what they watched. The result is the same.
-- param: process_date date = null, the day; the newest with sessions by default
WITH chosen AS (
    SELECT COALESCE(CAST(:process_date AS DATE), MAX(session_date)) AS day
    FROM agg_user_daily
),
source AS (
    SELECT a.user_id, SUM(a.watched_seconds) AS delta, MAX(a.session_date) AS newest
    FROM agg_user_daily AS a
    CROSS JOIN chosen AS c
    LEFT JOIN user_cumulative_snapshot AS t ON t.user_id = a.user_id
    WHERE a.session_date <= c.day AND a.session_date > COALESCE(t.last_updated_date, CAST('0001-01-01' AS DATE))
    GROUP BY a.user_id
)
SELECT
    COALESCE(t.user_id, s.user_id) AS user_id,
    CAST(CASE
        WHEN t.user_id IS NULL THEN s.delta
        WHEN s.user_id IS NULL THEN t.total_view_time_seconds
        ELSE t.total_view_time_seconds + s.delta
    END AS BIGINT) AS total_view_time_seconds,
    GREATEST(t.last_updated_date, s.newest) AS last_updated_date
FROM user_cumulative_snapshot AS t
FULL JOIN source AS s ON s.user_id = t.user_id
ORDER BY user_id
