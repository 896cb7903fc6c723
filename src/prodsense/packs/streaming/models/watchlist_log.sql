-- Titles put on watchlists, each with the user's first view of it after that. Without internal users.
-- kind: view
-- time: added_at
-- references: user_key viewers, content_key titles
-- column: user_key = whose list
-- column: content_key = title
-- column: added_at = when it was added [UTC]
-- column: removed_at = when it was taken off; NULL while it is on [UTC]
-- column: added_from = where it was added, in lower case
-- column: viewed_at = first view after it was added; NULL if none [UTC]
-- column: stale_days = age in days beyond which it is stale, stale_watchlist_days (30) [days]
-- column: title_age_days = days since the title's release [days]
WITH cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'stale_watchlist_days' THEN value END), 30) AS stale_days
    FROM settings
),
items AS (
    SELECT
        COALESCE(u.user_key, key_of(w.user_id)) AS user_key,
        COALESCE(t.content_key, key_of(w.content_id)) AS content_key,
        w.added_at,
        w.removed_at,
        LOWER(w.added_from) AS added_from,
        days_between(t.release_date, w.added_at) AS title_age_days
    FROM watchlist_items AS w
    LEFT JOIN viewers AS u ON u.user_id = w.user_id
    LEFT JOIN titles AS t ON t.content_id = w.content_id
    WHERE NOT COALESCE(u.is_internal, FALSE)
),
views AS (
    SELECT i.user_key, i.content_key, i.added_at, MIN(s.started_at) AS viewed_at
    FROM items AS i
    JOIN sessions AS s ON s.user_key = i.user_key AND s.content_key = i.content_key
    WHERE s.is_view AND s.started_at >= i.added_at
    GROUP BY i.user_key, i.content_key, i.added_at
)
SELECT
    i.user_key,
    i.content_key,
    i.added_at,
    i.removed_at,
    i.added_from,
    v.viewed_at,
    c.stale_days,
    i.title_age_days
FROM items AS i
CROSS JOIN cuts AS c
LEFT JOIN views AS v ON v.user_key = i.user_key AND v.content_key = i.content_key AND v.added_at = i.added_at
