-- One row per time that an online driver finished the last job at hand and waited for the next: until the next batch
-- offer or the next assignment, whichever came first, within one online session.
-- key: driver_id, finished_at    partition: day    late: 1 day    spread: 1 day
-- time: finished_at
-- references: driver_id dim_drivers
-- column: driver_id = the driver
-- column: finished_at = when the last open delivery was delivered [UTC]
-- column: day = day of finished_at [day]
-- column: next_at = the next offer or assignment [UTC]
-- column: idle_minutes = minutes in between [minutes]
WITH sessions AS (
    SELECT driver_id, online_at AS start_at, LEAST(offline_at, add_minutes(online_at, 1440)) AS end_at
    FROM driver_online_sessions
    WHERE offline_at > online_at
),
jobs AS (
    SELECT
        driver_id,
        assigned_to_driver_at AS start_at,
        LEAST(delivered_at, add_minutes(assigned_to_driver_at, 1440)) AS end_at
    FROM delivery_facts
    WHERE is_delivered AND driver_id IS NOT NULL AND delivered_at > assigned_to_driver_at
),
changes AS (
    SELECT driver_id, start_at AS moment, 1 AS online, 0 AS starts, 0 AS ends, 0 AS offers, 0 AS sign_offs FROM sessions
    UNION ALL
    SELECT driver_id, end_at, -1, 0, 0, 0, 1 FROM sessions
    UNION ALL
    SELECT driver_id, start_at, 0, 1, 0, 0, 0 FROM jobs
    UNION ALL
    SELECT driver_id, end_at, 0, 0, 1, 0, 0 FROM jobs
    UNION ALL
    SELECT driver_id, offered_at, 0, 0, 0, 1, 0 FROM offers WHERE driver_id IS NOT NULL
),
moments AS (
    SELECT
        driver_id,
        moment,
        SUM(online) AS online,
        SUM(starts) AS starts,
        SUM(ends) AS ends,
        SUM(offers) AS offers,
        SUM(sign_offs) AS sign_offs
    FROM changes
    GROUP BY driver_id, moment
),
running AS (
    SELECT
        driver_id,
        moment,
        ends,
        offers,
        sign_offs,
        SUM(online) OVER (PARTITION BY driver_id ORDER BY moment) AS online,
        SUM(starts - ends) OVER (PARTITION BY driver_id ORDER BY moment) AS open_jobs,
        MIN(CASE WHEN offers + starts > 0 THEN moment END) OVER (
            PARTITION BY driver_id ORDER BY moment ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS following_at
    FROM moments
),
-- Offline is where the last of several overlapping sessions ends.
ended AS (
    SELECT
        driver_id,
        moment,
        ends,
        offers,
        open_jobs,
        following_at,
        online > 0 OR sign_offs > 0 AS is_online,
        MIN(CASE WHEN sign_offs > 0 AND online = 0 THEN moment END) OVER (
            PARTITION BY driver_id ORDER BY moment ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS offline_at
    FROM running
),
gaps AS (
    SELECT
        driver_id,
        moment AS finished_at,
        CASE WHEN offers > 0 THEN moment ELSE following_at END AS next_at,
        offline_at
    FROM ended
    WHERE ends > 0 AND open_jobs = 0 AND is_online
)
SELECT
    driver_id,
    finished_at,
    date_of(finished_at) AS day,
    next_at,
    minutes_between(finished_at, next_at) AS idle_minutes
FROM gaps
WHERE next_at <= offline_at
