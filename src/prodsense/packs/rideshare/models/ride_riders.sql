-- Completed rides beside their riders: a row a journey, and one for a ride without any. Rides are counted distinct.
-- kind: view
-- time: started_at
-- references: ride_id rides, rider_user_key riders
-- column: ride_id = ride
-- column: rider_user_key = rider
-- column: started_at = start of the ride [UTC]
-- column: is_carpool = a Carpool ride
-- column: trip_purpose = purpose of the rider's trip
-- column: rider_age_days = days since the rider's account was made [days]
SELECT
    r.ride_id,
    j.rider_user_key,
    r.started_at,
    r.is_carpool,
    j.trip_purpose,
    j.rider_age_days
FROM rides AS r
LEFT JOIN journeys AS j ON j.ride_id = r.ride_id
