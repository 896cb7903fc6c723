-- Viewing sessions of both kinds: rows of the table fact_viewing_sessions and those folded from playback events. Of a session
-- that is in both, the row says what it knows and the events the rest. Whether a session is still open depends on the newest
-- moment of all: that is decided in viewing_sessions. Internal users are still inside.
-- key: session_id    partition: session_date    spread: 1 day    late: 3 days
-- time: started_at
-- column: session_id = session
-- column: user_key = who watched
-- column: user_id = who watched, by the id in events
-- column: content_key = title
-- column: content_id = title, by the id in events
-- column: version_id = version of the title, where an event named one
-- column: device_key = device
-- column: device_id = device, by the id in events
-- column: date_key = day of its start; yyyymmdd where the row does not say
-- column: time_key = time of day of its start; minutes since midnight where the row does not say
-- column: profile_id = profile
-- column: account_id = account of the profile or the user; the user where neither says
-- column: series_key = series of the episode
-- column: view_source = how the title was reached: search, browse, recommendation, external
-- column: session_date = day of its start [day]
-- column: started_at = start [UTC]
-- column: ended_at = end, or its last event [UTC]
-- column: has_end = its end is known, by the row or by the player
-- column: elapsed_seconds = from start to end, or to the last event [seconds]
-- column: paused_seconds = time paused [seconds]
-- column: watched_seconds = elapsed less paused, at least 0 [seconds]
-- column: is_long_enough = watched for more than view_seconds (30), or of a title not longer than that for more than half of it, or as view_rules has it: a view once it is over
-- column: told_status_key = status as the row has it
-- column: is_completed = the title was completed: by its status, or played to its end or into the credits
-- column: start_position = where it started [seconds]
-- column: stop_position = where it stopped [seconds]
-- column: furthest_position = furthest position played; where it stopped, where no event says [seconds]
-- column: length_seconds = length of the title [seconds]
-- column: completion_percentage = furthest position played over the length, 0 to 100 [percent]
-- column: number_of_pauses = pauses
-- column: number_of_rewinds = seeks backward
-- column: number_of_forwards = seeks forward
-- column: max_playback_quality = best quality reached [lines]
-- column: watched_credits = at least half of the end credits were watched
-- column: reached_credits = it got to the end credits, by playing or by a seek
-- column: autoplay_enabled = autoplay was on
-- column: session_metadata = anything else
-- column: errors = playback errors; NULL where no event is known
WITH cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'view_seconds' THEN value END), 30) AS view_seconds
    FROM settings
),
people AS (
    SELECT user_key, COALESCE(user_id, text_of(user_key)) AS user_id
    FROM dim_users
),
titles AS (
    SELECT content_key, COALESCE(content_id, text_of(content_key)) AS content_id
    FROM dim_content
),
devices AS (
    SELECT device_key, COALESCE(device_id, text_of(device_key)) AS device_id
    FROM dim_devices
),
folded AS (
    SELECT
        f.*,
        v.version_id,
        NULLIF(COALESCE(v.content_id, f.content_id), '') AS title_id,
        COALESCE(u.user_key, key_of(f.user_id)) AS user_key,
        COALESCE(t.content_key, key_of(NULLIF(COALESCE(v.content_id, f.content_id), ''))) AS content_key,
        COALESCE(d.device_key, key_of(f.device_id)) AS device_key
    FROM session_folds AS f
    LEFT JOIN content_versions AS v ON v.version_id = f.content_id
    LEFT JOIN people AS u ON u.user_id = f.user_id
    LEFT JOIN titles AS t ON t.content_id = COALESCE(v.content_id, f.content_id)
    LEFT JOIN devices AS d ON d.device_id = f.device_id
),
-- A key such as 20240131 is a day, where dim_date does not say which.
rows_given AS (
    SELECT
        s.*,
        COALESCE(
            date_of(s.session_start_timestamp),
            s.session_date,
            d.full_date,
            CASE
                WHEN s.date_key BETWEEN 10000101 AND 99991231
                    AND SUBSTR(text_of(s.date_key), 5, 2) BETWEEN '01' AND '12'
                    AND SUBSTR(text_of(s.date_key), 7, 2) BETWEEN '01' AND '31'
                    THEN add_days(
                        CAST(SUBSTR(text_of(s.date_key), 1, 4) || '-' || SUBSTR(text_of(s.date_key), 5, 2) || '-01' AS DATE),
                        CAST(SUBSTR(text_of(s.date_key), 7, 2) AS INT) - 1)
            END
        ) AS day
    FROM fact_viewing_sessions AS s
    LEFT JOIN dim_date AS d ON d.date_key = s.date_key
),
merged AS (
    SELECT
        COALESCE(l.session_id, f.session_id) AS session_id,
        COALESCE(l.user_key, f.user_key) AS user_key,
        COALESCE(l.content_key, f.content_key) AS content_key,
        f.user_id,
        f.title_id,
        f.device_id,
        f.version_id,
        COALESCE(l.device_key, f.device_key) AS device_key,
        l.date_key,
        l.time_key,
        COALESCE(text_of(l.profile_key), f.profile_id) AS profile_id,
        l.series_key,
        f.discovery_source AS view_source,
        COALESCE(l.day, f.session_date, CAST('1970-01-01' AS DATE)) AS session_date,
        COALESCE(l.session_start_timestamp, f.started_at) AS known_start,
        COALESCE(
            l.session_end_timestamp,
            add_minutes(l.session_start_timestamp, ratio(l.session_duration_seconds, 60)),
            f.last_event_at
        ) AS ended_at,
        l.session_end_timestamp IS NOT NULL OR l.session_duration_seconds IS NOT NULL OR l.view_duration_seconds IS NOT NULL
            OR COALESCE(f.has_end, FALSE) AS has_end,
        COALESCE(l.session_duration_seconds, CAST(ROUND(seconds_between(
            COALESCE(l.session_start_timestamp, f.started_at), COALESCE(l.session_end_timestamp, f.last_event_at)
        )) AS BIGINT)) AS elapsed_seconds,
        COALESCE(l.total_pause_duration_seconds, f.paused_seconds) AS paused_seconds,
        l.view_duration_seconds,
        l.completion_status_key AS told_status_key,
        f.is_played_out,
        f.start_position,
        COALESCE(l.playback_position_seconds, CAST(ROUND(f.stop_position) AS BIGINT)) AS stop_position,
        CASE WHEN f.session_id IS NOT NULL THEN COALESCE(f.furthest_position, 0)
            ELSE l.playback_position_seconds END AS furthest_position,
        l.total_content_length_seconds,
        l.completion_percentage,
        COALESCE(l.number_of_pauses, f.pauses) AS number_of_pauses,
        COALESCE(l.number_of_rewinds, f.rewinds) AS number_of_rewinds,
        COALESCE(l.number_of_forwards, f.forwards) AS number_of_forwards,
        COALESCE(l.max_playback_quality, f.max_quality) AS max_playback_quality,
        l.watched_credits,
        COALESCE(l.autoplay_enabled, f.autoplay) AS autoplay_enabled,
        l.session_metadata,
        f.errors
    FROM rows_given AS l
    FULL JOIN folded AS f ON f.session_id = l.session_id
),
measured AS (
    SELECT
        m.*,
        COALESCE(m.series_key, t.series_key) AS its_series,
        COALESCE(m.total_content_length_seconds, t.length_seconds) AS length_seconds,
        t.credits_start_seconds,
        k.view_seconds,
        r.min_seconds,
        CASE WHEN m.elapsed_seconds IS NOT NULL THEN GREATEST(m.elapsed_seconds - COALESCE(m.paused_seconds, 0), 0)
            ELSE m.view_duration_seconds END AS watched_seconds,
        CASE WHEN m.is_played_out
            THEN GREATEST(COALESCE(m.total_content_length_seconds, t.length_seconds), m.furthest_position)
            ELSE m.furthest_position END AS furthest,
        COALESCE(u.user_id, m.user_id, text_of(m.user_key)) AS its_user,
        COALESCE(t.content_id, m.title_id, text_of(m.content_key)) AS its_title,
        COALESCE(d.device_id, m.device_id, text_of(m.device_key)) AS its_device,
        COALESCE(p.account_id, u.account_id, u.user_id, m.user_id, text_of(m.user_key)) AS account_id,
        LOWER(COALESCE(c.completion_status,
            CASE m.told_status_key WHEN 1 THEN 'completed' WHEN 2 THEN 'abandoned' END)) AS status
    FROM merged AS m
    CROSS JOIN cuts AS k
    LEFT JOIN dim_content AS t ON t.content_key = m.content_key
    LEFT JOIN view_rules AS r ON LOWER(r.content_type) = LOWER(t.content_type)
    LEFT JOIN dim_users AS u ON u.user_key = m.user_key
    LEFT JOIN dim_devices AS d ON d.device_key = m.device_key
    LEFT JOIN profiles AS p ON p.profile_id = m.profile_id
    LEFT JOIN dim_completion_status AS c ON c.completion_status_key = m.told_status_key
)
SELECT
    session_id,
    user_key,
    its_user AS user_id,
    content_key,
    its_title AS content_id,
    version_id,
    device_key,
    its_device AS device_id,
    COALESCE(date_key, CAST(REPLACE(text_of(session_date), '-', '') AS BIGINT)) AS date_key,
    COALESCE(time_key, CAST(FLOOR(minutes_between(session_date, known_start)) AS BIGINT)) AS time_key,
    profile_id,
    account_id,
    its_series AS series_key,
    view_source,
    session_date,
    COALESCE(known_start, CAST(session_date AS TIMESTAMP)) AS started_at,
    ended_at,
    has_end,
    elapsed_seconds,
    paused_seconds,
    watched_seconds,
    COALESCE(watched_seconds > COALESCE(
        min_seconds, CASE WHEN length_seconds <= view_seconds THEN length_seconds / 2.0 ELSE view_seconds END
    ), FALSE) AS is_long_enough,
    told_status_key,
    COALESCE(
        status = 'completed',
        is_played_out OR COALESCE(furthest >= credits_start_seconds, FALSE),
        furthest >= LEAST(credits_start_seconds, length_seconds),
        completion_percentage >= 100,
        FALSE
    ) AS is_completed,
    start_position,
    stop_position,
    furthest AS furthest_position,
    length_seconds,
    CASE
        WHEN completion_percentage IS NOT NULL THEN CAST(completion_percentage AS DOUBLE)
        WHEN furthest > length_seconds THEN CASE WHEN length_seconds > 0 THEN 100 END
        ELSE ratio(100 * furthest, length_seconds)
    END AS completion_percentage,
    number_of_pauses,
    number_of_rewinds,
    number_of_forwards,
    max_playback_quality,
    COALESCE(watched_credits,
        furthest > credits_start_seconds
        AND furthest >= credits_start_seconds + (COALESCE(length_seconds, credits_start_seconds) - credits_start_seconds) / 2.0
    ) AS watched_credits,
    COALESCE(watched_credits, FALSE) OR GREATEST(furthest, stop_position) >= credits_start_seconds AS reached_credits,
    autoplay_enabled,
    session_metadata,
    errors
FROM measured
