-- Titles by how far their viewers get: sessions that started from `start_date` to `end_date`, both days inside. Of each user
-- and title the furthest completion counts, so that a title watched in several sittings is not pulled down; with per_session
-- each session counts. Titles without a known completion come last.
-- param: start_date date = null, first day, inside; the first of all by default
-- param: end_date date = null, last day, inside; the newest of all by default
-- param: min_sessions integer = 1, fewest sessions of a title
-- param: per_session boolean = false, the mean over sessions instead of over viewers
WITH shown AS (
    SELECT content_key, user_key, session_id, completion
    FROM sessions
    WHERE (CAST(:start_date AS DATE) IS NULL OR session_date >= CAST(:start_date AS DATE))
        AND (CAST(:end_date AS DATE) IS NULL OR session_date <= CAST(:end_date AS DATE))
),
viewers_of AS (
    -- A session of nobody known stands for itself.
    SELECT
        content_key,
        CASE WHEN :per_session OR user_key IS NULL THEN 'session ' || text_of(session_id)
            ELSE text_of(user_key) END AS viewer,
        MAX(completion) AS completion,
        COUNT(*) AS sessions
    FROM shown
    GROUP BY content_key, CASE WHEN :per_session OR user_key IS NULL THEN 'session ' || text_of(session_id)
            ELSE text_of(user_key) END
)
SELECT
    v.content_key,
    c.content_name,
    mean(v.completion) AS avg_completion,
    CAST(SUM(v.sessions) AS BIGINT) AS session_count
FROM viewers_of AS v
JOIN dim_content AS c ON c.content_key = v.content_key
GROUP BY v.content_key, c.content_name
HAVING SUM(v.sessions) >= :min_sessions
ORDER BY avg_completion DESC, session_count DESC, v.content_key
