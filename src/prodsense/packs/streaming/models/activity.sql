-- What makes a user active: viewing, and uses of features. Without internal users.
-- kind: view
-- time: acted_at
-- references: user_key viewers
-- column: user_key = user
-- column: acted_at = when [UTC]
-- column: activity_date = day [day]
-- column: feature = profiles, downloads, watchlist, parental_controls, or the feature's name; NULL of viewing
SELECT user_key, started_at AS acted_at, session_date AS activity_date, NULL AS feature
FROM sessions
UNION ALL
SELECT
    COALESCE(u.user_key, key_of(f.user_id)),
    f.event_timestamp,
    date_of(f.event_timestamp),
    CASE
        WHEN LOWER(f.feature_name) LIKE '%profile%' THEN 'profiles'
        WHEN LOWER(f.feature_name) LIKE '%download%' THEN 'downloads'
        WHEN LOWER(f.feature_name) LIKE '%watchlist%' OR LOWER(f.feature_name) LIKE '%watch_list%' THEN 'watchlist'
        WHEN LOWER(f.feature_name) LIKE '%parental%' THEN 'parental_controls'
        ELSE COALESCE(LOWER(f.feature_name), 'other')
    END
FROM feature_usage AS f
LEFT JOIN viewers AS u ON u.user_id = f.user_id
WHERE f.event_timestamp IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
