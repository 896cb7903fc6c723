-- Playback events by session: the rows of fact_viewing_events, and those of playback_events in their shape.
-- kind: view
-- completes: fact_viewing_events
-- time: event_timestamp
-- column: event_id = event; NULL where it comes from playback_events
-- column: session_id = session
-- column: event_type = what happened
-- column: event_timestamp = when [UTC]
-- column: playback_position_seconds = position; of a seek, where it starts from [seconds]
-- column: seek_to_seconds = of a seek, where it leads to; NULL where not known [seconds]
-- column: quality = of a quality change, the quality
SELECT
    event_id,
    session_id,
    LOWER(event_type) AS event_type,
    event_timestamp,
    CAST(playback_position_seconds AS DOUBLE) AS playback_position_seconds,
    CAST(event_metadata ->> '$.to' AS DOUBLE) AS seek_to_seconds,
    event_metadata ->> '$.quality' AS quality
FROM fact_viewing_events
UNION ALL
SELECT
    NULL,
    f.session_id,
    CASE l.step
        WHEN 1 THEN 'play' WHEN 2 THEN 'progress' WHEN 3 THEN 'seek' WHEN 5 THEN 'quality_change' WHEN 6 THEN 'error'
        WHEN 7 THEN 'pause' WHEN 8 THEN 'resume' WHEN 9 THEN 'complete' WHEN 10 THEN 'stop' ELSE 'other'
    END,
    l.occurred_at,
    l.position,
    NULLIF(l.seek_to, 1000000000),
    l.quality
FROM playback_log AS l
JOIN session_folds AS f ON f.session_key = l.session_key AND f.content_id = COALESCE(l.content_id, '')
WHERE NOT EXISTS (SELECT 1 FROM fact_viewing_events AS e WHERE text_of(e.session_id) = l.session_key)
