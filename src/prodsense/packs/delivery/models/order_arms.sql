-- Orders in the batching test, each with its arm. The unit of assignment may be the order, its customer, its restaurant
-- or its driver; the first of these that is assigned decides.
-- kind: view
-- key: order_id
-- references: order_id orders
-- column: order_id = the order
-- column: variant = the arm as assigned
-- column: arm = 'control' or 'treatment' (any other variant)
WITH assigned AS (
    SELECT COALESCE(unit_type, 'order') AS unit_type, unit_id, MIN(variant) AS variant
    FROM experiment_assignments
    WHERE COALESCE(experiment, 'batching_algorithm_ab_test') = 'batching_algorithm_ab_test'
    GROUP BY COALESCE(unit_type, 'order'), unit_id
),
matched AS (
    SELECT o.order_id, COALESCE(a.variant, c.variant, r.variant, d.variant) AS variant
    FROM order_facts AS o
    LEFT JOIN assigned AS a ON a.unit_type = 'order' AND a.unit_id = text_of(o.order_id)
    LEFT JOIN assigned AS c ON c.unit_type = 'customer' AND c.unit_id = text_of(o.customer_id)
    LEFT JOIN assigned AS r ON r.unit_type = 'restaurant' AND r.unit_id = text_of(o.restaurant_id)
    LEFT JOIN assigned AS d ON d.unit_type = 'driver' AND d.unit_id = text_of(o.driver_id)
)
SELECT
    order_id,
    variant,
    CASE WHEN LOWER(variant) = 'control' THEN 'control' ELSE 'treatment' END AS arm
FROM matched
WHERE variant IS NOT NULL
