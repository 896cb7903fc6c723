-- Payments around a driver's opt-in to Carpool: as many days before it as from it on, at most 28 and as far as payments
-- reach. Drivers who never opted in stand beside, around the middle of the others' opt-ins.
-- kind: view
-- time: opted_in_at
-- references: ride_id rides, driver_user_key drivers
-- column: driver_user_key = driver
-- column: opted_in_at = opt-in, or the moment taken in its place [UTC]
-- column: carpool_drivers = 'opted in' or 'not opted in'
-- column: ride_id = the ride paid, if one
-- column: driver_tenure_days = days since the driver's account was made, at that moment [days]
-- column: before_amount = paid before [currency]
-- column: after_amount = paid from then on [currency]
WITH payments AS (
    SELECT
        COALESCE(e.driver_user_key, r.driver_user_key) AS driver_user_key,
        r.ride_id,
        e.earnings_amount,
        COALESCE(e.earned_at, r.ended_at) AS earned_at
    FROM fact_driver_earnings AS e
    LEFT JOIN rides AS r ON r.ride_id = e.ride_id
),
span AS (
    SELECT date_of(MIN(earned_at)) AS first_day, date_of(MAX(earned_at)) AS last_day
    FROM payments
),
numbered AS (
    SELECT
        opted_in_at,
        ROW_NUMBER() OVER (ORDER BY opted_in_at, driver_user_key) AS place,
        COUNT(*) OVER () AS drivers
    FROM drivers
    WHERE opted_in_at IS NOT NULL
),
middle AS (
    SELECT MIN(opted_in_at) AS opted_in_at
    FROM numbered
    WHERE 2 * place >= drivers
),
pivots AS (
    SELECT
        d.driver_user_key,
        d.created_at,
        COALESCE(d.opted_in_at, m.opted_in_at) AS opted_in_at,
        CASE WHEN d.opted_in_at IS NOT NULL THEN 'opted in' ELSE 'not opted in' END AS carpool_drivers,
        LEAST(
            28,
            days_between(s.first_day, COALESCE(d.opted_in_at, m.opted_in_at)),
            days_between(COALESCE(d.opted_in_at, m.opted_in_at), s.last_day) + 1
        ) AS days
    FROM drivers AS d
    CROSS JOIN middle AS m
    CROSS JOIN span AS s
    WHERE NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = d.driver_user_key AND u.is_internal)
)
SELECT
    p.driver_user_key,
    d.opted_in_at,
    d.carpool_drivers,
    p.ride_id,
    days_between(d.created_at, d.opted_in_at) AS driver_tenure_days,
    CASE WHEN p.earned_at < d.opted_in_at THEN p.earnings_amount ELSE 0 END AS before_amount,
    CASE WHEN p.earned_at < d.opted_in_at THEN 0 ELSE p.earnings_amount END AS after_amount
FROM payments AS p
JOIN pivots AS d ON d.driver_user_key = p.driver_user_key
WHERE d.days >= 1
    AND days_between(d.opted_in_at, p.earned_at) >= -d.days
    AND days_between(d.opted_in_at, p.earned_at) < d.days
