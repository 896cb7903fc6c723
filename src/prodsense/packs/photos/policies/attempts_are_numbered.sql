WITH numbered AS (
    SELECT upload_id, COUNT(*) AS attempts, MAX(attempt_number) AS newest
    FROM upload_attempts
    GROUP BY upload_id
)
SELECT 'attempts of an upload are not numbered 1, 2, ... without a gap' AS violation, upload_id, attempts, newest
FROM numbered
WHERE newest <> attempts
