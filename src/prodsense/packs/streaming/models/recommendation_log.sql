-- Recommended titles, one row an impression, without those of internal users.
-- kind: view
-- key: impression_id
-- time: shown_at
-- references: user_key viewers, content_key titles
-- column: impression_id = impression
-- column: user_key = who saw it
-- column: content_key = title
-- column: shown_at = when it was shown, else clicked, else the newest moment of the table [UTC]
-- column: clicked_at = when it was clicked; NULL if not [UTC]
-- column: title_age_days = days since the title's release [days]
WITH newest AS (
    SELECT COALESCE(GREATEST(MAX(shown_at), MAX(clicked_at)), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM recommendation_events
)
SELECT
    r.impression_id,
    COALESCE(u.user_key, key_of(r.user_id)) AS user_key,
    COALESCE(t.content_key, key_of(r.content_id)) AS content_key,
    COALESCE(r.shown_at, r.clicked_at, n.moment) AS shown_at,
    r.clicked_at,
    days_between(t.release_date, COALESCE(r.shown_at, r.clicked_at, n.moment)) AS title_age_days
FROM recommendation_events AS r
CROSS JOIN newest AS n
LEFT JOIN viewers AS u ON u.user_id = r.user_id
LEFT JOIN titles AS t ON t.content_id = r.content_id
WHERE NOT COALESCE(u.is_internal, FALSE)
