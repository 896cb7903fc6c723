-- Shows by viewers, each counted once however many episodes: accounts, profiles, and what summing the episodes would tell.
-- param: top integer = 12, so many shows
WITH views AS (
    SELECT series_key, content_key, account_id, COALESCE(profile_id, 'user ' || text_of(user_key)) AS profile
    FROM sessions
    WHERE is_view AND series_key IS NOT NULL
),
episodes AS (
    SELECT series_key, content_key, COUNT(DISTINCT account_id) AS accounts
    FROM views
    GROUP BY series_key, content_key
),
summed AS (
    SELECT series_key, SUM(accounts) AS accounts
    FROM episodes
    GROUP BY series_key
)
SELECT
    v.series_key,
    COUNT(DISTINCT v.account_id) AS unique_accounts,
    COUNT(DISTINCT v.profile) AS unique_profiles,
    CAST(MIN(s.accounts) AS BIGINT) AS sum_over_episodes
FROM views AS v
JOIN summed AS s ON s.series_key = v.series_key
GROUP BY v.series_key
QUALIFY ROW_NUMBER() OVER (ORDER BY COUNT(DISTINCT v.account_id) DESC, v.series_key) <= :top
ORDER BY unique_accounts DESC, v.series_key
