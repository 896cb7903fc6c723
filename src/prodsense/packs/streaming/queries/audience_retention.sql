-- The audience retention curve of a title (that with most viewers unless said) by hundredths of its length: percent of those
-- who started that played up to the point or past it, from the furthest position of each viewer. A second line marks the ends
-- of hundredths in which many more of those still there left than in the five before and after, opening and end apart.
-- param: content_key integer = null, the title
WITH chosen AS (
    SELECT content_key
    FROM sessions
    WHERE content_key IS NOT NULL AND (CAST(:content_key AS BIGINT) IS NULL OR content_key = CAST(:content_key AS BIGINT))
    GROUP BY content_key
    ORDER BY COUNT(DISTINCT user_key) DESC, content_key
    LIMIT 1
),
milestones AS (
    SELECT session_id, MAX(milestone_pct) AS milestone
    FROM playback_milestones_reached
    GROUP BY session_id
),
reached AS (
    SELECT CAST(FLOOR(GREATEST(MAX(s.completion), MAX(m.milestone))) AS BIGINT) AS point
    FROM sessions AS s
    JOIN chosen AS c ON c.content_key = s.content_key
    LEFT JOIN milestones AS m ON m.session_id = s.session_id
    GROUP BY COALESCE(text_of(s.user_key), 'session ' || text_of(s.session_id))
),
counted AS (
    SELECT LEAST(point, 100) AS point, COUNT(*) AS viewers
    FROM reached
    WHERE point IS NOT NULL
    GROUP BY LEAST(point, 100)
),
days AS (
    SELECT day_list(CAST('2000-01-01' AS DATE), CAST('2000-04-10' AS DATE)) AS day
),
points AS (
    SELECT days_between(CAST('2000-01-01' AS DATE), date_of(day)) AS point
    FROM days
),
curve AS (
    SELECT
        p.point,
        COALESCE(c.viewers, 0) AS left_here,
        SUM(COALESCE(c.viewers, 0)) OVER (ORDER BY p.point DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS there
    FROM points AS p
    LEFT JOIN counted AS c ON c.point = p.point
),
nearby AS (
    SELECT
        point,
        there,
        left_here,
        SUM(left_here) OVER around AS left_inside,
        SUM(there) OVER around AS there_inside,
        MAX(there) OVER () AS started
    FROM curve
    WINDOW around AS (ORDER BY point ROWS BETWEEN 5 PRECEDING AND 5 FOLLOWING)
),
steps AS (
    SELECT
        point, there, left_here, started, left_inside - left_here AS left_around, there_inside - there AS there_around
    FROM nearby
)
SELECT point AS percent_of_title, 'still watching' AS line, 100 * ratio(there, started) AS percent_watching
FROM steps
WHERE started > 0
UNION ALL
SELECT point + 1, 'drop-off', 100 * ratio(there - left_here, started)
FROM steps
WHERE point BETWEEN 5 AND 89 AND there >= 30
    AND ratio(left_here, there) >= 0.03 + 3 * COALESCE(ratio(left_around, there_around), 0)
ORDER BY line DESC, percent_of_title
