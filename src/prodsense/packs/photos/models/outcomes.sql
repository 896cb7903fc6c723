-- What a status means: whether it went well. A status that is not here says nothing.
-- kind: view
-- key: status
-- column: status = status in lower case
-- column: is_ok = it went well
SELECT 'success' AS status, TRUE AS is_ok
UNION ALL SELECT 'succeeded', TRUE
UNION ALL SELECT 'successful', TRUE
UNION ALL SELECT 'completed', TRUE
UNION ALL SELECT 'complete', TRUE
UNION ALL SELECT 'done', TRUE
UNION ALL SELECT 'ok', TRUE
UNION ALL SELECT 'failed', FALSE
UNION ALL SELECT 'failure', FALSE
UNION ALL SELECT 'fail', FALSE
UNION ALL SELECT 'error', FALSE
UNION ALL SELECT 'timeout', FALSE
UNION ALL SELECT 'aborted', FALSE
UNION ALL SELECT 'abandoned', FALSE
UNION ALL SELECT 'cancelled', FALSE
UNION ALL SELECT 'canceled', FALSE
