-- Customers' survey answers with their segment: 'frequent' received at least two batched orders (the setting
-- frequent_batched_orders) in the 28 days up to the day of the answer, 'other' did not.
-- kind: view
-- partition: date_partition
-- time: answered_at
-- references: order_id orders, customer_id dim_customers
-- column: order_id = the order it is about, if one
-- column: customer_id = the customer
-- column: topic = what the question is about
-- column: score = the answer [score 1-5]
-- column: nps_score = likelihood to recommend [score 0-10]
-- column: answered_at = when; see survey_answers [UTC]
-- column: slice_at = what time_of_day and day_of_week read [UTC]
-- column: date_partition = day that its rows belong to [day]
-- column: frequent_batched_customer = 'frequent' or 'other'
WITH answers AS (
    SELECT *, date_of(answered_at) AS day
    FROM survey_answers
    WHERE respondent = 'customer'
),
cutoff AS (
    SELECT COALESCE(MAX(value), 2) AS orders
    FROM settings
    WHERE setting = 'frequent_batched_orders'
),
frequent AS (
    SELECT a.customer_id, a.day
    FROM (SELECT DISTINCT customer_id, day FROM answers) AS a
    JOIN order_facts AS o
        ON o.customer_id = a.customer_id AND o.date_partition BETWEEN add_days(a.day, -27) AND a.day
    CROSS JOIN cutoff AS c
    WHERE o.is_delivered AND o.delivery_type = 'batched'
    GROUP BY a.customer_id, a.day, c.orders
    HAVING COUNT(*) >= c.orders
)
SELECT
    a.order_id,
    a.customer_id,
    a.topic,
    a.score,
    a.nps_score,
    a.answered_at,
    a.slice_at,
    a.date_partition,
    CASE WHEN f.customer_id IS NOT NULL THEN 'frequent' ELSE 'other' END AS frequent_batched_customer
FROM answers AS a
LEFT JOIN frequent AS f ON f.customer_id = a.customer_id AND f.day = a.day
