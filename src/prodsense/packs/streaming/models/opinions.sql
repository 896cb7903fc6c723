-- Ratings, reviews, likes, dislikes and shares of titles, without those of internal users. What is undated counts at the newest
-- moment of its table.
-- kind: view
-- time: given_at
-- references: user_key viewers, content_key titles
-- column: user_key = who gives it
-- column: content_key = title
-- column: given_at = when [UTC]
-- column: kind = rating, review, like, dislike or share
-- column: rating = stars of a rating [score 0-5]
-- column: title_age_days = days since the title's release [days]
WITH newest AS (
    SELECT COALESCE(MAX(given_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM title_feedback
),
given AS (
    SELECT user_id, content_id, rated_at AS given_at, 'rating' AS kind, rating FROM title_ratings
    UNION ALL
    SELECT user_id, content_id, created_at, 'review', NULL FROM title_reviews
    UNION ALL
    SELECT
        f.user_id, f.content_id, COALESCE(f.given_at, n.moment),
        CASE
            WHEN LOWER(f.feedback_type) IN ('like', 'thumbs_up', 'up') THEN 'like'
            WHEN LOWER(f.feedback_type) IN ('dislike', 'thumbs_down', 'down') THEN 'dislike'
            ELSE LOWER(f.feedback_type)
        END,
        NULL
    FROM title_feedback AS f
    CROSS JOIN newest AS n
)
SELECT
    COALESCE(u.user_key, key_of(g.user_id)) AS user_key,
    COALESCE(t.content_key, key_of(g.content_id)) AS content_key,
    g.given_at,
    g.kind,
    g.rating,
    days_between(t.release_date, g.given_at) AS title_age_days
FROM given AS g
LEFT JOIN viewers AS u ON u.user_id = g.user_id
LEFT JOIN titles AS t ON t.content_id = g.content_id
WHERE NOT COALESCE(u.is_internal, FALSE)
