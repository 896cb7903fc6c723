-- Binge sessions: 3 or more episodes of one series viewed by one user within 24 hours. Runs of such hours that share an episode
-- are one binge. An episode viewed again within 24 hours counts once. Without internal users.
-- key: user_key, series_key, started_at
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: user_key = user
-- column: series_key = series
-- column: content_key = its first episode
-- column: started_at = start of the first view [UTC]
-- column: last_started_at = start of the last view [UTC]
-- column: title_age_days = days since the release of its first episode [days]
-- column: episodes = episodes viewed
WITH views AS (
    SELECT
        user_key, series_key, content_key, session_id, started_at, title_age_days,
        LAG(started_at) OVER (
            PARTITION BY user_key, series_key, content_key ORDER BY started_at, session_id
        ) AS seen_at
    FROM sessions
    WHERE is_view AND user_key IS NOT NULL AND series_key IS NOT NULL AND trailer_of_content_key IS NULL
),
fresh AS (
    SELECT
        user_key, series_key, content_key, session_id, started_at, title_age_days,
        LAG(started_at, 2) OVER in_series AS third_last_at,
        LEAD(started_at) OVER in_series AS next_at,
        LAG(started_at) OVER in_series AS before_at,
        LEAD(started_at, 2) OVER in_series AS third_next_at
    FROM views
    WHERE seen_at IS NULL OR hours_between(seen_at, started_at) > 24
    WINDOW in_series AS (PARTITION BY user_key, series_key ORDER BY started_at, session_id)
),
marked AS (
    SELECT
        f.*,
        COALESCE(hours_between(third_last_at, started_at) <= 24, FALSE) AS closes,
        COALESCE(hours_between(before_at, next_at) <= 24, FALSE) AS is_middle,
        COALESCE(hours_between(started_at, third_next_at) <= 24, FALSE) AS opens
    FROM fresh AS f
),
-- A view hangs together with the one before where three in a row hold both.
runs AS (
    SELECT
        m.*,
        SUM(CASE WHEN closes OR is_middle THEN 0 ELSE 1 END) OVER (
            PARTITION BY user_key, series_key ORDER BY started_at, session_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS run
    FROM marked AS m
    WHERE closes OR is_middle OR opens
)
SELECT
    user_key,
    series_key,
    MIN(CASE WHEN started_at = first_at THEN content_key END) AS content_key,
    MIN(started_at) AS started_at,
    MAX(started_at) AS last_started_at,
    MIN(CASE WHEN started_at = first_at THEN title_age_days END) AS title_age_days,
    COUNT(DISTINCT content_key) AS episodes
FROM (
    SELECT r.*, MIN(started_at) OVER (PARTITION BY user_key, series_key, run) AS first_at
    FROM runs AS r
) AS r
GROUP BY user_key, series_key, run
