-- Who viewed the trailer of a title, and whether they viewed the title itself after that. Without internal users.
-- kind: view
-- key: user_key, content_key
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: user_key = user
-- column: content_key = the title that the trailer is for
-- column: started_at = first view of the trailer [UTC]
-- column: title_age_days = days since the title's release [days]
-- column: has_viewed_title = viewed the title after that
WITH trailers AS (
    SELECT user_key, trailer_of_content_key AS content_key, MIN(started_at) AS started_at
    FROM sessions
    WHERE is_view AND user_key IS NOT NULL AND trailer_of_content_key IS NOT NULL
    GROUP BY user_key, trailer_of_content_key
),
views AS (
    SELECT user_key, content_key, MAX(started_at) AS last_at
    FROM sessions
    WHERE is_view
    GROUP BY user_key, content_key
)
SELECT
    t.user_key,
    t.content_key,
    t.started_at,
    days_between(c.release_date, t.started_at) AS title_age_days,
    COALESCE(v.last_at > t.started_at, FALSE) AS has_viewed_title
FROM trailers AS t
LEFT JOIN titles AS c ON c.content_key = t.content_key
LEFT JOIN views AS v ON v.user_key = t.user_key AND v.content_key = t.content_key
