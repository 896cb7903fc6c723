-- Engagement of each version of a title (cut, dub); rows of one title add up to the title's own.
-- kind: view
-- key: content_key, version_id
-- references: content_key titles
-- column: content_key = title
-- column: content_name = name
-- column: version_id = version; the title's own id where an event named no version
-- column: version_type = original, dub, cut, or other
-- column: sessions = sessions
-- column: views = views
-- column: viewers = users with a view
-- column: watched_hours = watched time [hours]
-- column: completion_rate = completed over ended sessions [share]
SELECT
    s.content_key,
    MIN(t.content_name) AS content_name,
    COALESCE(s.version_id, t.content_id, text_of(s.content_key)) AS version_id,
    MIN(COALESCE(v.version_type, 'original')) AS version_type,
    COUNT(*) AS sessions,
    COUNT(CASE WHEN s.is_view THEN 1 END) AS views,
    COUNT(DISTINCT CASE WHEN s.is_view THEN s.user_key END) AS viewers,
    ratio(SUM(s.watched_seconds), 3600) AS watched_hours,
    share(s.is_completed) FILTER (WHERE NOT s.is_open) AS completion_rate
FROM sessions AS s
LEFT JOIN titles AS t ON t.content_key = s.content_key
LEFT JOIN content_versions AS v ON v.version_id = COALESCE(s.version_id, t.content_id)
WHERE s.content_key IS NOT NULL
GROUP BY s.content_key, COALESCE(s.version_id, t.content_id, text_of(s.content_key))
