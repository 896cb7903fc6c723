-- Sessions of what is an episode (by its type, or by having a series) whose rows do not say which series, say another one than
-- the title's, or name the series itself instead of the episode; and sessions of a series without an episode. Sessions folded
-- from events take their series from the title.
WITH episodes AS (
    SELECT
        c.content_key,
        c.content_name,
        c.series_key,
        s.series_key IS NOT NULL AS is_whole_series
    FROM dim_content AS c
    LEFT JOIN (SELECT DISTINCT series_key FROM dim_content WHERE series_key IS NOT NULL) AS s
        ON s.series_key = c.content_key AND c.series_key IS NULL AND c.episode_number IS NULL
        AND LOWER(c.content_type) IN ('series', 'show', 'tv show', 'tv_show')
    WHERE c.series_key IS NOT NULL OR s.series_key IS NOT NULL OR LOWER(c.content_type) = 'episode'
),
told AS (
    SELECT
        v.session_id,
        v.content_key,
        CASE WHEN f.session_id IS NULL THEN v.series_key ELSE f.series_key END AS series_key
    FROM viewing_sessions AS v
    LEFT JOIN fact_viewing_sessions AS f ON f.session_id = v.session_id
),
judged AS (
    SELECT
        CASE
            WHEN e.is_whole_series THEN 'a session names the series instead of the episode'
            WHEN t.series_key IS NULL THEN 'a session of an episode does not say its series'
            WHEN t.series_key <> e.series_key THEN 'a session says another series than its episode'
        END AS violation,
        t.session_id,
        t.content_key,
        e.content_name,
        t.series_key,
        e.series_key AS series_of_title
    FROM told AS t
    JOIN episodes AS e ON e.content_key = t.content_key
    UNION ALL
    SELECT 'a session says a series and no episode', session_id, content_key, NULL, series_key, NULL
    FROM told
    WHERE series_key IS NOT NULL AND content_key IS NULL
)
SELECT violation, session_id, content_key, content_name, series_key, series_of_title
FROM judged
WHERE violation IS NOT NULL
ORDER BY session_id
