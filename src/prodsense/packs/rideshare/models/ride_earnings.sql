-- Completed rides with what their drivers were paid for them, all payments of a ride added up first.
-- kind: view
-- key: ride_id
-- time: started_at
-- references: ride_id rides
-- column: ride_id = ride
-- column: started_at = start [UTC]
-- column: ride_type = Carpool, Regular or other
-- column: total_distance = miles of the vehicle [miles]
-- column: total_duration = driving time [seconds]
-- column: earnings = what the driver was paid for it; 0 where payments of other rides are known [currency]
WITH paid AS (
    SELECT ride_id, SUM(earnings_amount) AS earnings
    FROM fact_driver_earnings
    WHERE ride_id IS NOT NULL
    GROUP BY ride_id
)
SELECT
    r.ride_id,
    r.started_at,
    r.ride_type,
    r.total_distance,
    r.total_duration,
    CASE WHEN (SELECT COUNT(*) FROM paid) > 0 THEN COALESCE(p.earnings, 0) END AS earnings
FROM rides AS r
LEFT JOIN paid AS p ON p.ride_id = r.ride_id
