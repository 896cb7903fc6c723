-- How the app ran during uploads: one row per upload and session of the app; a record that names neither is one by itself.
-- Without internal users. An undated record counts when its upload began, else at the newest moment.
-- kind: view
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: started_at = when [UTC]
-- column: network_type = network
-- column: region = region
-- column: device = device model
-- column: dropped_frames = frames that came too late, where both numbers are known [frames]
-- column: total_frames = frames that were due [frames]
-- column: has_anr = the app did not respond
-- column: has_crash = the app crashed
WITH told AS (
    SELECT
        (SELECT COUNT(anr) FROM app_performance) AS anrs,
        (SELECT COUNT(crashed) FROM app_performance) AS crashes,
        (SELECT COALESCE(MAX(started_at), CAST('2000-01-01' AS TIMESTAMP)) FROM upload_facts) AS newest
),
records AS (
    SELECT
        a.*,
        CASE WHEN a.session_id IS NULL AND a.upload_id IS NULL THEN ROW_NUMBER() OVER (
            PARTITION BY a.session_id, a.upload_id ORDER BY a.recorded_at, a.record_id) END AS alone
    FROM app_performance AS a
    WHERE LOWER(a.flow) LIKE '%upload%'
),
sessions AS (
    SELECT
        upload_id,
        MIN(recorded_at) AS recorded_at,
        MIN(user_id) AS user_id,
        MIN(network_type) AS network_type,
        MIN(region) AS region,
        MIN(device) AS device,
        SUM(CASE WHEN total_frames IS NOT NULL THEN dropped_frames END) AS dropped_frames,
        SUM(CASE WHEN dropped_frames IS NOT NULL THEN total_frames END) AS total_frames,
        MAX(CASE WHEN anr THEN 1 ELSE 0 END) AS anrs,
        MAX(CASE WHEN crashed THEN 1 ELSE 0 END) AS crashes
    FROM records
    GROUP BY session_id, upload_id, alone
)
SELECT
    s.upload_id,
    COALESCE(s.recorded_at, u.started_at, k.newest) AS started_at,
    COALESCE(s.network_type, u.network_type) AS network_type,
    COALESCE(s.region, u.region) AS region,
    COALESCE(s.device, u.device) AS device,
    s.dropped_frames,
    s.total_frames,
    CASE WHEN k.anrs > 0 THEN s.anrs > 0 END AS has_anr,
    CASE WHEN k.crashes > 0 THEN s.crashes > 0 END AS has_crash
FROM sessions AS s
CROSS JOIN told AS k
LEFT JOIN upload_facts AS u ON u.upload_id = s.upload_id
LEFT JOIN users AS m ON m.user_id = s.user_id
WHERE NOT COALESCE(u.is_internal OR m.is_internal, u.is_internal, m.is_internal, FALSE)
