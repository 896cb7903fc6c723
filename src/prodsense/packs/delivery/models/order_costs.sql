-- One row per order with its logistics cost; cost that belongs to no known order stands in rows without one.
-- `arm` sets a new algorithm beside its control: as assigned in the batching test, or, where nothing is assigned at all,
-- batched orders beside individual ones (observational then).
-- kind: view
-- time: order_timestamp
-- references: order_id orders
-- column: order_id = the order; NULL for cost of no known order
-- column: order_timestamp = when the order was placed; of cost without an order, when it arose, else the newest order [UTC]
-- column: is_delivered = the order was delivered
-- column: delivery_type = 'batched' or 'individual'
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
    o.order_timestamp,
    o.is_delivered,
    o.delivery_type,
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
UNION ALL
SELECT
    NULL AS order_id,
    COALESCE(l.incurred_at, CAST(l.date_partition AS TIMESTAMP), (SELECT MAX(order_timestamp) FROM fact_orders))
        AS order_timestamp,
    FALSE AS is_delivered,
    NULL AS delivery_type,
    NULL AS delivery_fee_cents,
    l.amount_cents AS cost_cents,
    NULL AS arm
FROM delivery_costs AS l
WHERE NOT EXISTS (SELECT 1 FROM order_facts AS k WHERE k.order_id = l.order_id)
