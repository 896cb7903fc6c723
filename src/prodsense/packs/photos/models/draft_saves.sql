-- Uploads and the drafts that they were saved as; a draft of no known upload is a row by itself. Empty where no draft was
-- ever saved: the product has none then.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload; NULL of a draft of no known one
-- column: started_at = when the upload began, else when the draft was saved [UTC]
-- column: draft = what was saved: the upload, or the draft of no known one
WITH known AS (
    SELECT COUNT(saved_at) AS drafts
    FROM drafts
)
SELECT u.upload_id, u.started_at, CASE WHEN u.draft_id IS NOT NULL THEN u.upload_id END AS draft
FROM upload_facts AS u
CROSS JOIN known AS k
WHERE k.drafts > 0 AND NOT u.is_internal
UNION ALL
SELECT NULL, d.saved_at, 'draft ' || d.draft_id
FROM draft_log AS d
LEFT JOIN upload_facts AS u ON u.upload_id = d.upload_id
WHERE u.upload_id IS NULL
