-- What happened to each booking, as events: requested, matched, picked_up, dropped_off. When it was matched is not told: it
-- stands a second after the request.
-- kind: view
-- time: happened_at
-- references: request_id bookings
-- column: request_id = booking
-- column: step = requested, matched, picked_up or dropped_off
-- column: happened_at = when [UTC]
-- column: ride_type = ride type asked for
-- column: city = city of the pickup
-- column: trip_purpose = commute, leisure or other
WITH ridden AS (
    SELECT l.request_id, s.picked_up_at, s.dropped_off_at
    FROM request_links AS l
    JOIN segments AS s ON s.ride_segment_id = l.ride_segment_id
    WHERE l.is_of_request
)
SELECT request_id, 'requested' AS step, requested_at AS happened_at, ride_type, city, trip_purpose
FROM bookings
UNION ALL
SELECT request_id, 'matched', add_minutes(requested_at, ratio(1, 60)), ride_type, city, trip_purpose
FROM bookings
WHERE is_matched
UNION ALL
SELECT b.request_id, 'picked_up', r.picked_up_at, b.ride_type, b.city, b.trip_purpose
FROM bookings AS b
JOIN ridden AS r ON r.request_id = b.request_id
WHERE r.picked_up_at IS NOT NULL
UNION ALL
SELECT b.request_id, 'dropped_off', r.dropped_off_at, b.ride_type, b.city, b.trip_purpose
FROM bookings AS b
JOIN ridden AS r ON r.request_id = b.request_id
WHERE r.dropped_off_at IS NOT NULL
