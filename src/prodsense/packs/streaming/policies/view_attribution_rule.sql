-- Views that are credited wrongly: twice (the same user, profile, device and title from the same moment), to a series that is
-- not the title's, to a title that nobody knows while others are known, or to a profile of another account than the user's;
-- and player sessions whose events name several users or profiles.
WITH views AS (
    SELECT
        v.session_id, v.user_key, v.content_key, v.series_key, v.profile_id, v.device_key, v.started_at,
        COALESCE(f.series_key, v.series_key) AS told_series
    FROM sessions AS v
    LEFT JOIN fact_viewing_sessions AS f ON f.session_id = v.session_id
    WHERE v.is_view
),
told AS (
    SELECT
        'a view is credited twice' AS violation,
        MAX(session_id) AS session_id,
        user_key,
        content_key,
        profile_id,
        COUNT(*) AS rows_told
    FROM views
    WHERE user_key IS NOT NULL AND content_key IS NOT NULL
    GROUP BY user_key, content_key, profile_id, device_key, started_at
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT 'a view is credited to a series that its title is not of', v.session_id, v.user_key, v.content_key, v.profile_id, 1
    FROM views AS v
    JOIN dim_content AS c ON c.content_key = v.content_key
    WHERE v.told_series <> c.series_key OR (c.series_key IS NULL AND v.told_series IS NOT NULL)
    UNION ALL
    SELECT 'a view is of a title that dim_content does not have', v.session_id, v.user_key, v.content_key, v.profile_id, 1
    FROM views AS v
    LEFT JOIN dim_content AS c ON c.content_key = v.content_key
    WHERE c.content_key IS NULL AND EXISTS (SELECT 1 FROM dim_content)
    UNION ALL
    SELECT 'a view is credited to a profile of another account', v.session_id, v.user_key, v.content_key, v.profile_id, 1
    FROM views AS v
    JOIN profiles AS p ON p.profile_id = v.profile_id
    JOIN viewers AS u ON u.user_key = v.user_key
    WHERE p.account_id <> u.account_id AND COALESCE(p.user_id, '') <> u.user_id
    UNION ALL
    SELECT 'a view is credited to a profile that nobody has', v.session_id, v.user_key, v.content_key, v.profile_id, 1
    FROM views AS v
    LEFT JOIN profiles AS p ON p.profile_id = v.profile_id
    WHERE v.profile_id IS NOT NULL AND p.profile_id IS NULL AND EXISTS (SELECT 1 FROM profiles)
    UNION ALL
    SELECT
        'the events of a player session name several users or profiles', NULL, NULL, NULL, MAX(profile_id),
        COUNT(DISTINCT COALESCE(user_id, '') || ' ' || COALESCE(profile_id, ''))
    FROM playback_events
    WHERE session_id IS NOT NULL AND user_id IS NOT NULL
    GROUP BY session_id
    HAVING COUNT(DISTINCT user_id) > 1 OR COUNT(DISTINCT profile_id) > 1
)
SELECT violation, session_id, user_key, content_key, profile_id, rows_told
FROM told
ORDER BY violation, session_id
