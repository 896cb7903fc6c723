-- Each user's first view of an episode, and the hours since their first view of the one before it in the series (one number
-- lower in the season; of a season's first, the last number of the season before that they viewed). NULL where they have not
-- viewed that one, or viewed it later. Without internal users.
-- kind: view
-- key: user_key, content_key
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: user_key = user
-- column: content_key = episode
-- column: series_key = series
-- column: started_at = start of the first view [UTC]
-- column: title_age_days = days since its release [days]
-- column: gap_hours = from the first view of the episode before [hours]
WITH firsts AS (
    SELECT
        user_key, content_key, series_key, season_number, episode_number, MIN(started_at) AS started_at,
        MIN(title_age_days) AS title_age_days
    FROM sessions
    WHERE is_view AND user_key IS NOT NULL AND series_key IS NOT NULL AND episode_number IS NOT NULL
        AND trailer_of_content_key IS NULL
    GROUP BY user_key, content_key, series_key, season_number, episode_number
),
ordered AS (
    SELECT
        f.*,
        LAG(season_number) OVER in_series AS season_before,
        LAG(episode_number) OVER in_series AS episode_before,
        LAG(started_at) OVER in_series AS started_before
    FROM firsts AS f
    WINDOW in_series AS (PARTITION BY user_key, series_key ORDER BY season_number, episode_number, content_key)
)
SELECT
    user_key,
    content_key,
    series_key,
    started_at,
    title_age_days,
    CASE
        WHEN started_at >= started_before AND (
            (season_before = season_number AND episode_before = episode_number - 1)
            OR (season_before = season_number - 1 AND episode_number = 1)
        ) THEN hours_between(started_before, started_at)
    END AS gap_hours
FROM ordered
