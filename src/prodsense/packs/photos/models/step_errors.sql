-- Errors of uploads by phase and category: each phase that an upload reached has a row for each category, so that rates of a
-- category are over all who reached the phase.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: step = phase
-- column: phase = place of the phase, 1 to 7
-- column: started_at = when the upload began [UTC]
-- column: error_category = category of the errors
-- column: errors = how many
WITH categories AS (
    SELECT 'network_timeout' AS error_category
    UNION ALL SELECT 'server_error'
    UNION ALL SELECT 'media_format_unsupported'
    UNION ALL SELECT 'out_of_storage'
    UNION ALL SELECT 'permission_denied'
    UNION ALL SELECT 'other'
)
SELECT
    s.upload_id,
    s.step,
    s.phase,
    s.started_at,
    c.error_category,
    CASE c.error_category
        WHEN 'network_timeout' THEN s.network_timeout
        WHEN 'server_error' THEN s.server_error
        WHEN 'media_format_unsupported' THEN s.media_format_unsupported
        WHEN 'out_of_storage' THEN s.out_of_storage
        WHEN 'permission_denied' THEN s.permission_denied
        ELSE s.errors - s.network_timeout - s.server_error - s.media_format_unsupported - s.out_of_storage
            - s.permission_denied
    END AS errors
FROM upload_steps AS s
CROSS JOIN categories AS c
