-- The first journey of each rider who was new then: the account was made at most 30 days before. Of others it cannot be told
-- whether it was their first.
-- kind: view
-- key: rider_user_key
-- time: picked_up_at
-- references: ride_id rides, rider_user_key riders
-- column: rider_user_key = rider
-- column: ride_id = ride
-- column: picked_up_at = pickup [UTC]
-- column: is_carpool = in a Carpool ride
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: rider_age_days = days since the rider's account was made [days]
WITH firsts AS (
    SELECT *
    FROM segments
    WHERE rider_user_key IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY rider_user_key ORDER BY picked_up_at, ride_segment_id) = 1
)
SELECT
    rider_user_key,
    ride_id,
    picked_up_at,
    is_carpool,
    city,
    zone,
    route_corridor,
    rider_age_days
FROM firsts
WHERE rider_age_days BETWEEN 0 AND 30
