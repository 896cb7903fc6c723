-- Every delivered order beside every issue type that a customer can report, with whether it was reported. Rows that were
-- not reported are there too, so that shares by issue type are out of all delivered orders. Where no report of any kind
-- was ever loaded, whether one was made is unknown (NULL).
-- kind: view
-- key: order_id, issue_type
-- time: order_timestamp
-- references: order_id orders
-- column: order_id = the order
-- column: order_timestamp = when it was placed [UTC]
-- column: delivery_type = 'batched' or 'individual'
-- column: issue_type = cold_food, poor_condition, wrong_item, missing_item or missing_order
-- column: is_complained = a support ticket says so
-- column: is_refund_requested = a refund request says so
-- column: is_reported = either
WITH types AS (
    SELECT issue_type
    FROM (VALUES ('cold_food'), ('poor_condition'), ('wrong_item'), ('missing_item'), ('missing_order'))
        AS listed (issue_type)
),
reported AS (
    SELECT
        order_id,
        issue_type,
        MAX(CASE WHEN source = 'complaint' THEN 1 ELSE 0 END) AS complaints,
        MAX(CASE WHEN source = 'refund_request' THEN 1 ELSE 0 END) AS refunds
    FROM reports
    GROUP BY order_id, issue_type
),
loaded AS (
    SELECT COUNT(*) AS reports
    FROM reports
)
SELECT
    o.order_id,
    o.order_timestamp,
    o.delivery_type,
    t.issue_type,
    CASE WHEN n.reports > 0 THEN COALESCE(r.complaints, 0) = 1 END AS is_complained,
    CASE WHEN n.reports > 0 THEN COALESCE(r.refunds, 0) = 1 END AS is_refund_requested,
    CASE WHEN n.reports > 0 THEN COALESCE(r.complaints + r.refunds, 0) > 0 END AS is_reported
FROM orders AS o
CROSS JOIN types AS t
CROSS JOIN loaded AS n
LEFT JOIN reported AS r ON r.order_id = o.order_id AND r.issue_type = t.issue_type
WHERE o.is_delivered
