-- segments with what their requests tell: what rider metrics count.
-- kind: view
-- key: ride_segment_id
-- time: picked_up_at
-- references: ride_id rides, rider_user_key riders
-- column: ride_segment_id = journey
-- column: ride_id = ride
-- column: rider_user_key = rider
-- column: ride_type = Carpool, Regular or other
-- column: is_carpool = in a Carpool ride
-- column: is_standard = in a Regular ride
-- column: picked_up_at = pickup [UTC]
-- column: is_pickup_known = the journey has a pickup time of its own
-- column: dropped_off_at = dropoff [UTC]
-- column: day = day of picked_up_at [day]
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: fare = fare [currency]
-- column: miles = miles carried [miles]
-- column: minutes = from pickup to dropoff [minutes]
-- column: detour_minutes = minutes beyond those of the same journey alone [minutes]
-- column: detour_miles = miles beyond those of the same journey alone [miles]
-- column: direct_miles = miles of the same journey alone [miles]
-- column: rider_age_days = days since the rider's account was made [days]
-- column: is_price_sensitive = the rider's price sensitivity segment says so; NULL where it is not known
-- column: trip_purpose = commute, leisure or other
-- column: wait_seconds = from request to pickup, of the journey that the request led to; NULL where unknown or negative [seconds]
SELECT
    s.*,
    u.is_price_sensitive,
    q.trip_purpose,
    CASE WHEN l.is_of_request AND s.is_pickup_known AND s.picked_up_at >= q.request_timestamp
        THEN seconds_between(q.request_timestamp, s.picked_up_at)
    END AS wait_seconds
FROM segments AS s
LEFT JOIN riders AS u ON u.rider_user_key = s.rider_user_key
LEFT JOIN request_links AS l ON l.ride_segment_id = s.ride_segment_id AND l.is_of_segment
LEFT JOIN fact_ride_requests AS q ON q.request_id = l.request_id
