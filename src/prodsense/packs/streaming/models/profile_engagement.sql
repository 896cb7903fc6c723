-- Viewing of each profile of an account; viewing without a profile stands under the user.
-- kind: view
-- key: account_id, profile_id
-- column: account_id = account
-- column: profile_id = profile; NULL for viewing without one
-- column: is_known = the profile is one of the table profiles, of this account
-- column: sessions = sessions
-- column: views = views
-- column: titles = titles viewed
-- column: watched_hours = watched time [hours]
-- column: last_session = newest session [UTC]
SELECT
    s.account_id,
    s.profile_id,
    COALESCE(MIN(CASE WHEN p.account_id = s.account_id THEN 1 ELSE 0 END) = 1, FALSE) AS is_known,
    COUNT(*) AS sessions,
    COUNT(CASE WHEN s.is_view THEN 1 END) AS views,
    COUNT(DISTINCT CASE WHEN s.is_view THEN s.content_key END) AS titles,
    ratio(SUM(s.watched_seconds), 3600) AS watched_hours,
    MAX(s.started_at) AS last_session
FROM sessions AS s
LEFT JOIN profiles AS p ON p.profile_id = s.profile_id
GROUP BY s.account_id, s.profile_id
