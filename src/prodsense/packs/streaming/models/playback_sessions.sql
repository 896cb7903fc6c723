-- Sessions by user and title as the player's team calls them: the rows of fact_viewing_sessions under other names, so that there
-- are never two facts.
-- kind: view
-- key: session_id
-- time: start_timestamp
-- references: user_key viewers, content_key titles
-- column: session_id = session
-- column: user_key = who watched
-- column: content_key = title
-- column: profile_id = profile
-- column: start_timestamp = start [UTC]
-- column: end_timestamp = end; NULL while open [UTC]
-- column: total_watch_time = watched time: elapsed less pauses [seconds]
-- column: completion_status = completed, abandoned or open
SELECT
    s.session_id,
    s.user_key,
    s.content_key,
    s.profile_id,
    s.session_start_timestamp AS start_timestamp,
    s.session_end_timestamp AS end_timestamp,
    s.view_duration_seconds AS total_watch_time,
    CASE WHEN s.is_open THEN 'open'
        ELSE COALESCE(LOWER(c.completion_status), CASE WHEN s.is_completed THEN 'completed' ELSE 'abandoned' END)
    END AS completion_status
FROM viewing_sessions AS s
LEFT JOIN dim_completion_status AS c ON c.completion_status_key = s.completion_status_key
