-- Answers to surveys without those of internal users. An undated answer counts at the newest moment of its table.
-- kind: view
-- time: answered_at
-- references: user_id members
-- column: user_id = who answers
-- column: answered_at = when [UTC]
-- column: survey_type = csat or nps
-- column: score = the answer [score]
-- column: tenure_days = days since signup [days]
WITH newest AS (
    SELECT COALESCE(MAX(responded_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM survey_responses
)
SELECT
    s.user_id,
    COALESCE(s.responded_at, n.moment) AS answered_at,
    LOWER(s.survey_type) AS survey_type,
    s.score,
    days_between(m.signup_date, COALESCE(s.responded_at, n.moment)) AS tenure_days
FROM survey_responses AS s
CROSS JOIN newest AS n
LEFT JOIN members AS m ON m.user_id = s.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
