-- Seeks whose direction is known, once each.
-- partition: seek_date    spread: 1 day    late: 3 days
-- time: occurred_at
-- column: session_key = session as text
-- column: content_id = title, or a version of it
-- column: occurred_at = when [UTC]
-- column: seek_date = day of occurred_at [day]
-- column: from_position = where it starts [seconds]
-- column: to_position = where it leads to [seconds]
SELECT DISTINCT
    session_key,
    COALESCE(content_id, '') AS content_id,
    occurred_at,
    date_of(occurred_at) AS seek_date,
    position AS from_position,
    seek_to AS to_position
FROM playback_log
WHERE step = 3 AND seek_to < 1000000000 AND seek_to <> position
