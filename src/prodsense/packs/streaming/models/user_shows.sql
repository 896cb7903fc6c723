-- Who started which movie or series, and how far they got in it over all sessions. A movie has one part, a series its
-- episodes of the catalogue. It is dated by the first session of it. Without internal users.
-- kind: view
-- key: user_key, show
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: user_key = user
-- column: show = movie or series
-- column: kind = movie or series
-- column: series_key = series
-- column: content_key = the movie, or the first episode that the user started
-- column: started_at = start of the first session [UTC]
-- column: title_age_days = days since that title's release [days]
-- column: parts = parts that there are
-- column: parts_viewed = parts with a view
-- column: parts_completed = parts completed
-- column: watched_pct = percent of its parts above which a series is watched, series_watched_pct (80) [percent]
WITH cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'series_watched_pct' THEN value END), 80) AS watched_pct
    FROM settings
),
catalogue AS (
    SELECT show_name AS show, COUNT(*) AS parts
    FROM titles
    WHERE show_name IS NOT NULL AND trailer_of_content_key IS NULL
    GROUP BY show_name
),
started AS (
    SELECT
        user_key,
        COALESCE(show_name, 'title ' || text_of(content_key)) AS show,
        CASE WHEN show_name IS NULL THEN 'movie' ELSE 'series' END AS kind,
        series_key,
        content_key,
        started_at,
        title_age_days,
        is_view,
        is_completed,
        ROW_NUMBER() OVER (
            PARTITION BY user_key, COALESCE(show_name, 'title ' || text_of(content_key)) ORDER BY started_at, session_id
        ) AS nth
    FROM sessions
    WHERE user_key IS NOT NULL AND trailer_of_content_key IS NULL AND (is_movie OR show_name IS NOT NULL)
),
users AS (
    SELECT
        user_key,
        show,
        kind,
        MIN(series_key) AS series_key,
        MIN(CASE WHEN nth = 1 THEN content_key END) AS content_key,
        MIN(started_at) AS started_at,
        MIN(CASE WHEN nth = 1 THEN title_age_days END) AS title_age_days,
        COUNT(DISTINCT CASE WHEN is_view THEN content_key END) AS parts_viewed,
        COUNT(DISTINCT CASE WHEN is_completed THEN content_key END) AS parts_completed
    FROM started
    GROUP BY user_key, show, kind
)
SELECT
    u.user_key,
    u.show,
    u.kind,
    u.series_key,
    u.content_key,
    u.started_at,
    u.title_age_days,
    GREATEST(COALESCE(c.parts, 1), u.parts_viewed, u.parts_completed) AS parts,
    u.parts_viewed,
    u.parts_completed,
    k.watched_pct
FROM users AS u
CROSS JOIN cuts AS k
LEFT JOIN catalogue AS c ON c.show = u.show
