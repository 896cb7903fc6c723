-- Small jobs inside of uploads and whether they were done. Without internal users. An undated one counts when its upload
-- began, else at the newest moment.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: subtask = what
-- column: started_at = when [UTC]
-- column: is_ok = it was done
WITH newest AS (
    SELECT COALESCE(MAX(started_at), CAST('2000-01-01' AS TIMESTAMP)) AS moment
    FROM upload_facts
)
SELECT
    s.upload_id,
    s.subtask,
    COALESCE(s.started_at, u.started_at, n.moment) AS started_at,
    COALESCE(o.is_ok, FALSE) AS is_ok
FROM upload_subtasks AS s
CROSS JOIN newest AS n
LEFT JOIN outcomes AS o ON o.status = LOWER(TRIM(s.status))
LEFT JOIN upload_facts AS u ON u.upload_id = s.upload_id
WHERE NOT COALESCE(u.is_internal, FALSE)
