-- Sessions: of a day that the table `sessions` knows, its rows; of other days, cut from events. Events that carry a session
-- are one session; the others are cut by user and device where the next event is session_gap_minutes (30) away, or
-- background_grace_minutes (5) after app_background. What a user only receives is no part of a session, and a session has a
-- qualifying event. It crosses midnight and belongs to the day of its start.
-- Internal users are still inside.
-- key: user_id, session_id    partition: session_date    spread: 2 days    late: 1 day
-- time: started_at
-- references: user_id members
-- column: session_id = the session; of one that was cut, its user, device and start
-- column: user_id = whose
-- column: session_date = day of its start [day]
-- column: started_at = start [UTC]
-- column: ended_at = end, or its last event [UTC]
-- column: duration_seconds = length; NULL where it is not known [seconds]
-- column: platform = client
-- column: device = kind of device
WITH cuts AS (
    SELECT
        COALESCE(MAX(CASE WHEN setting = 'session_gap_minutes' THEN value END), 30) * 60 AS gap_seconds,
        COALESCE(MAX(CASE WHEN setting = 'background_grace_minutes' THEN value END), 5) * 60 AS grace_seconds
    FROM settings
),
known AS (
    SELECT DISTINCT date_of(started_at) AS day
    FROM sessions
),
own_events AS (
    SELECT user_id, session_id, occurred_at, event_type, platform, device, CASE WHEN is_qualifying THEN 1 ELSE 0 END AS counts
    FROM event_log
    WHERE event_type NOT IN ('notification_sent', 'notification_received', 'push_received')
),
told AS (
    SELECT
        user_id,
        session_id,
        MIN(occurred_at) AS started_at,
        MAX(occurred_at) AS ended_at,
        MIN(platform) AS platform,
        MIN(device) AS device
    FROM own_events
    WHERE session_id IS NOT NULL
    GROUP BY user_id, session_id
    HAVING SUM(counts) > 0
),
steps AS (
    SELECT
        user_id,
        occurred_at,
        event_type,
        CASE WHEN event_type = 'app_background' THEN 1 ELSE 0 END AS goes_away,
        platform,
        device,
        counts,
        LAG(occurred_at) OVER (
            PARTITION BY user_id, device
            ORDER BY occurred_at, CASE WHEN event_type = 'app_background' THEN 1 ELSE 0 END, event_type
        ) AS previous_at,
        LAG(event_type) OVER (
            PARTITION BY user_id, device
            ORDER BY occurred_at, CASE WHEN event_type = 'app_background' THEN 1 ELSE 0 END, event_type
        ) AS previous_type
    FROM own_events
    WHERE session_id IS NULL
),
marked AS (
    SELECT
        s.*,
        CASE
            WHEN s.previous_at IS NULL THEN 1
            WHEN seconds_between(s.previous_at, s.occurred_at) >= c.gap_seconds THEN 1
            WHEN s.previous_type = 'app_background'
                AND seconds_between(s.previous_at, s.occurred_at) >= c.grace_seconds THEN 1
            ELSE 0
        END AS is_start
    FROM steps AS s
    CROSS JOIN cuts AS c
),
-- Summed over ORDER BY alone, equal moments fall into one run, whichever of them was the start.
runs AS (
    SELECT
        user_id,
        occurred_at,
        platform,
        device,
        counts,
        SUM(is_start) OVER (PARTITION BY user_id, device ORDER BY occurred_at, goes_away, event_type) AS run
    FROM marked
),
cut AS (
    SELECT
        user_id,
        MIN(occurred_at) AS started_at,
        MAX(occurred_at) AS ended_at,
        MIN(platform) AS platform,
        device
    FROM runs
    GROUP BY user_id, device, run
    HAVING SUM(counts) > 0
),
made AS (
    SELECT user_id, session_id, started_at, ended_at, platform, device
    FROM told
    UNION ALL
    SELECT
        user_id,
        user_id || '/' || COALESCE(device, '') || '/' || text_of(CAST(ROUND(
            seconds_between(CAST('2000-01-01' AS TIMESTAMP), started_at) * 1000000) AS BIGINT)),
        started_at,
        ended_at,
        platform,
        device
    FROM cut
)
SELECT
    session_id,
    user_id,
    date_of(started_at) AS session_date,
    started_at,
    COALESCE(ended_at, add_minutes(started_at, duration_seconds / 60)) AS ended_at,
    COALESCE(duration_seconds, seconds_between(started_at, ended_at)) AS duration_seconds,
    platform,
    device
FROM sessions
UNION ALL
SELECT
    m.session_id,
    m.user_id,
    date_of(m.started_at),
    m.started_at,
    m.ended_at,
    seconds_between(m.started_at, m.ended_at),
    m.platform,
    m.device
FROM made AS m
WHERE NOT EXISTS (SELECT 1 FROM known AS k WHERE k.day = date_of(m.started_at))
    AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.user_id = m.user_id AND s.session_id = m.session_id)
