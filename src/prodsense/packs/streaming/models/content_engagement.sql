-- Titles with what the content system knows of them, beside what is watched of them. A title that is watched and not known
-- is a row with has_metadata false; one that is known and not watched has none.
-- kind: view
-- key: content_key
-- references: content_key titles
-- column: content_key = title
-- column: content_name = name
-- column: content_type = kind of title
-- column: genre = main genre
-- column: actors = cast
-- column: release_year = year of release [year]
-- column: series_key = series
-- column: season_number = season
-- column: episode_number = number in the season
-- column: has_metadata = the content system has it
-- column: viewers = users with a view
-- column: views = views
-- column: watched_hours = watched time [hours]
-- column: completion_rate = completed over ended sessions [share]
WITH watched AS (
    SELECT
        content_key,
        COUNT(DISTINCT CASE WHEN is_view THEN user_key END) AS viewers,
        COUNT(CASE WHEN is_view THEN 1 END) AS views,
        ratio(SUM(watched_seconds), 3600) AS watched_hours,
        share(is_completed) FILTER (WHERE NOT is_open) AS completion_rate
    FROM sessions
    WHERE content_key IS NOT NULL
    GROUP BY content_key
)
SELECT
    COALESCE(c.content_key, w.content_key) AS content_key,
    c.content_name,
    LOWER(c.content_type) AS content_type,
    t.genre,
    c.actors,
    COALESCE(c.release_year, CAST(SUBSTR(text_of(c.release_date), 1, 4) AS INT)) AS release_year,
    c.series_key,
    t.season_number,
    c.episode_number,
    c.content_key IS NOT NULL AS has_metadata,
    COALESCE(w.viewers, 0) AS viewers,
    COALESCE(w.views, 0) AS views,
    COALESCE(w.watched_hours, 0) AS watched_hours,
    w.completion_rate
FROM dim_content AS c
FULL JOIN watched AS w ON w.content_key = c.content_key
LEFT JOIN titles AS t ON t.content_key = c.content_key
