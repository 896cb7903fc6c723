-- Every batched pickup beside every issue type that a restaurant can report, with whether it was reported. A report
-- belongs to the pickup of its order; else to the pickups of its batch (at its restaurant, if named); else to the
-- pickup at its restaurant nearest in time, within an hour. Where no report of any kind was ever loaded, whether one was made is unknown (NULL).
-- kind: view
-- key: batch_id, pickup_sequence, issue_type
-- time: batch_created_at
-- references: batch_id batches, lead_delivery_id delivery_facts, restaurant_id dim_restaurants
-- column: batch_id = the batch
-- column: pickup_sequence = place among its pickups [rank]
-- column: restaurant_id = the restaurant
-- column: lead_delivery_id = the first delivery collected
-- column: batch_created_at = when the batch was formed [UTC]
-- column: issue_number = 1 or 2, one for each issue type
-- column: issue_type = drivers_waiting or congestion
-- column: is_reported = a restaurant reported it of this pickup
WITH types AS (
    SELECT issue_number, issue_type
    FROM (VALUES (1, 'drivers_waiting'), (2, 'congestion')) AS listed (issue_number, issue_type)
),
problems AS (
    SELECT issue_type, order_id, batch_id, restaurant_id, reported_at
    FROM reports
    WHERE issue_type IN ('drivers_waiting', 'congestion')
),
near AS (
    SELECT
        p.batch_id,
        p.pickup_sequence,
        r.issue_type,
        ROW_NUMBER() OVER (
            PARTITION BY r.issue_type, r.restaurant_id, r.reported_at
            ORDER BY ABS(minutes_between(p.picked_up_at, r.reported_at)), p.batch_id, p.pickup_sequence
        ) AS rank
    FROM problems AS r
    JOIN batched_pickups AS p ON p.restaurant_id = r.restaurant_id
    WHERE r.order_id IS NULL AND r.batch_id IS NULL
        AND ABS(minutes_between(p.picked_up_at, r.reported_at)) <= 60
),
linked AS (
    SELECT d.batch_id, d.pickup_sequence, r.issue_type
    FROM problems AS r
    JOIN delivery_facts AS d ON d.order_id = r.order_id
    UNION
    SELECT p.batch_id, p.pickup_sequence, r.issue_type
    FROM problems AS r
    JOIN batched_pickups AS p
        ON p.batch_id = r.batch_id AND p.restaurant_id = COALESCE(r.restaurant_id, p.restaurant_id)
    WHERE r.order_id IS NULL
    UNION
    SELECT batch_id, pickup_sequence, issue_type
    FROM near
    WHERE rank = 1
),
loaded AS (
    SELECT COUNT(*) AS reports
    FROM reports
)
SELECT
    p.batch_id,
    p.pickup_sequence,
    p.restaurant_id,
    p.lead_delivery_id,
    p.batch_created_at,
    t.issue_number,
    t.issue_type,
    CASE WHEN n.reports > 0 THEN l.issue_type IS NOT NULL END AS is_reported
FROM batched_pickups AS p
CROSS JOIN types AS t
CROSS JOIN loaded AS n
LEFT JOIN linked AS l
    ON l.batch_id = p.batch_id AND l.pickup_sequence = p.pickup_sequence AND l.issue_type = t.issue_type
