-- Online time of drivers by clock hour and activity. The day of a driver is swept once, so that overlapping deliveries
-- of a batch (or overlapping sessions) count once. Sessions count once they have ended and for at most 24 hours; a
-- delivery occupies its driver from assignment to delivery; time with both kinds of delivery is batched.
-- key: driver_id, hour_start, activity    partition: day    late: 1 day    spread: 1 day
-- time: hour_start
-- references: driver_id dim_drivers
-- column: driver_id = the driver
-- column: hour_start = the clock hour [UTC]
-- column: activity = 'batched', 'individual' or 'idle' (online without a delivery)
-- column: day = day of the hour [day]
-- column: minutes = time online in this activity [minutes]
-- column: waiting_minutes = of these, time waiting at a restaurant [minutes]
WITH sessions AS (
    SELECT driver_id, online_at AS start_at, LEAST(offline_at, add_minutes(online_at, 1440)) AS end_at
    FROM driver_online_sessions
    WHERE offline_at > online_at
),
jobs AS (
    SELECT
        driver_id,
        assigned_to_driver_at AS start_at,
        LEAST(delivered_at, add_minutes(assigned_to_driver_at, 1440)) AS end_at,
        CASE WHEN delivery_type = 'batched' THEN 1 ELSE 0 END AS batched
    FROM delivery_facts
    WHERE is_delivered AND driver_id IS NOT NULL AND delivered_at > assigned_to_driver_at
),
waits AS (
    SELECT
        driver_id,
        driver_arrived_at_restaurant_at AS start_at,
        LEAST(picked_up_at, add_minutes(driver_arrived_at_restaurant_at, 1440)) AS end_at
    FROM delivery_facts
    WHERE is_delivered AND driver_id IS NOT NULL AND picked_up_at > driver_arrived_at_restaurant_at
),
hours AS (
    SELECT n
    FROM (
        VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12),
            (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23), (24)
    ) AS listed (n)
),
marks AS (
    SELECT s.driver_id, add_minutes(date_trunc('hour', s.start_at), 60 * h.n) AS moment, s.end_at
    FROM sessions AS s
    CROSS JOIN hours AS h
),
changes AS (
    SELECT driver_id, start_at AS moment, 1 AS online, 0 AS batched, 0 AS individual, 0 AS waiting FROM sessions
    UNION ALL
    SELECT driver_id, end_at, -1, 0, 0, 0 FROM sessions
    UNION ALL
    SELECT driver_id, start_at, 0, batched, 1 - batched, 0 FROM jobs
    UNION ALL
    SELECT driver_id, end_at, 0, -batched, batched - 1, 0 FROM jobs
    UNION ALL
    SELECT driver_id, start_at, 0, 0, 0, 1 FROM waits
    UNION ALL
    SELECT driver_id, end_at, 0, 0, 0, -1 FROM waits
    UNION ALL
    SELECT driver_id, moment, 0, 0, 0, 0 FROM marks WHERE moment < end_at
),
-- Changes at one moment follow each other without time in between; sums over ORDER BY take in all of the moment.
spans AS (
    SELECT
        driver_id,
        moment AS start_at,
        LEAD(moment) OVER (PARTITION BY driver_id ORDER BY moment) AS end_at,
        SUM(online) OVER (PARTITION BY driver_id ORDER BY moment) AS online,
        SUM(batched) OVER (PARTITION BY driver_id ORDER BY moment) AS batched,
        SUM(individual) OVER (PARTITION BY driver_id ORDER BY moment) AS individual,
        SUM(waiting) OVER (PARTITION BY driver_id ORDER BY moment) AS waiting
    FROM changes
),
online_spans AS (
    SELECT
        driver_id,
        date_trunc('hour', start_at) AS hour_start,
        CASE WHEN batched > 0 THEN 'batched' WHEN individual > 0 THEN 'individual' ELSE 'idle' END AS activity,
        waiting,
        minutes_between(start_at, end_at) AS minutes
    FROM spans
    WHERE online > 0 AND end_at > start_at
)
SELECT
    driver_id,
    hour_start,
    activity,
    date_of(hour_start) AS day,
    SUM(minutes) AS minutes,
    SUM(CASE WHEN waiting > 0 THEN minutes ELSE 0 END) AS waiting_minutes
FROM online_spans
GROUP BY driver_id, hour_start, activity
