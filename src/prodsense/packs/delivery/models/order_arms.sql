-- Orders in the batching test, each with its arm. The unit of assignment may be the order, its customer, its restaurant
-- or its driver; the first of these that is assigned decides.
-- kind: view
-- key: order_id
-- references: order_id orders
-- column: order_id = the order
-- column: variant = the arm as assigned
-- column: block = what was assigned as a whole: the assignment's block, else the assigned unit
-- column: arm = 'control' or 'treatment' (any other variant)
WITH assigned AS (
    SELECT COALESCE(unit_type, 'order') AS unit_type, unit_id, MIN(variant) AS variant,
        COALESCE(MIN(block), COALESCE(unit_type, 'order') || ' ' || unit_id) AS block
    FROM experiment_assignments
    WHERE COALESCE(experiment, 'batching_algorithm_ab_test') = 'batching_algorithm_ab_test'
    GROUP BY COALESCE(unit_type, 'order'), unit_id
),
-- Inner joins, one a kind of unit: those without assignments cost nothing.
matched AS (
    SELECT o.order_id, 1 AS rank, a.variant, a.block
    FROM order_facts AS o
    JOIN assigned AS a ON a.unit_type = 'order' AND a.unit_id = text_of(o.order_id)
    UNION ALL
    SELECT o.order_id, 2, a.variant, a.block
    FROM order_facts AS o
    JOIN assigned AS a ON a.unit_type = 'customer' AND a.unit_id = text_of(o.customer_id)
    UNION ALL
    SELECT o.order_id, 3, a.variant, a.block
    FROM order_facts AS o
    JOIN assigned AS a ON a.unit_type = 'restaurant' AND a.unit_id = text_of(o.restaurant_id)
    UNION ALL
    SELECT o.order_id, 4, a.variant, a.block
    FROM order_facts AS o
    JOIN assigned AS a ON a.unit_type = 'driver' AND a.unit_id = text_of(o.driver_id)
),
decided AS (
    SELECT order_id, variant, block
    FROM matched
    QUALIFY ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY rank) = 1
)
SELECT
    order_id,
    variant,
    block,
    CASE WHEN LOWER(variant) = 'control' THEN 'control' ELSE 'treatment' END AS arm
FROM decided
