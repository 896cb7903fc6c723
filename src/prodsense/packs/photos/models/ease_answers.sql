-- Answers on how easy the upload was. Without internal users. An undated answer counts when its upload began, else at the
-- newest moment.
-- kind: view
-- time: answered_at
-- references: upload_id upload_facts
-- column: upload_id = upload that it is about
-- column: answered_at = when [UTC]
-- column: score = the answer [score]
WITH newest AS (
    SELECT COALESCE(MAX(started_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM upload_facts
),
asked AS (
    SELECT *, REPLACE(REPLACE(REPLACE(LOWER(question), 'please', ''), 'release', ''), 'crease', '') AS words
    FROM survey_responses
)
SELECT a.upload_id, COALESCE(a.responded_at, u.started_at, n.moment) AS answered_at, a.score
FROM asked AS a
CROSS JOIN newest AS n
LEFT JOIN upload_facts AS u ON u.upload_id = a.upload_id
LEFT JOIN users AS m ON m.user_id = a.user_id
WHERE (a.words LIKE '%easy%' OR a.words LIKE '%ease%' OR a.words LIKE '%easi%')
    AND NOT COALESCE(u.is_internal OR m.is_internal, u.is_internal, m.is_internal, FALSE)
