-- Attempts to transmit, with what came of them. One failed by its status, or, where that says nothing, because another
-- followed. Without internal users.
-- key: upload_id, attempt_number
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: attempt_number = 1, 2, ...
-- column: started_at = when, else when the upload began [UTC]
-- column: is_ok = succeeded
-- column: is_failed = failed
-- column: is_followed = another attempt followed
-- column: is_retried_by_user = an attempt that the client did not make by itself followed
-- column: error_category = why it failed; NULL of one that did not
-- column: failure_before = why the attempt before failed
WITH errors AS (
    SELECT
        e.upload_id,
        c.error_category,
        ROW_NUMBER() OVER (PARTITION BY e.upload_id ORDER BY e.occurred_at, c.error_category) AS nth,
        COUNT(*) OVER (PARTITION BY e.upload_id) AS many
    FROM event_log AS e
    LEFT JOIN error_categories AS c ON c.error_code = e.error_code
    WHERE e.phase = 6 AND e.is_error
),
tries AS (
    SELECT
        a.upload_id,
        a.attempt_number,
        a.started_at,
        o.is_ok,
        MAX(a.attempt_number) OVER (PARTITION BY a.upload_id) > a.attempt_number AS is_followed,
        COALESCE(MAX(CASE WHEN NOT COALESCE(a.is_automatic, FALSE) THEN a.attempt_number END)
            OVER (PARTITION BY a.upload_id) > a.attempt_number, FALSE) AS is_retried_by_user,
        a.error_code,
        c.error_category
    FROM upload_attempts AS a
    LEFT JOIN outcomes AS o ON o.status = LOWER(TRIM(a.status))
    LEFT JOIN error_categories AS c ON c.error_code = a.error_code
),
known AS (
    SELECT
        t.*,
        NOT COALESCE(t.is_ok, NOT t.is_followed) AS is_failed,
        COALESCE(t.error_category, e.error_category, 'other') AS category
    FROM tries AS t
    LEFT JOIN errors AS e ON e.upload_id = t.upload_id AND e.nth = LEAST(t.attempt_number, e.many)
)
SELECT
    k.upload_id,
    k.attempt_number,
    COALESCE(k.started_at, u.started_at) AS started_at,
    COALESCE(k.is_ok, FALSE) AS is_ok,
    k.is_failed,
    k.is_followed,
    k.is_retried_by_user,
    CASE WHEN k.is_failed THEN k.category END AS error_category,
    LAG(CASE WHEN k.is_failed THEN k.category END) OVER (
        PARTITION BY k.upload_id ORDER BY k.attempt_number) AS failure_before
FROM known AS k
JOIN upload_facts AS u ON u.upload_id = k.upload_id
WHERE NOT u.is_internal
