-- Every booking beside each cause that it could have been cancelled for, with whether it was: so that a rate by cause is out
-- of all bookings.
-- kind: view
-- key: request_id, cancellation_reason
-- time: requested_at
-- references: request_id bookings
-- column: request_id = booking
-- column: requested_at = when it was made [UTC]
-- column: ride_type = ride type asked for
-- column: is_carpool = asks for Carpool
-- column: cause_number = 1 to 4, one for each cause
-- column: cancellation_reason = poor_eta, long_wait, matching_problem or other
-- column: by_rider = 1 when the rider cancelled it for this cause
-- column: by_driver = 1 when the driver cancelled it for this cause
WITH causes AS (
    SELECT cause_number, cancellation_reason
    FROM (VALUES (1, 'poor_eta'), (2, 'long_wait'), (3, 'matching_problem'), (4, 'other')) AS listed (
        cause_number, cancellation_reason
    )
)
SELECT
    b.request_id,
    b.requested_at,
    b.ride_type,
    b.is_carpool,
    c.cause_number,
    c.cancellation_reason,
    CASE WHEN b.is_rider_cancelled AND b.cause_number = c.cause_number THEN 1 ELSE 0 END AS by_rider,
    CASE WHEN b.is_driver_cancelled AND b.cause_number = c.cause_number THEN 1 ELSE 0 END AS by_driver
FROM bookings AS b
CROSS JOIN causes AS c
