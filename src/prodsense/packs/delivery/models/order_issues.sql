-- Every delivered order beside every issue type that a customer can report, with whether it was reported. Rows that were
-- not reported are there too, so that shares by issue type are out of all delivered orders. Where no report of any kind
-- was ever loaded, whether one was made is unknown (NULL).
-- kind: view
-- key: order_id, issue_type
-- time: order_timestamp
-- references: order_id orders, restaurant_id dim_restaurants
-- column: order_id = the order
-- column: restaurant_id = who cooked
-- column: order_timestamp = when it was placed [UTC]
-- column: delivery_type = 'batched' or 'individual'
-- column: area = grid cell of 0.02 degrees of the drop-off
-- column: issue_number = 1 to 5, one for each issue type
-- column: issue_type = cold_food, poor_condition, wrong_item, missing_item or missing_order
-- column: is_complained = a support ticket says so
-- column: is_refund_requested = a refund request says so
-- column: is_reported = either
WITH types AS (
    SELECT issue_number, issue_type
    FROM (
        VALUES (1, 'cold_food'), (2, 'poor_condition'), (3, 'wrong_item'), (4, 'missing_item'), (5, 'missing_order')
    ) AS listed (issue_number, issue_type)
),
reported AS (
    -- One row an order, a column an issue: 1 complaint, 2 refund request, 3 both.
    SELECT
        order_id,
        MAX(CASE WHEN issue_type = 'cold_food' AND source = 'complaint' THEN 1 ELSE 0 END)
            + MAX(CASE WHEN issue_type = 'cold_food' AND source = 'refund_request' THEN 2 ELSE 0 END) AS cold_food,
        MAX(CASE WHEN issue_type = 'poor_condition' AND source = 'complaint' THEN 1 ELSE 0 END)
            + MAX(CASE WHEN issue_type = 'poor_condition' AND source = 'refund_request' THEN 2 ELSE 0 END)
            AS poor_condition,
        MAX(CASE WHEN issue_type = 'wrong_item' AND source = 'complaint' THEN 1 ELSE 0 END)
            + MAX(CASE WHEN issue_type = 'wrong_item' AND source = 'refund_request' THEN 2 ELSE 0 END) AS wrong_item,
        MAX(CASE WHEN issue_type = 'missing_item' AND source = 'complaint' THEN 1 ELSE 0 END)
            + MAX(CASE WHEN issue_type = 'missing_item' AND source = 'refund_request' THEN 2 ELSE 0 END)
            AS missing_item,
        MAX(CASE WHEN issue_type = 'missing_order' AND source = 'complaint' THEN 1 ELSE 0 END)
            + MAX(CASE WHEN issue_type = 'missing_order' AND source = 'refund_request' THEN 2 ELSE 0 END)
            AS missing_order
    FROM reports
    GROUP BY order_id
),
loaded AS (
    SELECT COUNT(*) AS reports
    FROM reports
),
-- Joined before the types are set beside: one look-up an order, not one a type.
delivered AS (
    SELECT o.*, r.cold_food, r.poor_condition, r.wrong_item, r.missing_item, r.missing_order, n.reports
    FROM orders AS o
    CROSS JOIN loaded AS n
    LEFT JOIN reported AS r ON r.order_id = o.order_id
    WHERE o.is_delivered
),
flagged AS (
    SELECT
        o.order_id,
        o.restaurant_id,
        o.order_timestamp,
        o.delivery_type,
        o.area,
        t.issue_number,
        t.issue_type,
        CASE
            WHEN o.reports = 0 THEN NULL
            WHEN t.issue_number = 1 THEN COALESCE(o.cold_food, 0)
            WHEN t.issue_number = 2 THEN COALESCE(o.poor_condition, 0)
            WHEN t.issue_number = 3 THEN COALESCE(o.wrong_item, 0)
            WHEN t.issue_number = 4 THEN COALESCE(o.missing_item, 0)
            ELSE COALESCE(o.missing_order, 0)
        END AS sources
    FROM delivered AS o
    CROSS JOIN types AS t
)
SELECT
    order_id,
    restaurant_id,
    order_timestamp,
    delivery_type,
    area,
    issue_number,
    issue_type,
    sources IN (1, 3) AS is_complained,
    sources IN (2, 3) AS is_refund_requested,
    sources > 0 AS is_reported
FROM flagged
