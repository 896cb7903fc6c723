-- Viewing sessions as fact_viewing_sessions has them, its rows and those folded from events in one. A session without an end is
-- open until session_timeout_minutes (30) have passed since its last event, measured at the newest event of all; then it is
-- abandoned, and ended with that event. An open one has no end, no duration and no status. Internal users are still inside.
-- kind: view
-- completes: fact_viewing_sessions
-- key: session_id
-- time: started_at
-- references: user_key viewers, content_key dim_content, device_key dim_devices
-- column: session_id = session
-- column: user_key = who watched
-- column: content_key = title
-- column: device_key = device
-- column: date_key = day of its start
-- column: time_key = time of day of its start
-- column: session_start_timestamp = start [UTC]
-- column: session_end_timestamp = end; NULL while open [UTC]
-- column: session_duration_seconds = from start to end, pauses inside; NULL while open [seconds]
-- column: completion_status_key = how it ended; NULL while open
-- column: playback_position_seconds = where playback stopped [seconds]
-- column: total_content_length_seconds = length of the title [seconds]
-- column: total_pause_duration_seconds = time paused [seconds]
-- column: number_of_pauses = pauses
-- column: number_of_rewinds = seeks backward
-- column: number_of_forwards = seeks forward
-- column: max_playback_quality = best quality reached [lines]
-- column: completion_percentage = furthest position played over the length, 0 to 100 [percent]
-- column: watched_credits = the end credits were watched
-- column: autoplay_enabled = autoplay was on
-- column: session_metadata = anything else
-- column: profile_key = profile
-- column: series_key = series of the episode
-- column: view_duration_seconds = watched time: elapsed less pauses; of an open session so far [seconds]
-- column: session_date = day of its start [day]
-- column: started_at = start [UTC]
-- column: is_open = not ended yet
-- column: is_view = a view: over, and watched for long enough
-- column: is_completed = the title was completed
-- column: user_id = who watched, by the id in events
-- column: content_id = title, by the id in events
-- column: device_id = device, by the id in events
-- column: profile_id = profile
-- column: account_id = account
-- column: version_id = version of the title
-- column: view_source = how the title was reached
-- column: start_position_seconds = where playback started [seconds]
-- column: furthest_position_seconds = furthest position played [seconds]
-- column: reached_credits = it got to the end credits
WITH newest AS (
    SELECT MAX(ended_at) AS moment
    FROM session_facts
),
cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'session_timeout_minutes' THEN value END), 30) * 60 AS timeout_seconds
    FROM settings
),
statuses AS (
    SELECT
        COALESCE(MIN(CASE WHEN LOWER(completion_status) = 'completed' THEN completion_status_key END), 1) AS completed,
        COALESCE(MIN(CASE WHEN LOWER(completion_status) = 'abandoned' THEN completion_status_key END), 2) AS abandoned
    FROM dim_completion_status
),
known AS (
    SELECT
        s.*,
        NOT s.has_end AND NOT COALESCE(seconds_between(s.ended_at, n.moment) >= c.timeout_seconds, FALSE) AS is_open
    FROM session_facts AS s
    CROSS JOIN newest AS n
    CROSS JOIN cuts AS c
)
SELECT
    k.session_id,
    k.user_key,
    k.content_key,
    k.device_key,
    k.date_key,
    k.time_key,
    k.started_at AS session_start_timestamp,
    CASE WHEN NOT k.is_open THEN k.ended_at END AS session_end_timestamp,
    CASE WHEN NOT k.is_open THEN k.elapsed_seconds END AS session_duration_seconds,
    CASE
        WHEN k.is_open THEN k.told_status_key
        WHEN k.told_status_key IS NOT NULL THEN k.told_status_key
        WHEN k.is_completed THEN t.completed
        ELSE t.abandoned
    END AS completion_status_key,
    k.stop_position AS playback_position_seconds,
    k.length_seconds AS total_content_length_seconds,
    k.paused_seconds AS total_pause_duration_seconds,
    k.number_of_pauses,
    k.number_of_rewinds,
    k.number_of_forwards,
    k.max_playback_quality,
    k.completion_percentage,
    k.watched_credits,
    k.autoplay_enabled,
    k.session_metadata,
    key_of(k.profile_id) AS profile_key,
    k.series_key,
    k.watched_seconds AS view_duration_seconds,
    k.session_date,
    k.started_at,
    k.is_open,
    NOT k.is_open AND k.is_long_enough AS is_view,
    k.is_completed,
    k.user_id,
    k.content_id,
    k.device_id,
    k.profile_id,
    k.account_id,
    k.version_id,
    k.view_source,
    k.start_position AS start_position_seconds,
    k.furthest_position AS furthest_position_seconds,
    k.reached_credits
FROM known AS k
CROSS JOIN statuses AS t
