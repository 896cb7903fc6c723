-- When uploads reached the stages of the funnel, one row per upload and stage: a stage that was skipped is reached with the
-- next one that was not. Without internal users.
-- kind: view
-- key: upload_id, stage
-- time: reached_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: stage = Initiated, Media Selected, Editor Opened, Caption Screen, Upload Started or Succeeded
-- column: place = place of the stage, 1 to 6
-- column: reached_at = when [UTC]
-- column: file_size_band = size of the file in bands
-- column: network_type = network
-- column: region = region
-- column: device = device model
-- column: device_age = age of the device in bands
WITH stages AS (
    SELECT DISTINCT stage, stage_name
    FROM phases
),
reached AS (
    SELECT
        u.upload_id,
        s.stage_name AS stage,
        s.stage AS place,
        CASE s.stage WHEN 1 THEN u.initiated_at WHEN 2 THEN u.selected_at WHEN 3 THEN u.edited_at
            WHEN 4 THEN u.captioned_at WHEN 5 THEN u.sent_at ELSE u.succeeded_at END AS reached_at,
        u.file_size_band,
        u.network_type,
        u.region,
        u.device,
        u.device_age
    FROM upload_facts AS u
    CROSS JOIN stages AS s
    WHERE u.is_logged AND NOT u.is_internal
)
SELECT upload_id, stage, place, reached_at, file_size_band, network_type, region, device, device_age
FROM reached
WHERE reached_at IS NOT NULL
