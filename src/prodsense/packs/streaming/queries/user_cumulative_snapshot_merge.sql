-- The rows of user_cumulative_snapshot_daily_upsert in the form of a MERGE: users whom the snapshot knows are matched and get
-- the days after theirs added, others are inserted with what they watched. The result is the same.
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
source AS (
    SELECT d.user_id, SUM(d.seconds) AS delta, MAX(d.day) AS newest
    FROM days AS d
    CROSS JOIN chosen AS c
    LEFT JOIN user_cumulative_snapshot AS t ON t.user_id = d.user_id
    WHERE d.day <= c.day AND d.day > COALESCE(t.last_updated_date, CAST('0001-01-01' AS DATE))
    GROUP BY d.user_id
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
