-- Uploads, each folded from its events and from what the other tables know of it into one row; on this the metrics stand. An
-- upload counts from its first event (else from its first attempt, else its completion). Internal users' are marked.
--
-- It succeeded when its last word is good: the transfer ended well by its status, or the confirmation was reached, with no
-- failure after. Without any event, completed_at decides. Stages are reached when they or a later one were entered.
-- key: upload_id
-- time: started_at
-- column: upload_id = upload
-- column: user_id = who uploads
-- column: is_internal = of a staff or test account
-- column: started_at = when it began [UTC]
-- column: file_size_band = size of the file in bands
-- column: network_type = network
-- column: region = region
-- column: device = device model
-- column: device_age = years since the device came out, in bands
-- column: is_logged = has events
-- column: furthest = furthest phase entered, 1 to 7
-- column: is_transferred = the transfer was begun
-- column: is_success = completed successfully
-- column: is_completed = it succeeded, or uploads says that it was done
-- column: initiated_at = stage Initiated reached [UTC]
-- column: selected_at = stage Media Selected reached [UTC]
-- column: edited_at = stage Editor Opened reached [UTC]
-- column: captioned_at = stage Caption Screen reached [UTC]
-- column: sent_at = stage Upload Started reached [UTC]
-- column: succeeded_at = stage Succeeded reached [UTC]
-- column: end_to_end_seconds = from the first event to the post seen live, of a successful one [seconds]
-- column: kilobits = size of the file, where the time of its transfer is known [kbit]
-- column: transfer_seconds = time of the transfer, where the size is known [seconds]
-- column: uses_filter = a filter was used; NULL where no edits are known at all
-- column: uses_crop = it was cropped
-- column: uses_adjustment = it was adjusted
-- column: has_caption = has a caption; not said is no, unless nothing is said of any upload
-- column: has_people_tags = has people tagged
-- column: has_location = has a location tag
-- column: edit_tool = the tool, where just one was used
-- column: taps = taps and clicks; NULL where no interaction is known
-- column: is_visible_at_once = seen in the feed within the limit; NULL of one that is not completed
-- column: is_shown_correctly = shown as it should be; NULL of one that is not completed
-- column: draft_id = draft that it was saved as
WITH flows AS (
    SELECT
        upload_id,
        MIN(user_id) AS user_id,
        MIN(occurred_at) AS first_at,
        MAX(phase) AS furthest,
        MIN(CASE WHEN phase >= 2 THEN occurred_at END) AS from_2,
        MIN(CASE WHEN phase >= 4 THEN occurred_at END) AS from_4,
        MIN(CASE WHEN phase >= 5 THEN occurred_at END) AS from_5,
        MIN(CASE WHEN phase >= 6 THEN occurred_at END) AS from_6,
        MIN(CASE WHEN phase = 1 THEN occurred_at END) AS initiated,
        MIN(CASE WHEN phase = 7 AND kind = 'start' THEN occurred_at END) AS confirming,
        MIN(CASE WHEN phase = 7 AND kind = 'end' THEN occurred_at END) AS confirmed,
        MIN(CASE WHEN phase = 7 THEN occurred_at END) AS from_7,
        MAX(CASE
            WHEN phase = 6 AND kind = 'end' AND is_ok THEN occurred_at
            WHEN phase = 7 AND kind IN ('start', 'end') AND is_ok IS DISTINCT FROM FALSE THEN occurred_at
        END) AS good_at,
        MAX(CASE WHEN phase IN (6, 7) AND kind IN ('end', 'error') AND NOT is_ok THEN occurred_at END) AS bad_at,
        SUM(CASE WHEN phase = 6 AND kind IN ('start', 'end') AND is_ok IS DISTINCT FROM FALSE THEN seconds END) AS transfer
    FROM event_log
    GROUP BY upload_id
),
tries AS (
    SELECT upload_id, MIN(started_at) AS first_at
    FROM upload_attempts
    GROUP BY upload_id
),
tools AS (
    SELECT
        upload_id,
        MAX(CASE WHEN LOWER(tool) LIKE '%filter%' THEN 1 ELSE 0 END) AS filters,
        MAX(CASE WHEN LOWER(tool) LIKE '%crop%' THEN 1 ELSE 0 END) AS crops,
        MAX(CASE WHEN LOWER(tool) LIKE '%adjust%' OR LOWER(tool) IN (
            'brightness', 'contrast', 'saturation', 'exposure', 'warmth', 'sharpness', 'highlights', 'shadows'
        ) THEN 1 ELSE 0 END) AS adjustments,
        CASE WHEN COUNT(DISTINCT LOWER(TRIM(tool))) = 1 THEN MIN(LOWER(TRIM(tool))) END AS edit_tool
    FROM upload_edits
    GROUP BY upload_id
),
gestures AS (
    SELECT
        upload_id,
        SUM(CASE WHEN LOWER(interaction_type) LIKE '%tap%' OR LOWER(interaction_type) LIKE '%click%' THEN 1 ELSE 0 END) AS taps
    FROM ui_interactions
    GROUP BY upload_id
),
saved AS (
    SELECT upload_id, MIN(draft_id) AS draft_id
    FROM drafts
    WHERE upload_id IS NOT NULL AND saved_at IS NOT NULL
    GROUP BY upload_id
),
everything AS (
    SELECT upload_id FROM flows
    UNION ALL
    SELECT upload_id FROM uploads
    UNION ALL
    SELECT upload_id FROM tries
    UNION ALL
    SELECT upload_id FROM tools
),
ids AS (
    SELECT DISTINCT upload_id FROM everything
),
-- What is known at all: a column that nobody fills says nothing, and an undated upload counts at the newest moment.
told AS (
    SELECT
        (SELECT COUNT(*) FROM upload_edits) AS edits,
        (SELECT COUNT(has_caption) FROM uploads) AS captions,
        (SELECT COUNT(people_tags) FROM uploads) AS people,
        (SELECT COUNT(has_location) FROM uploads) AS locations,
        (SELECT COUNT(first_visible_at) FROM uploads) AS seen,
        (SELECT COUNT(display_ok) FROM uploads) AS shown,
        (SELECT COALESCE(MAX(timestamp), CAST('2000-01-01' AS TIMESTAMP)) FROM upload_events) AS newest,
        (SELECT COALESCE(MAX(value), 10) FROM settings WHERE setting = 'visible_within_seconds') AS visible_seconds
),
joined AS (
    SELECT
        i.upload_id,
        COALESCE(f.user_id, u.user_id) AS user_id,
        COALESCE(f.first_at, t.first_at, u.completed_at, k.newest) AS started_at,
        CASE
            WHEN u.file_size_bytes < 1000000 THEN 'under 1 MB'
            WHEN u.file_size_bytes < 3000000 THEN '1-3 MB'
            WHEN u.file_size_bytes < 10000000 THEN '3-10 MB'
            WHEN u.file_size_bytes >= 10000000 THEN 'over 10 MB'
        END AS file_size_band,
        u.network_type,
        u.region,
        u.device,
        CASE
            WHEN u.device_age_years < 2 THEN 'under 2 years'
            WHEN u.device_age_years < 4 THEN '2-4 years'
            WHEN u.device_age_years >= 4 THEN 'over 4 years'
        END AS device_age,
        f.upload_id IS NOT NULL AS is_logged,
        f.furthest,
        f.first_at,
        f.from_2,
        f.from_4,
        f.from_5,
        f.from_6,
        f.from_7,
        f.initiated,
        f.confirming,
        f.confirmed,
        f.good_at,
        f.transfer,
        CASE WHEN f.upload_id IS NULL THEN u.completed_at IS NOT NULL
            ELSE f.good_at IS NOT NULL AND (f.bad_at IS NULL OR f.good_at >= f.bad_at) END AS is_success,
        u.upload_id IS NOT NULL AS is_described,
        u.completed_at,
        u.first_visible_at,
        u.display_ok,
        u.file_size_bytes,
        u.has_caption,
        u.has_location,
        REPLACE(REPLACE(REPLACE(LOWER(TRIM(u.people_tags)), '[]', ''), 'false', ''), 'none', '') AS people,
        COALESCE(o.filters, 0) AS filters,
        COALESCE(o.crops, 0) AS crops,
        COALESCE(o.adjustments, 0) AS adjustments,
        o.edit_tool,
        g.taps,
        d.draft_id,
        k.edits,
        k.captions AS captions_told,
        k.people AS people_told,
        k.locations AS locations_told,
        k.seen AS seen_told,
        k.shown AS shown_told,
        k.visible_seconds
    FROM ids AS i
    CROSS JOIN told AS k
    LEFT JOIN flows AS f ON f.upload_id = i.upload_id
    LEFT JOIN uploads AS u ON u.upload_id = i.upload_id
    LEFT JOIN tries AS t ON t.upload_id = i.upload_id
    LEFT JOIN tools AS o ON o.upload_id = i.upload_id
    LEFT JOIN gestures AS g ON g.upload_id = i.upload_id
    LEFT JOIN saved AS d ON d.upload_id = i.upload_id
)
SELECT
    j.upload_id,
    j.user_id,
    COALESCE(m.is_internal, FALSE) AS is_internal,
    j.started_at,
    j.file_size_band,
    j.network_type,
    j.region,
    j.device,
    j.device_age,
    j.is_logged,
    j.furthest,
    COALESCE(j.furthest >= 6, FALSE) AS is_transferred,
    j.is_success,
    j.is_success OR j.completed_at IS NOT NULL AS is_completed,
    j.first_at AS initiated_at,
    j.from_2 AS selected_at,
    j.from_4 AS edited_at,
    j.from_5 AS captioned_at,
    j.from_6 AS sent_at,
    CASE WHEN j.is_success THEN COALESCE(j.from_7, j.good_at) END AS succeeded_at,
    CASE WHEN j.is_success
        THEN seconds_between(COALESCE(j.initiated, j.first_at), COALESCE(j.confirmed, j.confirming, j.first_visible_at))
    END AS end_to_end_seconds,
    CASE WHEN j.transfer > 0 THEN CAST(j.file_size_bytes AS DOUBLE) * 8 / 1000 END AS kilobits,
    CASE WHEN j.file_size_bytes IS NOT NULL AND j.transfer > 0 THEN j.transfer END AS transfer_seconds,
    CASE WHEN j.edits > 0 THEN j.filters > 0 END AS uses_filter,
    CASE WHEN j.edits > 0 THEN j.crops > 0 END AS uses_crop,
    CASE WHEN j.edits > 0 THEN j.adjustments > 0 END AS uses_adjustment,
    CASE WHEN j.is_described AND j.captions_told > 0 THEN COALESCE(j.has_caption, FALSE) END AS has_caption,
    CASE WHEN j.is_described AND j.people_told > 0 THEN COALESCE(j.people, '') NOT IN ('', '0') END AS has_people_tags,
    CASE WHEN j.is_described AND j.locations_told > 0 THEN COALESCE(j.has_location, FALSE) END AS has_location,
    j.edit_tool,
    j.taps,
    CASE WHEN (j.is_success OR j.completed_at IS NOT NULL) AND j.is_described AND j.seen_told > 0
        THEN COALESCE(seconds_between(j.completed_at, j.first_visible_at) <= j.visible_seconds, FALSE)
    END AS is_visible_at_once,
    CASE WHEN (j.is_success OR j.completed_at IS NOT NULL) AND j.is_described AND j.shown_told > 0
        THEN COALESCE(j.display_ok, FALSE)
    END AS is_shown_correctly,
    j.draft_id
FROM joined AS j
LEFT JOIN users AS m ON m.user_id = j.user_id
