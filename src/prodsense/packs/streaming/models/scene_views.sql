-- Views that reached a scene, twice each: with the seeks forward over it and with those back to it. Scenes are those of the table
-- `scenes` and the intro; of a title that has neither, the whole of it. Without internal users.
-- kind: view
-- time: started_at
-- references: user_key viewers, content_key titles
-- column: session_id = session of the view
-- column: user_key = user
-- column: content_key = title
-- column: scene = intro, title (the whole), or a name of the table
-- column: started_at = start of the session [UTC]
-- column: title_age_days = days since the title's release [days]
-- column: view_scene = view and scene in one
-- column: seek_direction = forward or backward
-- column: seeks = seeks of that direction over, or back to, the scene
-- column: is_skipped = a seek forward led from before its end beyond it
WITH known AS (
    SELECT t.content_key, s.scene, s.start_seconds, s.end_seconds
    FROM scenes AS s
    JOIN titles AS t ON t.content_id = s.content_id
    UNION ALL
    SELECT content_key, 'intro', intro_start_seconds, intro_end_seconds
    FROM titles
    WHERE intro_end_seconds > intro_start_seconds
),
views AS (
    SELECT
        s.session_id, s.user_key, s.content_key, s.started_at, s.title_age_days, s.furthest_position,
        COALESCE(s.start_position, 0) AS start_position,
        COALESCE(k.scene, 'title') AS scene,
        COALESCE(k.start_seconds, 0) AS scene_start,
        COALESCE(k.end_seconds, 1000000000) AS scene_end
    FROM sessions AS s
    LEFT JOIN known AS k ON k.content_key = s.content_key
    WHERE s.is_view
),
jumps AS (
    SELECT f.session_id, k.from_position, k.to_position
    FROM seeks AS k
    JOIN session_folds AS f ON f.session_key = k.session_key AND f.content_id = k.content_id
),
touched AS (
    SELECT
        v.session_id,
        v.scene,
        SUM(CASE WHEN j.to_position > j.from_position AND j.from_position < v.scene_end AND j.to_position > v.scene_start
            THEN 1 ELSE 0 END) AS forwards,
        SUM(CASE WHEN j.to_position < j.from_position AND j.to_position >= v.scene_start AND j.to_position < v.scene_end
            THEN 1 ELSE 0 END) AS backwards,
        MAX(CASE WHEN j.from_position < v.scene_end AND j.to_position >= v.scene_end THEN 1 ELSE 0 END) AS skips
    FROM views AS v
    JOIN jumps AS j ON j.session_id = v.session_id
    GROUP BY v.session_id, v.scene
),
directions AS (
    SELECT 'forward' AS seek_direction
    UNION ALL
    SELECT 'backward'
)
SELECT
    v.session_id,
    v.user_key,
    v.content_key,
    v.scene,
    v.started_at,
    v.title_age_days,
    text_of(v.session_id) || ' ' || v.scene AS view_scene,
    d.seek_direction,
    CAST(COALESCE(CASE d.seek_direction WHEN 'forward' THEN t.forwards ELSE t.backwards END, 0) AS BIGINT) AS seeks,
    COALESCE(t.skips, 0) = 1 AS is_skipped
FROM views AS v
CROSS JOIN directions AS d
LEFT JOIN touched AS t ON t.session_id = v.session_id AND t.scene = v.scene
WHERE (COALESCE(v.furthest_position, 0) >= v.scene_start AND v.start_position < v.scene_end)
    OR t.forwards > 0 OR t.backwards > 0
