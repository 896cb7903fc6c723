-- Attempts after the first.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: started_at = when [UTC]
-- column: is_ok = it succeeded
-- column: error_category = why the attempt before had failed
SELECT upload_id, started_at, is_ok, failure_before AS error_category
FROM attempt_log
WHERE attempt_number > 1
