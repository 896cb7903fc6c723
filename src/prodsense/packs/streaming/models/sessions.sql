-- Viewing sessions that metrics count: without internal users, with what makes one a view. A view is over and has more watched
-- time than view_seconds (30), or of a title not longer than that, half its length; view_rules sets it by type of content.
-- kind: view
-- key: session_id
-- time: started_at
-- references: user_key viewers, content_key dim_content, device_key dim_devices
-- column: session_id = session
-- column: user_key = who watched
-- column: content_key = title
-- column: device_key = device
-- column: started_at = start [UTC]
-- column: session_date = day of its start [day]
-- column: is_view = a view
-- column: watched_seconds = watched time [seconds]
-- column: title_age_days = days since the title's release [days]
-- column: show_name = the show that it belongs to: its series, or itself; NULL of what is no show
-- column: user_title = user and title in one
WITH cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'view_seconds' THEN value END), 30) AS view_seconds
    FROM settings
)
SELECT
    s.session_id,
    s.user_key,
    s.content_key,
    s.device_key,
    s.date_key,
    s.time_key,
    s.completion_status_key,
    s.profile_id,
    s.account_id,
    s.version_id,
    s.series_key,
    s.view_source,
    s.session_date,
    s.started_at,
    s.session_end_timestamp AS ended_at,
    s.is_open,
    s.is_completed,
    NOT s.is_open AND COALESCE(s.view_duration_seconds > COALESCE(
        r.min_seconds,
        CASE WHEN s.total_content_length_seconds <= c.view_seconds THEN s.total_content_length_seconds / 2.0
            ELSE c.view_seconds END
    ), FALSE) AS is_view,
    s.view_duration_seconds AS watched_seconds,
    s.session_duration_seconds AS elapsed_seconds,
    s.total_pause_duration_seconds AS paused_seconds,
    s.playback_position_seconds AS stop_position,
    s.start_position_seconds AS start_position,
    s.furthest_position_seconds AS furthest_position,
    s.total_content_length_seconds AS length_seconds,
    s.completion_percentage AS completion,
    s.number_of_pauses AS pauses,
    s.number_of_rewinds AS rewinds,
    s.number_of_forwards AS forwards,
    s.max_playback_quality AS quality,
    s.watched_credits AS has_credits_watched,
    s.reached_credits,
    s.autoplay_enabled AS has_autoplay,
    days_between(t.release_date, s.session_date) AS title_age_days,
    LOWER(t.content_type) IN ('movie', 'film') AS is_movie,
    CASE
        WHEN s.series_key IS NOT NULL THEN 'series ' || text_of(s.series_key)
        WHEN LOWER(t.content_type) IN ('series', 'show', 'episode', 'tv', 'tv show', 'tv_show') THEN text_of(s.content_key)
    END AS show_name,
    t.trailer_of_content_key,
    COALESCE(t.season_number, 1) AS season_number,
    t.episode_number,
    text_of(s.user_key) || ' ' || text_of(s.content_key) AS user_title
FROM viewing_sessions AS s
CROSS JOIN cuts AS c
LEFT JOIN dim_content AS t ON t.content_key = s.content_key
LEFT JOIN viewers AS u ON u.user_key = s.user_key
LEFT JOIN view_rules AS r ON LOWER(r.content_type) = LOWER(t.content_type)
WHERE NOT COALESCE(u.is_internal, FALSE)
