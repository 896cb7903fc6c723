-- The seven phases of an upload and the six stages of its funnel. The camera is a way to select, so it opens no stage of its
-- own; the confirmation is success. Editor, caption and camera may be skipped.
-- kind: view
-- key: phase
-- column: phase = place in the flow, 1 to 7
-- column: step = name of the phase
-- column: stage = stage of the funnel that it belongs to, 1 to 6
-- column: stage_name = name of the stage
-- column: is_optional = may be skipped
SELECT 1 AS phase, 'upload_initiation' AS step, 1 AS stage, 'Initiated' AS stage_name, FALSE AS is_optional
UNION ALL
SELECT 2, 'source_selection', 2, 'Media Selected', FALSE
UNION ALL
SELECT 3, 'camera_experience', 2, 'Media Selected', TRUE
UNION ALL
SELECT 4, 'editing_filtering', 3, 'Editor Opened', TRUE
UNION ALL
SELECT 5, 'captioning_tagging', 4, 'Caption Screen', TRUE
UNION ALL
SELECT 6, 'upload_transfer', 5, 'Upload Started', FALSE
UNION ALL
SELECT 7, 'confirmation_post_upload', 6, 'Succeeded', FALSE
