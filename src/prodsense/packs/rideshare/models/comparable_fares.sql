-- Carpool and Regular journeys with a fare and miles, each beside what Regular ones cost on comparable trips: same city,
-- corridor, distance band and hour of the day. Without any comparable Regular journey nothing is expected (NULL).
-- kind: view
-- key: ride_segment_id
-- time: picked_up_at
-- references: ride_id rides, rider_user_key riders
-- column: ride_segment_id = journey
-- column: ride_id = ride
-- column: rider_user_key = rider
-- column: picked_up_at = pickup [UTC]
-- column: ride_type = Carpool or Regular
-- column: is_carpool = in a Carpool ride
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: fare = fare [currency]
-- column: expected_fare = miles at the Regular fare a mile of comparable trips [currency]
WITH priced AS (
    SELECT
        *,
        CASE WHEN miles < 2 THEN 0 WHEN miles < 5 THEN 2 WHEN miles < 10 THEN 5 ELSE 10 END AS band,
        hour_of(picked_up_at) AS hour
    FROM segments
    WHERE fare IS NOT NULL AND miles > 0 AND (is_carpool OR is_standard)
),
standard AS (
    SELECT
        *,
        SUM(CASE WHEN is_standard THEN fare END) OVER (PARTITION BY city, route_corridor, band, hour) AS standard_fares,
        SUM(CASE WHEN is_standard THEN miles END) OVER (PARTITION BY city, route_corridor, band, hour) AS standard_miles
    FROM priced
)
SELECT
    ride_segment_id,
    ride_id,
    rider_user_key,
    picked_up_at,
    ride_type,
    is_carpool,
    city,
    zone,
    route_corridor,
    fare,
    CAST(miles AS DOUBLE) * ratio(standard_fares, standard_miles) AS expected_fare
FROM standard
