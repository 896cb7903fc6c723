-- param: max_increase_minutes number = 2, our default for X
WITH arms AS (
    SELECT a.arm, mean(d.actual_minutes) AS minutes
    FROM deliveries AS d
    JOIN order_arms AS a ON a.order_id = d.order_id
    WHERE d.is_delivered
    GROUP BY a.arm
)
SELECT
    'delivery time rose too much' AS violation,
    c.minutes AS control_minutes,
    t.minutes AS treatment_minutes,
    t.minutes - c.minutes AS increase_minutes,
    :max_increase_minutes AS max_increase_minutes
FROM arms AS c
JOIN arms AS t ON t.arm = 'treatment'
WHERE c.arm = 'control' AND t.minutes - c.minutes >= :max_increase_minutes
