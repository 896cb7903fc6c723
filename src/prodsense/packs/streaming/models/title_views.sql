-- Views of titles, each with whether its user had completed the title before: then they watch it again. Without internal users.
-- kind: view
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: user_key = user
-- column: content_key = title
-- column: started_at = start [UTC]
-- column: title_age_days = days since the title's release [days]
-- column: user_title = user and title in one
-- column: is_completed = completed
-- column: is_again = the user had completed it in an earlier view
-- column: weight_completion = weight in the engagement score, score_weight_completion (1)
-- column: weight_rewatch = weight in the engagement score, score_weight_rewatch (1)
-- column: weight_rating = weight in the engagement score, score_weight_rating (1)
WITH weights AS (
    SELECT
        COALESCE(MAX(CASE WHEN setting = 'score_weight_completion' THEN value END), 1) AS weight_completion,
        COALESCE(MAX(CASE WHEN setting = 'score_weight_rewatch' THEN value END), 1) AS weight_rewatch,
        COALESCE(MAX(CASE WHEN setting = 'score_weight_rating' THEN value END), 1) AS weight_rating
    FROM settings
)
SELECT
    s.user_key,
    s.content_key,
    s.started_at,
    s.title_age_days,
    s.user_title,
    s.is_completed,
    COALESCE(MAX(CASE WHEN s.is_completed THEN 1 ELSE 0 END) OVER (
        PARTITION BY s.user_key, s.content_key ORDER BY s.started_at, s.session_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) = 1 AS is_again,
    w.weight_completion,
    w.weight_rewatch,
    w.weight_rating
FROM sessions AS s
CROSS JOIN weights AS w
WHERE s.is_view AND s.user_key IS NOT NULL AND s.content_key IS NOT NULL
