-- Playback events of either table in one shape, each with the session that it belongs to. Events without a session are cut by
-- user, profile, title and device where the silence before is session_timeout_minutes (30) or longer. Of a session that
-- playback_events knows, fact_viewing_events adds nothing.
-- kind: view
-- time: occurred_at
-- column: session_key = session as text
-- column: content_id = title, or a version of it
-- column: user_id = who watches
-- column: profile_id = profile
-- column: device_id = device
-- column: occurred_at = when [UTC]
-- column: step = what happened, as a number in the order of equal moments: 1 start, 2 progress, 3 seek, 4 other, 5 quality change, 6 error, 7 pause, 8 resume, 9 complete, 10 stop
-- column: position = where playback stands; of a seek, where it starts from [seconds]
-- column: seek_to = where a seek leads to; beyond everything where it is not known [seconds]
-- column: discovery_source = how the title was reached
-- column: quality = quality, as reported
-- column: autoplay = autoplay is on
WITH silences AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'session_timeout_minutes' THEN value END), 30) * 60 AS timeout_seconds
    FROM settings
),
loose AS (
    SELECT
        user_id, profile_id, content_id, device_id, timestamp, event_type, current_playback_position, seek_to_position,
        discovery_source, playback_quality, autoplay_enabled,
        LAG(timestamp) OVER (PARTITION BY user_id, profile_id, content_id, device_id ORDER BY timestamp) AS before_at
    FROM playback_events
    WHERE session_id IS NULL
),
cut AS (
    SELECT
        l.user_id, l.profile_id, l.content_id, l.device_id, l.timestamp, l.event_type,
        l.current_playback_position, l.seek_to_position,
        l.discovery_source, l.playback_quality, l.autoplay_enabled,
        MAX(CASE
            WHEN l.before_at IS NULL OR seconds_between(l.before_at, l.timestamp) >= s.timeout_seconds THEN l.timestamp
        END) OVER (PARTITION BY l.user_id, l.profile_id, l.content_id, l.device_id ORDER BY l.timestamp) AS started_at
    FROM loose AS l
    CROSS JOIN silences AS s
),
raw AS (
    SELECT
        session_id AS session_key, content_id, user_id, profile_id, device_id, timestamp, event_type,
        current_playback_position, seek_to_position, discovery_source, playback_quality, autoplay_enabled
    FROM playback_events
    WHERE session_id IS NOT NULL
    UNION ALL
    SELECT
        COALESCE(user_id, '') || '/' || COALESCE(profile_id, '') || '/' || COALESCE(content_id, '') || '/'
            || COALESCE(device_id, '') || '/' || text_of(started_at),
        content_id, user_id, profile_id, device_id, timestamp, event_type,
        current_playback_position, seek_to_position, discovery_source, playback_quality, autoplay_enabled
    FROM cut
    UNION ALL
    SELECT
        text_of(f.session_id), NULL, NULL, NULL, NULL, f.event_timestamp, LOWER(f.event_type),
        CAST(COALESCE(f.event_metadata ->> '$.from', text_of(f.playback_position_seconds)) AS DOUBLE),
        CAST(f.event_metadata ->> '$.to' AS DOUBLE), NULL, f.event_metadata ->> '$.quality', NULL
    FROM fact_viewing_events AS f
    WHERE NOT EXISTS (SELECT 1 FROM playback_events AS p WHERE p.session_id = text_of(f.session_id))
)
SELECT
    session_key,
    content_id,
    user_id,
    profile_id,
    device_id,
    timestamp AS occurred_at,
    CASE
        WHEN event_type IN ('playback_progress', 'progress') THEN 2
        WHEN event_type IN ('playback_start', 'start', 'play') THEN 1
        WHEN event_type IN ('playback_pause', 'pause') THEN 7
        WHEN event_type IN ('playback_resume', 'resume') THEN 8
        WHEN event_type IN ('playback_seek', 'seek') THEN 3
        WHEN event_type IN ('playback_complete', 'complete') THEN 9
        WHEN event_type IN ('playback_stop', 'stop', 'end', 'session_end') THEN 10
        WHEN event_type IN ('playback_error', 'error') THEN 6
        WHEN event_type IN ('quality_change', 'playback_quality_change') THEN 5
        ELSE 4
    END AS step,
    current_playback_position AS position,
    CASE WHEN event_type IN ('playback_seek', 'seek') THEN COALESCE(seek_to_position, 1000000000) END AS seek_to,
    discovery_source,
    playback_quality AS quality,
    autoplay_enabled AS autoplay
FROM raw
