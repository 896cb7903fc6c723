-- Drafts saved. Without internal users.
-- kind: view
-- key: draft_id
-- time: saved_at
-- references: upload_id upload_facts
-- column: draft_id = draft
-- column: upload_id = upload that it was saved from
-- column: saved_at = when [UTC]
-- column: is_posted = it was posted
SELECT
    d.draft_id,
    d.upload_id,
    d.saved_at,
    d.posted_at IS NOT NULL AS is_posted
FROM drafts AS d
LEFT JOIN upload_facts AS u ON u.upload_id = d.upload_id
LEFT JOIN users AS m ON m.user_id = d.user_id
WHERE d.saved_at IS NOT NULL
    AND NOT COALESCE(u.is_internal OR m.is_internal, u.is_internal, m.is_internal, FALSE)
