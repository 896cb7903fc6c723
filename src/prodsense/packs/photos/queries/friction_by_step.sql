-- Where it hurts, phase by phase: uploads that reached it, who went no further, errors, and seconds of what takes time.
WITH flow AS (
    SELECT
        phase,
        step,
        COUNT(*) AS uploads,
        share(is_stop) AS abandonment_rate,
        ratio(SUM(errors), COUNT(*)) AS error_rate
    FROM upload_steps
    GROUP BY phase, step
),
timed AS (
    SELECT phase, quantile(seconds, 0.5) AS median_seconds, quantile(seconds, 0.9) AS p90_seconds
    FROM step_timings
    GROUP BY phase
)
SELECT
    f.phase,
    f.step,
    f.uploads,
    f.abandonment_rate,
    f.error_rate,
    t.median_seconds,
    t.p90_seconds
FROM flow AS f
LEFT JOIN timed AS t ON t.phase = f.phase
ORDER BY f.phase
