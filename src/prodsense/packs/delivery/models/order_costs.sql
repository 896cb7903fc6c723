-- One row per order with its logistics cost and its arm. The arm sets a new algorithm beside its control: as assigned in
-- the batching test, or, where nothing is assigned at all, batched orders beside individual ones (observational then).
-- kind: view
-- key: order_id
-- time: order_timestamp
-- references: order_id orders, restaurant_id dim_restaurants
-- column: order_id = the order
-- column: restaurant_id = who cooked
-- column: order_timestamp = when it was placed [UTC]
-- column: is_delivered = the order was delivered
-- column: delivery_type = 'batched' or 'individual'
-- column: area = grid cell of 0.02 degrees of the drop-off
-- column: delivery_fee_cents = fee that the customer paid [cents]
-- column: cost_cents = logistics cost; NULL when none is recorded [cents]
-- column: arm = 'control' or 'treatment'
WITH costs AS (
    SELECT order_id, SUM(amount_cents) AS cost_cents
    FROM delivery_costs
    GROUP BY order_id
),
test AS (
    SELECT COUNT(*) AS assignments
    FROM experiment_assignments
    WHERE COALESCE(experiment, 'batching_algorithm_ab_test') = 'batching_algorithm_ab_test'
)
SELECT
    o.order_id,
    o.restaurant_id,
    o.order_timestamp,
    o.is_delivered,
    o.delivery_type,
    o.area,
    o.delivery_fee_cents,
    c.cost_cents,
    CASE
        WHEN t.assignments > 0 THEN a.arm
        WHEN o.delivery_type = 'individual' THEN 'control'
        WHEN o.delivery_type = 'batched' THEN 'treatment'
    END AS arm
FROM orders AS o
CROSS JOIN test AS t
LEFT JOIN costs AS c ON c.order_id = o.order_id
LEFT JOIN order_arms AS a ON a.order_id = o.order_id
