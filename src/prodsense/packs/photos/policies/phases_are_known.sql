SELECT 'an event names none of the seven phases' AS violation, upload_id, occurred_at
FROM event_log
WHERE phase IS NULL
