-- A driver's session cut by its rides: each ride's part runs from the last dropoff before it (or the start of the session) to
-- its own, the last to the end of the session; a session without rides is one part. Where sessions of a driver have no times,
-- they stand whole, and waits are those between rides of one day.
-- key: session_number, started_at, ride_id
-- time: started_at
-- references: ride_id rides, driver_user_key drivers
-- column: session_number = session
-- column: driver_user_key = driver
-- column: ride_id = the ride of this part, if one
-- column: started_at = start of the part [UTC]
-- column: ended_at = end of the part; NULL where the session has no times [UTC]
-- column: online_seconds = time online of the part; NULL for waits without a session of their own [seconds]
-- column: picked_up_at = first pickup of the ride [UTC]
-- column: idle_minutes = from the last dropoff before to that pickup; NULL for a first ride [minutes]
-- column: city = city where the ride starts, else the session
-- column: zone = zone where the ride starts, else the session
-- column: route_corridor = corridor of the ride
-- column: driver_tenure_days = days since the driver's account was made [days]
WITH sessions AS (
    SELECT
        ROW_NUMBER() OVER (
            ORDER BY s.driver_user_key, s.session_start_timestamp, s.online_seconds, s.driver_session_id
        ) AS session_number,
        s.driver_user_key,
        s.session_start_timestamp AS start_at,
        COALESCE(s.session_end_timestamp, add_minutes(s.session_start_timestamp, s.online_seconds / 60)) AS end_at,
        COALESCE(s.online_seconds, seconds_between(s.session_start_timestamp, s.session_end_timestamp))
            AS online_seconds,
        s.session_date,
        s.location_key
    FROM fact_driver_sessions AS s
    WHERE NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = s.driver_user_key AND u.is_internal)
),
timed AS (
    SELECT *
    FROM sessions
    WHERE end_at > start_at
),
driven AS (
    SELECT t.session_number, r.ride_id, r.first_pickup_at, r.last_dropoff_at
    FROM rides AS r
    JOIN timed AS t
        ON t.driver_user_key = r.driver_user_key AND r.first_pickup_at >= t.start_at AND r.first_pickup_at < t.end_at
    QUALIFY ROW_NUMBER() OVER (PARTITION BY r.ride_id ORDER BY t.start_at DESC, t.session_number) = 1
),
ordered AS (
    SELECT
        t.session_number,
        t.driver_user_key,
        t.start_at,
        t.end_at,
        t.online_seconds,
        t.location_key,
        d.ride_id,
        d.first_pickup_at,
        MAX(d.last_dropoff_at) OVER (
            PARTITION BY t.session_number ORDER BY d.first_pickup_at, d.ride_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before_at,
        MAX(d.last_dropoff_at) OVER (
            PARTITION BY t.session_number ORDER BY d.first_pickup_at, d.ride_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS after_at,
        ROW_NUMBER() OVER (PARTITION BY t.session_number ORDER BY d.first_pickup_at DESC, d.ride_id DESC) AS from_last
    FROM timed AS t
    LEFT JOIN driven AS d ON d.session_number = t.session_number
),
cut AS (
    SELECT
        *,
        CASE WHEN before_at IS NULL THEN start_at ELSE GREATEST(start_at, LEAST(before_at, end_at)) END AS part_start,
        CASE WHEN from_last = 1 OR after_at IS NULL THEN end_at ELSE GREATEST(start_at, LEAST(after_at, end_at)) END
            AS part_end
    FROM ordered
),
-- Waits of drivers whose sessions are known, but not when.
waits AS (
    SELECT
        r.driver_user_key,
        r.ride_id,
        r.first_pickup_at,
        MAX(r.last_dropoff_at) OVER (
            PARTITION BY r.driver_user_key, date_of(r.first_pickup_at) ORDER BY r.first_pickup_at, r.ride_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before_at
    FROM rides AS r
    WHERE r.first_pickup_at IS NOT NULL
        AND r.driver_user_key IN (SELECT driver_user_key FROM sessions)
        AND r.driver_user_key NOT IN (SELECT driver_user_key FROM timed WHERE driver_user_key IS NOT NULL)
),
parts AS (
    SELECT
        session_number,
        driver_user_key,
        ride_id,
        part_start AS started_at,
        part_end AS ended_at,
        online_seconds * ratio(seconds_between(part_start, part_end), seconds_between(start_at, end_at))
            AS online_seconds,
        first_pickup_at,
        before_at,
        location_key
    FROM cut
    UNION ALL
    SELECT
        session_number,
        driver_user_key,
        NULL,
        COALESCE(
            start_at, CAST(session_date AS TIMESTAMP), (SELECT MAX(started_at) FROM rides)
        ),
        NULL,
        online_seconds,
        NULL,
        NULL,
        location_key
    FROM sessions
    WHERE start_at IS NULL OR end_at IS NULL OR end_at <= start_at
    UNION ALL
    SELECT 0, driver_user_key, ride_id, before_at, NULL, NULL, first_pickup_at, before_at, NULL
    FROM waits
    WHERE before_at IS NOT NULL
)
SELECT
    p.session_number,
    p.driver_user_key,
    p.ride_id,
    p.started_at,
    p.ended_at,
    p.online_seconds,
    p.first_pickup_at AS picked_up_at,
    CASE WHEN p.first_pickup_at >= p.before_at THEN minutes_between(p.before_at, p.first_pickup_at) END AS idle_minutes,
    CASE WHEN p.ride_id IS NULL THEN a.city ELSE r.city END AS city,
    CASE WHEN p.ride_id IS NULL THEN a.zone ELSE r.zone END AS zone,
    r.route_corridor,
    days_between(u.created_at, p.started_at) AS driver_tenure_days
FROM parts AS p
LEFT JOIN rides AS r ON r.ride_id = p.ride_id
LEFT JOIN dim_location AS a ON a.location_key = p.location_key
LEFT JOIN dim_users AS u ON u.user_key = p.driver_user_key
