-- What took how long in which phase: loading the gallery (source_selection) or the camera (camera_experience), applying an
-- edit (editing_filtering), transmitting (upload_transfer). What failed is left out, and internal users are.
-- kind: view
-- time: occurred_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: step = phase
-- column: phase = place of the phase, 1 to 7
-- column: occurred_at = when [UTC]
-- column: seconds = how long [seconds]
-- column: edit_tool = tool, of an edit: of the event, else that of the upload where it used just one
SELECT
    e.upload_id,
    e.step,
    e.phase,
    e.occurred_at,
    e.seconds,
    CASE WHEN e.phase = 4 THEN COALESCE(e.edit_tool, u.edit_tool) END AS edit_tool
FROM event_log AS e
JOIN upload_facts AS u ON u.upload_id = e.upload_id
WHERE e.phase IS NOT NULL AND e.seconds IS NOT NULL AND NOT e.is_error AND e.kind <> 'exit'
    AND e.is_ok IS DISTINCT FROM FALSE AND NOT u.is_internal
