-- param: floor_per_hour number = 10, our default for the floor
WITH pay AS (
    SELECT SUM(amount_cents) / 100.0 AS amount
    FROM earnings
),
online AS (
    SELECT SUM(minutes) / 60 AS hours
    FROM driver_time
)
SELECT
    'driver earnings per hour are below the floor' AS violation,
    ratio(p.amount, o.hours) AS earnings_per_hour,
    :floor_per_hour AS floor_per_hour
FROM pay AS p
CROSS JOIN online AS o
WHERE ratio(p.amount, o.hours) < :floor_per_hour
