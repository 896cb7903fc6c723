-- The upload experience by day and segment: what happened, how long it took, and what people said of it. Metrics in numbers
-- beside the voices of users. Without internal users.
-- key: day, network_type, device, region, file_size_band
-- time: day
-- column: day = day on which uploads began or people spoke [day]
-- column: network_type = network
-- column: device = device model
-- column: region = region
-- column: file_size_band = size of the file in bands
-- column: uploads = uploads begun
-- column: succeeded = of them, completed successfully
-- column: success_rate = share of them
-- column: errors = errors in any phase
-- column: mean_seconds = mean time from start to seen live, of successful ones [seconds]
-- column: mean_ease = mean answer on how easy it was [score]
-- column: answers = answers
-- column: upload_tickets = tickets about upload problems
-- column: compression_tickets = tickets about compression
WITH made AS (
    SELECT
        upload_id,
        date_of(started_at) AS day,
        1 AS uploads,
        CASE WHEN is_success THEN 1 ELSE 0 END AS succeeded,
        end_to_end_seconds
    FROM upload_log
    WHERE is_logged
),
failed AS (
    SELECT upload_id, SUM(errors) AS errors
    FROM upload_steps
    GROUP BY upload_id
),
rows_of_days AS (
    SELECT m.upload_id, m.day, m.uploads, m.succeeded, m.end_to_end_seconds, f.errors,
        CAST(NULL AS DOUBLE) AS score, 0 AS upload_tickets, 0 AS compression_tickets
    FROM made AS m
    LEFT JOIN failed AS f ON f.upload_id = m.upload_id
    UNION ALL
    SELECT upload_id, date_of(answered_at), 0, 0, NULL, 0, score, 0, 0
    FROM ease_answers
    WHERE score IS NOT NULL
    UNION ALL
    SELECT upload_id, date_of(started_at), 0, 0, NULL, 0, NULL,
        CASE WHEN is_upload_problem THEN 1 ELSE 0 END, CASE WHEN is_compression THEN 1 ELSE 0 END
    FROM support_log
    WHERE is_upload_problem OR is_compression
)
SELECT
    r.day,
    u.network_type,
    u.device,
    u.region,
    u.file_size_band,
    CAST(SUM(r.uploads) AS BIGINT) AS uploads,
    CAST(SUM(r.succeeded) AS BIGINT) AS succeeded,
    ratio(SUM(r.succeeded), SUM(r.uploads)) AS success_rate,
    CAST(SUM(r.errors) AS BIGINT) AS errors,
    mean(r.end_to_end_seconds) AS mean_seconds,
    mean(r.score) AS mean_ease,
    COUNT(r.score) AS answers,
    CAST(SUM(r.upload_tickets) AS BIGINT) AS upload_tickets,
    CAST(SUM(r.compression_tickets) AS BIGINT) AS compression_tickets
FROM rows_of_days AS r
LEFT JOIN upload_facts AS u ON u.upload_id = r.upload_id
GROUP BY r.day, u.network_type, u.device, u.region, u.file_size_band
