-- The phases that each upload reached, with its errors in them. A phase is reached when it has an event; one that cannot be
-- skipped also when a later one has. Without internal users.
-- key: upload_id, step
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: step = phase
-- column: phase = place of the phase, 1 to 7
-- column: started_at = when the upload began [UTC]
-- column: is_entered = the phase itself has events
-- column: is_stop = the upload went no further and did not succeed
-- column: errors = errors in the phase [errors]
-- column: network_timeout = errors that are network timeouts
-- column: server_error = errors of the server
-- column: media_format_unsupported = errors of the format
-- column: out_of_storage = errors of storage
-- column: permission_denied = errors of permission
WITH own AS (
    SELECT
        e.upload_id,
        e.phase,
        COUNT(CASE WHEN e.is_error THEN 1 END) AS errors,
        COUNT(CASE WHEN c.error_category = 'network_timeout' THEN 1 END) AS network_timeout,
        COUNT(CASE WHEN c.error_category = 'server_error' THEN 1 END) AS server_error,
        COUNT(CASE WHEN c.error_category = 'media_format_unsupported' THEN 1 END) AS media_format_unsupported,
        COUNT(CASE WHEN c.error_category = 'out_of_storage' THEN 1 END) AS out_of_storage,
        COUNT(CASE WHEN c.error_category = 'permission_denied' THEN 1 END) AS permission_denied
    FROM event_log AS e
    LEFT JOIN error_categories AS c ON c.error_code = e.error_code
    WHERE e.phase IS NOT NULL
    GROUP BY e.upload_id, e.phase
)
SELECT
    u.upload_id,
    p.step,
    p.phase,
    u.started_at,
    o.upload_id IS NOT NULL AS is_entered,
    p.phase = u.furthest AND NOT u.is_success AS is_stop,
    COALESCE(o.errors, 0) AS errors,
    COALESCE(o.network_timeout, 0) AS network_timeout,
    COALESCE(o.server_error, 0) AS server_error,
    COALESCE(o.media_format_unsupported, 0) AS media_format_unsupported,
    COALESCE(o.out_of_storage, 0) AS out_of_storage,
    COALESCE(o.permission_denied, 0) AS permission_denied
FROM upload_facts AS u
JOIN phases AS p ON p.phase <= u.furthest
LEFT JOIN own AS o ON o.upload_id = u.upload_id AND o.phase = p.phase
WHERE NOT u.is_internal AND (o.upload_id IS NOT NULL OR NOT p.is_optional)
