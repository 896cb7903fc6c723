-- Attempts that failed.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: started_at = when [UTC]
-- column: error_category = why it failed
-- column: is_followed = another attempt followed
-- column: is_retried_by_user = an attempt that the client did not make by itself followed
SELECT upload_id, started_at, error_category, is_followed, is_retried_by_user
FROM attempt_log
WHERE is_failed
