-- Viewing sessions folded from playback events in the order of event time: one row per session and title. Time is paused from
-- a pause until playback goes on. A position counts as played when playback moved up to it, not when a seek or the start of the
-- session put it there. An event told twice changes nothing. A session ends with its last event and belongs to the day of its
-- start; a player keeps its id for no longer than to the end of the second day after.
-- key: session_key, content_id    partition: session_date    spread: 2 days    late: 3 days
-- time: started_at
-- column: session_key = session as text
-- column: session_id = session as a number
-- column: content_id = title, or a version of it
-- column: user_id = who watched
-- column: profile_id = profile
-- column: device_id = device
-- column: discovery_source = how the title was reached, in lower case
-- column: session_date = day of its start [day]
-- column: started_at = first event [UTC]
-- column: last_event_at = last event [UTC]
-- column: has_end = the last event is an end that the player reported
-- column: is_played_out = the player reported the end of the title, reached by playing
-- column: paused_seconds = time paused [seconds]
-- column: pauses = pauses
-- column: rewinds = seeks backward
-- column: forwards = seeks forward
-- column: start_position = where it started [seconds]
-- column: stop_position = where it stopped [seconds]
-- column: furthest_position = furthest position played [seconds]
-- column: max_quality = best quality reached [lines]
-- column: autoplay = autoplay was on at some time; NULL where no event says
-- column: errors = playback errors
-- column: events = events, repeated ones inside
WITH steps AS (
    SELECT
        session_key, content_id, user_id, profile_id, device_id, occurred_at, step, position, seek_to, discovery_source,
        quality, autoplay,
        LAG(occurred_at) OVER in_order AS before_at,
        LEAD(occurred_at) OVER in_order AS after_at,
        LAG(position) OVER in_order AS before_position,
        LAG(seek_to) OVER in_order AS jumped_to,
        MAX(CASE WHEN step = 7 THEN occurred_at END) OVER before_it AS paused_at,
        -- A resume in the same moment as its pause comes after it, a heartbeat before.
        MAX(CASE
            WHEN step IN (1, 2) THEN occurred_at
            WHEN step > 7 THEN occurred_at + INTERVAL 1 MICROSECOND
        END) OVER before_it AS played_at
    FROM playback_log
    WINDOW
        in_order AS (PARTITION BY session_key, content_id ORDER BY occurred_at, step, position),
        before_it AS (
            PARTITION BY session_key, content_id ORDER BY occurred_at, step, position
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
),
folds AS (
    SELECT
        session_key,
        content_id,
        MIN(user_id) AS user_id,
        MIN(profile_id) AS profile_id,
        MIN(device_id) AS device_id,
        LOWER(COALESCE(MIN(CASE WHEN before_at IS NULL THEN discovery_source END), MIN(discovery_source)))
            AS discovery_source,
        MIN(occurred_at) AS started_at,
        MAX(occurred_at) AS last_event_at,
        MAX(CASE WHEN after_at IS NULL AND step >= 9 THEN 1 ELSE 0 END) = 1 AS has_end,
        MAX(CASE WHEN step = 9 AND (jumped_to IS NULL OR position > jumped_to) THEN 1 ELSE 0 END) = 1 AS is_played_out,
        SUM(CASE WHEN paused_at >= COALESCE(played_at, paused_at) THEN seconds_between(before_at, occurred_at) END)
            AS paused_seconds,
        COUNT(CASE WHEN step = 7 AND (paused_at IS NULL OR paused_at < played_at) THEN 1 END) AS pauses,
        COUNT(CASE WHEN seek_to < position AND (jumped_to IS NULL OR seek_to <> jumped_to OR occurred_at > before_at)
            THEN 1 END) AS rewinds,
        COUNT(CASE WHEN seek_to > position AND seek_to < 1000000000
            AND (jumped_to IS NULL OR seek_to <> jumped_to OR occurred_at > before_at) THEN 1 END) AS forwards,
        MIN(CASE WHEN before_at IS NULL THEN position END) AS start_position,
        MAX(CASE WHEN after_at IS NULL THEN COALESCE(NULLIF(seek_to, 1000000000), position, NULLIF(jumped_to, 1000000000),
            before_position) END) AS stop_position,
        MAX(CASE WHEN before_at IS NOT NULL
            AND (position > COALESCE(jumped_to, before_position) OR COALESCE(jumped_to, before_position) IS NULL)
            THEN position END) AS furthest_position,
        MAX(CASE
            WHEN quality IS NULL THEN NULL
            WHEN UPPER(quality) = 'SD' THEN 480
            WHEN UPPER(quality) = 'HD' THEN 720
            WHEN UPPER(quality) IN ('FHD', 'FULL HD') THEN 1080
            WHEN UPPER(quality) IN ('UHD', '4K') THEN 2160
            WHEN UPPER(quality) = '8K' THEN 4320
            WHEN REGEXP_MATCHES(quality, '^[0-9]{2,4}[pP]?$') THEN CAST(REPLACE(LOWER(quality), 'p', '') AS INT)
        END) AS max_quality,
        MAX(CASE WHEN autoplay THEN 1 WHEN NOT autoplay THEN 0 END) = 1 AS autoplay,
        COUNT(CASE WHEN step = 6 THEN 1 END) AS errors,
        COUNT(*) AS events
    FROM steps
    GROUP BY session_key, content_id
)
SELECT
    session_key,
    -- The first title of a session has its number; others, and the same id for another title, have one of their own.
    CASE WHEN ROW_NUMBER() OVER (PARTITION BY session_key ORDER BY started_at, content_id) = 1 THEN key_of(session_key)
        ELSE key_of(session_key || '/' || COALESCE(content_id, '')) END AS session_id,
    COALESCE(content_id, '') AS content_id,
    user_id,
    profile_id,
    device_id,
    discovery_source,
    date_of(started_at) AS session_date,
    started_at,
    last_event_at,
    has_end,
    is_played_out,
    CAST(ROUND(COALESCE(paused_seconds, 0)) AS BIGINT) AS paused_seconds,
    pauses,
    rewinds,
    forwards,
    start_position,
    stop_position,
    furthest_position,
    max_quality,
    autoplay,
    errors,
    events
FROM folds
