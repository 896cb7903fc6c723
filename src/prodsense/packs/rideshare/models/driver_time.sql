-- Time of drivers by clock hour: online, and with a rider on board. Time online before a ride belongs to that ride; riders on
-- board together count once. Only drivers whose sessions are known.
-- time: at
-- references: ride_id rides, driver_user_key drivers
-- column: driver_user_key = driver
-- column: ride_id = the ride it belongs to, if one
-- column: at = start of the time, in one clock hour [UTC]
-- column: online_seconds = time online [seconds]
-- column: occupied_seconds = time with a rider on board [seconds]
-- column: city = city where the ride starts, else the session
-- column: zone = zone where the ride starts, else the session
-- column: route_corridor = corridor of the ride
-- column: driver_tenure_days = days since the driver's account was made [days]
WITH changes AS (
    SELECT ride_id, picked_up_at AS moment, 1 AS step
    FROM segments
    WHERE is_pickup_known AND dropped_off_at > picked_up_at
    UNION ALL
    SELECT ride_id, dropped_off_at, -1
    FROM segments
    WHERE is_pickup_known AND dropped_off_at > picked_up_at
),
spans AS (
    SELECT
        ride_id,
        moment AS start_at,
        LEAD(moment) OVER (PARTITION BY ride_id ORDER BY moment) AS end_at,
        SUM(step) OVER (PARTITION BY ride_id ORDER BY moment) AS on_board
    FROM changes
),
occupied AS (
    SELECT r.driver_user_key, s.ride_id, s.start_at, s.end_at, r.city, r.zone, r.route_corridor, r.driver_tenure_days
    FROM spans AS s
    JOIN rides AS r ON r.ride_id = s.ride_id
    WHERE s.on_board >= 1 AND s.end_at > s.start_at
        AND r.driver_user_key IN (SELECT driver_user_key FROM driver_cycles)
),
stretches AS (
    SELECT
        driver_user_key, ride_id, started_at AS start_at, ended_at AS end_at, online_seconds AS seconds, 1 AS is_online,
        city, zone, route_corridor, driver_tenure_days
    FROM driver_cycles
    WHERE ended_at > started_at
    UNION ALL
    SELECT
        driver_user_key, ride_id, start_at, end_at, seconds_between(start_at, end_at), 0,
        city, zone, route_corridor, driver_tenure_days
    FROM occupied
),
hours AS (
    SELECT n
    FROM (
        VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18),
            (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30), (31), (32), (33), (34), (35), (36)
    ) AS listed (n)
),
-- The first piece of a stretch starts with it, the one of the 36th hour holds whatever is left.
pieces AS (
    SELECT
        s.*,
        CASE WHEN h.n = 0 THEN s.start_at ELSE add_minutes(date_trunc('hour', s.start_at), 60 * h.n) END AS piece_start,
        CASE WHEN h.n = 36 THEN s.end_at
            ELSE LEAST(s.end_at, add_minutes(date_trunc('hour', s.start_at), 60 * h.n + 60)) END AS piece_end
    FROM stretches AS s
    CROSS JOIN hours AS h
    WHERE h.n = 0 OR add_minutes(date_trunc('hour', s.start_at), 60 * h.n) < s.end_at
),
weighed AS (
    SELECT
        *,
        seconds * ratio(seconds_between(piece_start, piece_end), seconds_between(start_at, end_at)) AS piece_seconds
    FROM pieces
)
SELECT
    driver_user_key,
    ride_id,
    piece_start AS at,
    CASE WHEN is_online = 1 THEN piece_seconds ELSE 0 END AS online_seconds,
    CASE WHEN is_online = 1 THEN 0 ELSE piece_seconds END AS occupied_seconds,
    city,
    zone,
    route_corridor,
    driver_tenure_days
FROM weighed
UNION ALL
SELECT driver_user_key, ride_id, started_at, online_seconds, 0, city, zone, route_corridor, driver_tenure_days
FROM driver_cycles
WHERE ended_at IS NULL AND online_seconds IS NOT NULL
