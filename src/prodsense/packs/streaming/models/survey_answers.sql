-- Answers to surveys without those of internal users. An undated answer counts at the newest moment of its table.
-- kind: view
-- time: answered_at
-- references: user_key viewers
-- column: user_key = who answers
-- column: answered_at = when [UTC]
-- column: survey_type = csat or nps
-- column: score = the answer [score]
WITH newest AS (
    SELECT COALESCE(MAX(responded_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM survey_responses
)
SELECT
    COALESCE(u.user_key, key_of(s.user_id)) AS user_key,
    COALESCE(s.responded_at, n.moment) AS answered_at,
    LOWER(s.survey_type) AS survey_type,
    s.score
FROM survey_responses AS s
CROSS JOIN newest AS n
LEFT JOIN viewers AS u ON u.user_id = s.user_id
WHERE NOT COALESCE(u.is_internal, FALSE)
