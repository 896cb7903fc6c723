-- Reviews in app stores and whether they mention problems with uploading: by their topic, or by what they say. An undated
-- review counts at the newest moment.
-- kind: view
-- time: said_at
-- column: said_at = when [UTC]
-- column: device = device model
-- column: is_upload_problem = it mentions problems with uploading
WITH newest AS (
    SELECT COALESCE(
        (SELECT MAX(created_at) FROM app_reviews), (SELECT MAX(started_at) FROM upload_facts),
        CAST('2000-01-01' AS TIMESTAMP)
    ) AS moment
),
said AS (
    SELECT created_at, device, LOWER(topic) AS topic, REPLACE(LOWER(text), '’', '''') AS words
    FROM app_reviews
)
SELECT
    COALESCE(s.created_at, n.moment) AS said_at,
    s.device,
    COALESCE(s.topic LIKE '%upload%', FALSE) OR COALESCE(s.words LIKE '%upload%' AND (
        s.words LIKE '%fail%' OR s.words LIKE '%error%' OR s.words LIKE '%problem%' OR s.words LIKE '%issue%'
        OR s.words LIKE '%stuck%' OR s.words LIKE '%slow%' OR s.words LIKE '%crash%' OR s.words LIKE '%freez%'
        OR s.words LIKE '%broken%' OR s.words LIKE '%bug%' OR s.words LIKE '%never%' OR s.words LIKE '%forever%'
        OR s.words LIKE '%cannot%' OR s.words LIKE '%n''t%' OR s.words LIKE '%not %' OR s.words LIKE '%lost%'
    ), FALSE) AS is_upload_problem
FROM said AS s
CROSS JOIN newest AS n
