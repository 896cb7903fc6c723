-- param: max_drop_percent number = 5, our default for Y
WITH trips AS (
    SELECT
        a.arm,
        d.trip_id,
        minutes_between(MIN(d.assigned_to_driver_at), MAX(d.delivered_at)) AS minutes
    FROM deliveries AS d
    JOIN order_arms AS a ON a.order_id = d.order_id
    WHERE d.is_delivered
    GROUP BY a.arm, d.trip_id
),
work AS (
    SELECT arm, SUM(minutes) / 60 AS hours
    FROM trips
    GROUP BY arm
),
pay AS (
    SELECT a.arm, SUM(e.amount_cents) / 100.0 AS amount
    FROM earnings AS e
    JOIN deliveries AS d ON d.delivery_id = e.delivery_id
    JOIN order_arms AS a ON a.order_id = d.order_id
    GROUP BY a.arm
),
arms AS (
    SELECT w.arm, ratio(p.amount, w.hours) AS per_hour
    FROM work AS w
    JOIN pay AS p ON p.arm = w.arm
)
SELECT
    'driver earnings per hour fell too much' AS violation,
    c.per_hour AS control_per_hour,
    t.per_hour AS treatment_per_hour,
    100 * ratio(c.per_hour - t.per_hour, c.per_hour) AS drop_percent,
    :max_drop_percent AS max_drop_percent
FROM arms AS c
JOIN arms AS t ON t.arm = 'treatment'
WHERE c.arm = 'control' AND 100 * ratio(c.per_hour - t.per_hour, c.per_hour) >= :max_drop_percent
