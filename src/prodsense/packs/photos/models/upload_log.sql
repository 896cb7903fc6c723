-- upload_facts without internal users: what metrics of uploads count.
-- kind: view
-- key: upload_id
-- time: started_at
-- references: upload_id upload_facts
-- column: upload_id = upload
-- column: started_at = when it began [UTC]
-- column: is_logged = has events
-- column: is_transferred = the transfer was begun
-- column: is_success = completed successfully
-- column: end_to_end_seconds = from the first event to the post seen live [seconds]
-- column: kilobits = size of the file, where the time of its transfer is known [kbit]
-- column: transfer_seconds = time of the transfer, where the size is known [seconds]
-- column: uses_filter = a filter was used
-- column: uses_crop = it was cropped
-- column: uses_adjustment = it was adjusted
-- column: has_caption = has a caption
-- column: has_people_tags = has people tagged
-- column: has_location = has a location tag
-- column: taps = taps and clicks
-- column: is_visible_at_once = seen in the feed within the limit
-- column: is_shown_correctly = shown as it should be
SELECT
    upload_id,
    started_at,
    is_logged,
    is_transferred,
    is_success,
    end_to_end_seconds,
    kilobits,
    transfer_seconds,
    uses_filter,
    uses_crop,
    uses_adjustment,
    has_caption,
    has_people_tags,
    has_location,
    taps,
    is_visible_at_once,
    is_shown_correctly
FROM upload_facts
WHERE NOT is_internal
