-- Events of uploads with what they mean. A row logged twice counts once. Internal users are still inside.
-- partition: event_date    late: 1 day
-- time: occurred_at
-- column: upload_id = upload
-- column: user_id = who uploads
-- column: step = phase by its name; NULL where the log names none that is known
-- column: phase = place of the phase in the flow, 1 to 7
-- column: kind = start, end, error or exit, or what else the log says
-- column: occurred_at = when [UTC]
-- column: event_date = day of it [day]
-- column: is_ok = the status says that it went well; NULL where it says nothing
-- column: is_error = an error: by its kind or by a code
-- column: error_code = code of the error
-- column: seconds = what took time [seconds]
-- column: edit_tool = tool of an edit, in lower case
WITH events AS (
    SELECT DISTINCT
        event_id,
        upload_id,
        user_id,
        REPLACE(REPLACE(LOWER(TRIM(step)), '-', '_'), ' ', '_') AS step,
        LOWER(TRIM(event_type)) AS event_type,
        timestamp,
        LOWER(TRIM(status)) AS status,
        duration_ms,
        error_code,
        LOWER(TRIM(edit_tool)) AS edit_tool
    FROM upload_events
),
named AS (
    SELECT
        e.*,
        CASE
            WHEN step IN ('upload_initiation', 'initiation', 'initiated', '1') THEN 1
            WHEN step IN ('source_selection', 'media_selection', 'media_selected', '2') THEN 2
            WHEN step IN ('camera_experience', 'camera', '3') THEN 3
            WHEN step IN ('editing_filtering', 'editing', 'editor_opened', '4') THEN 4
            WHEN step IN ('captioning_tagging', 'captioning', 'caption_screen', '5') THEN 5
            WHEN step IN ('upload_transfer', 'transfer', 'upload_started', '6') THEN 6
            WHEN step IN ('confirmation_post_upload', 'confirmation', 'succeeded', '7') THEN 7
        END AS phase,
        CASE
            WHEN event_type IN ('start', 'started', 'begin') THEN 'start'
            WHEN event_type IN ('end', 'ended', 'complete', 'completed', 'finish', 'finished') THEN 'end'
            WHEN event_type IN ('error', 'failed', 'failure') THEN 'error'
            WHEN event_type IN ('exit', 'exited', 'abandon', 'abandoned', 'cancel', 'cancelled') THEN 'exit'
            ELSE event_type
        END AS kind
    FROM events AS e
)
SELECT
    n.upload_id,
    n.user_id,
    p.step,
    n.phase,
    n.kind,
    n.timestamp AS occurred_at,
    date_of(n.timestamp) AS event_date,
    o.is_ok,
    n.kind = 'error' OR n.error_code IS NOT NULL AS is_error,
    n.error_code,
    n.duration_ms / 1000.0 AS seconds,
    n.edit_tool
FROM named AS n
LEFT JOIN phases AS p ON p.phase = n.phase
LEFT JOIN outcomes AS o ON o.status = n.status
