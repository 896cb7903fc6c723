-- Searches without those of internal users.
-- kind: view
-- time: searched_at
-- references: user_key viewers
-- column: user_key = who searched
-- column: searched_at = when; the newest moment of the table where absent [UTC]
-- column: query = what for, in lower case
-- column: is_found = a title was chosen
WITH newest AS (
    SELECT COALESCE(MAX(searched_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM search_events
)
SELECT
    COALESCE(u.user_key, key_of(e.user_id)) AS user_key,
    COALESCE(e.searched_at, n.moment) AS searched_at,
    LOWER(TRIM(e.query)) AS query,
    e.clicked_content_id IS NOT NULL AS is_found
FROM search_events AS e
CROSS JOIN newest AS n
LEFT JOIN viewers AS u ON u.user_id = e.user_id
WHERE NOT COALESCE(u.is_internal, FALSE)
