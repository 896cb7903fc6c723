-- Problems reported, from support tickets and refund requests, in one vocabulary of issue types.
-- kind: view
-- references: order_id orders
-- column: source = 'complaint' (support ticket) or 'refund_request'
-- column: order_id = the order it is about
-- column: batch_id = the batch it is about, if named
-- column: restaurant_id = the restaurant concerned, if named
-- column: reported_at = when, if known [UTC]
-- column: issue_type = cold_food, poor_condition, wrong_item, missing_item, missing_order, drivers_waiting, congestion, or the words of the source
WITH raw AS (
    SELECT 'complaint' AS source, order_id, batch_id, restaurant_id, created_at AS reported_at, issue_type AS words
    FROM support_tickets
    UNION ALL
    SELECT 'refund_request', order_id, NULL, NULL, requested_at, reason
    FROM refund_requests
),
plain AS (
    SELECT
        source, order_id, batch_id, restaurant_id, reported_at,
        REPLACE(REPLACE(LOWER(TRIM(words)), ' ', '-'), '_', '-') AS words
    FROM raw
)
SELECT
    source,
    order_id,
    batch_id,
    restaurant_id,
    reported_at,
    CASE
        WHEN words LIKE '%driver%wait%' OR words LIKE '%wait%driver%' THEN 'drivers_waiting'
        WHEN words LIKE '%congest%' OR words LIKE '%crowd%' THEN 'congestion'
        WHEN words LIKE '%missing-order%' OR words LIKE '%order-missing%' OR words LIKE '%never-arrived%'
            OR words LIKE '%not-delivered%' OR words LIKE '%not-received%' THEN 'missing_order'
        WHEN words LIKE '%missing%' THEN 'missing_item'
        WHEN words LIKE '%wrong%' OR words LIKE '%incorrect%' THEN 'wrong_item'
        WHEN words LIKE '%cold%' OR words LIKE '%temperature%' OR words LIKE '%not-hot%' OR words LIKE '%lukewarm%'
            THEN 'cold_food'
        WHEN words LIKE '%condition%' OR words LIKE '%damage%' OR words LIKE '%spill%' OR words LIKE '%leak%'
            OR words LIKE '%soggy%' OR words LIKE '%crushed%' THEN 'poor_condition'
        ELSE REPLACE(words, '-', '_')
    END AS issue_type
FROM plain
