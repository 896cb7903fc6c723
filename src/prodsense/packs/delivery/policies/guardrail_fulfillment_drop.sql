-- param: max_drop_percent number = 1, our default for Z
WITH arms AS (
    SELECT a.arm, share(o.is_delivered) AS rate
    FROM orders AS o
    JOIN order_arms AS a ON a.order_id = o.order_id
    GROUP BY a.arm
)
SELECT
    'order fulfillment fell too much' AS violation,
    c.rate AS control_rate,
    t.rate AS treatment_rate,
    100 * ratio(c.rate - t.rate, c.rate) AS drop_percent,
    :max_drop_percent AS max_drop_percent
FROM arms AS c
JOIN arms AS t ON t.arm = 'treatment'
WHERE c.arm = 'control' AND 100 * ratio(c.rate - t.rate, c.rate) >= :max_drop_percent
