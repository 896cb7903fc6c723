-- Titles that could be watched on a day of the newest 28 days with sessions, popular or cold: cold has no viewer, or under 1% of
-- all viewers of these days. Titles without any view are among them. Without content_availability, those that were watched.
-- kind: view
-- key: content_key
-- references: content_key dim_content
-- column: content_id = title
-- column: content_key = title
-- column: content_name = name
-- column: since = first of the days [day]
-- column: until = last of the days, inside [day]
-- column: viewers = users with a view in these days
-- column: views = views in these days
-- column: last_viewed = newest day with a view, of all time [day]
-- column: popularity = popular or cold
WITH days AS (
    SELECT MAX(session_date) AS until, add_days(MAX(session_date), -27) AS since
    FROM sessions
),
views AS (
    SELECT s.content_key, s.user_key, s.session_date, s.session_date >= d.since AS is_recent
    FROM sessions AS s
    CROSS JOIN days AS d
    WHERE s.is_view AND s.content_key IS NOT NULL
),
titles AS (
    SELECT DISTINCT COALESCE(c.content_key, key_of(a.content_id)) AS content_key, a.content_id
    FROM content_availability AS a
    CROSS JOIN days AS d
    LEFT JOIN dim_content AS c ON COALESCE(c.content_id, text_of(c.content_key)) = a.content_id
    WHERE COALESCE(a.available_from, d.until) <= d.until AND COALESCE(a.available_to, d.since) >= d.since
    UNION ALL
    SELECT DISTINCT v.content_key, COALESCE(c.content_id, text_of(v.content_key))
    FROM views AS v
    LEFT JOIN dim_content AS c ON c.content_key = v.content_key
    WHERE v.is_recent AND NOT EXISTS (SELECT 1 FROM content_availability)
),
watched AS (
    SELECT
        content_key,
        COUNT(DISTINCT CASE WHEN is_recent THEN user_key END) AS viewers,
        COUNT(CASE WHEN is_recent THEN 1 END) AS views,
        MAX(session_date) AS last_viewed
    FROM views
    GROUP BY content_key
),
crowd AS (
    SELECT COUNT(DISTINCT user_key) AS viewers
    FROM views
    WHERE is_recent
)
SELECT
    t.content_id,
    t.content_key,
    c.content_name,
    d.since,
    d.until,
    COALESCE(w.viewers, 0) AS viewers,
    COALESCE(w.views, 0) AS views,
    w.last_viewed,
    CASE WHEN COALESCE(w.viewers, 0) > 0 AND w.viewers * 100 >= p.viewers THEN 'popular' ELSE 'cold' END AS popularity
FROM titles AS t
CROSS JOIN days AS d
CROSS JOIN crowd AS p
LEFT JOIN dim_content AS c ON c.content_key = t.content_key
LEFT JOIN watched AS w ON w.content_key = t.content_key
