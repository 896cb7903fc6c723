-- Viewing sessions that metrics count: viewing_sessions without internal users, with what slices need. Kept as a table: nearly
-- every question reads it.
-- key: session_id
-- time: started_at
-- references: user_key viewers, content_key titles, device_key dim_devices
-- column: session_id = session
-- column: user_key = who watched
-- column: content_key = title
-- column: device_key = device
-- column: date_key = day of its start
-- column: time_key = time of day of its start
-- column: completion_status_key = how it ended; NULL while open
-- column: user_id = who watched, by the id in events
-- column: content_id = title, by the id in events
-- column: device_id = device, by the id in events
-- column: profile_id = profile
-- column: account_id = account
-- column: version_id = version of the title
-- column: series_key = series of the episode
-- column: view_source = how the title was reached
-- column: session_date = day of its start [day]
-- column: started_at = start [UTC]
-- column: ended_at = end; NULL while open [UTC]
-- column: is_open = not ended yet
-- column: is_completed = the title was completed
-- column: is_view = a view
-- column: watched_seconds = watched time [seconds]
-- column: elapsed_seconds = from start to end; NULL while open [seconds]
-- column: watched_minutes = watched time [minutes]
-- column: watched_hours = watched time [hours]
-- column: elapsed_minutes = from start to end; NULL while open [minutes]
-- column: paused_seconds = time paused [seconds]
-- column: stop_position = where playback stopped [seconds]
-- column: start_position = where playback started [seconds]
-- column: furthest_position = furthest position played [seconds]
-- column: length_seconds = length of the title [seconds]
-- column: completion = furthest position played over the length, 0 to 100 [percent]
-- column: pauses = pauses
-- column: rewinds = seeks backward
-- column: forwards = seeks forward
-- column: quality = best quality reached [lines]
-- column: has_credits_watched = the end credits were watched
-- column: reached_credits = it got to the end credits
-- column: has_autoplay = autoplay was on
-- column: title_age_days = days since the title's release [days]
-- column: is_movie = a movie
-- column: show_name = the show that it belongs to; NULL of what is no show
-- column: genre = main genre
-- column: trailer_of_content_key = title that it is a trailer of
-- column: season_number = season of the episode
-- column: episode_number = number of the episode in its season
-- column: user_title = user and title in one
-- column: user_show = user and show in one
-- column: user_genre = user and genre in one
-- column: account_profile = account and profile in one
SELECT
    s.session_id,
    s.user_key,
    s.content_key,
    s.device_key,
    s.date_key,
    s.time_key,
    s.completion_status_key,
    s.user_id,
    s.content_id,
    s.device_id,
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
    s.is_view,
    s.view_duration_seconds AS watched_seconds,
    s.session_duration_seconds AS elapsed_seconds,
    ratio(s.view_duration_seconds, 60) AS watched_minutes,
    ratio(s.view_duration_seconds, 3600) AS watched_hours,
    ratio(s.session_duration_seconds, 60) AS elapsed_minutes,
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
    COALESCE(t.is_movie, FALSE) AS is_movie,
    COALESCE('series ' || text_of(s.series_key), t.show_name) AS show_name,
    t.genre,
    t.trailer_of_content_key,
    t.season_number,
    t.episode_number,
    text_of(s.user_key) || ' ' || text_of(s.content_key) AS user_title,
    text_of(s.user_key) || ' ' || COALESCE('series ' || text_of(s.series_key), t.show_name) AS user_show,
    text_of(s.user_key) || ' ' || t.genre AS user_genre,
    s.account_id || ' ' || COALESCE(s.profile_id, '') AS account_profile
FROM viewing_sessions AS s
LEFT JOIN titles AS t ON t.content_key = s.content_key
LEFT JOIN viewers AS u ON u.user_key = s.user_key
WHERE NOT COALESCE(u.is_internal, FALSE)
