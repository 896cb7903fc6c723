-- Uploads, and beside them the tickets of the support: a row is one or the other, so that tickets over uploads is a ratio of
-- sums. Empty where no ticket is known at all. Without internal users. An undated ticket counts when its upload began, else at
-- the newest moment.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload, of a ticket that it is about
-- column: started_at = when the upload began or the ticket was opened [UTC]
-- column: uploads = 1 of an upload
-- column: tickets = 1 of a ticket
-- column: is_upload_problem = the ticket is about a problem with uploading
-- column: is_compression = the ticket complains about the quality after compression
WITH known AS (
    SELECT COUNT(*) AS tickets, (SELECT MAX(started_at) FROM upload_facts) AS newest
    FROM support_tickets
),
told AS (
    SELECT *, REPLACE(REPLACE(LOWER(TRIM(category)), '-', '_'), ' ', '_') AS topic
    FROM support_tickets
)
SELECT
    u.upload_id,
    u.started_at,
    1 AS uploads,
    0 AS tickets,
    FALSE AS is_upload_problem,
    FALSE AS is_compression
FROM upload_facts AS u
CROSS JOIN known AS k
WHERE k.tickets > 0 AND NOT u.is_internal
UNION ALL
SELECT
    t.upload_id,
    COALESCE(t.created_at, u.started_at, k.newest, CAST('2000-01-01' AS TIMESTAMP)),
    0,
    1,
    COALESCE(t.topic LIKE '%upload%', FALSE),
    COALESCE(t.topic LIKE '%compress%' OR t.topic LIKE '%artifact%' OR t.topic LIKE '%artefact%'
        OR t.topic LIKE '%quality%', FALSE)
FROM told AS t
CROSS JOIN known AS k
LEFT JOIN upload_facts AS u ON u.upload_id = t.upload_id
LEFT JOIN users AS m ON m.user_id = t.user_id
WHERE NOT COALESCE(u.is_internal OR m.is_internal, u.is_internal, m.is_internal, FALSE)
