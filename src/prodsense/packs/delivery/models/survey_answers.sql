-- Survey answers with who answered, on what topic, and when. Answers of internal customers are left out.
-- The topic is read from the words of the question; a question that is absent is about the whole.
-- kind: view
-- partition: date_partition
-- time: answered_at
-- references: order_id orders, driver_id dim_drivers, restaurant_id dim_restaurants
-- column: respondent = customer (also an answer that names an order only), else driver, else restaurant
-- column: order_id = the order it is about, if one
-- column: customer_id = the customer; that of the order where the answer names none
-- column: driver_id = the driver
-- column: restaurant_id = the restaurant
-- column: topic = food_quality, instruction_clarity, pay_fairness, multi_order_ease, overall, or other
-- column: score = the answer [score 1-5]
-- column: nps_score = likelihood to recommend [score 0-10]
-- column: answered_at = when; the order's time where absent, else the day as loaded, else the newest order [UTC]
-- column: slice_at = the order's time, else answered_at: what time_of_day and day_of_week read [UTC]
-- column: date_partition = day of the answer as loaded [day]
WITH worded AS (
    SELECT
        s.order_id,
        COALESCE(s.customer_id, CASE WHEN s.driver_id IS NULL AND s.restaurant_id IS NULL THEN o.customer_id END)
            AS customer_id,
        s.driver_id,
        s.restaurant_id,
        LOWER(s.question) AS question,
        s.score,
        s.nps_score,
        COALESCE(
            s.responded_at,
            o.order_timestamp,
            CAST(s.date_partition AS TIMESTAMP),
            (SELECT MAX(order_timestamp) FROM fact_orders)
        ) AS answered_at,
        o.order_timestamp,
        s.date_partition
    FROM survey_responses AS s
    LEFT JOIN fact_orders AS o ON o.order_id = s.order_id
)
SELECT
    CASE
        WHEN customer_id IS NOT NULL THEN 'customer'
        WHEN driver_id IS NOT NULL THEN 'driver'
        WHEN restaurant_id IS NOT NULL THEN 'restaurant'
        WHEN order_id IS NOT NULL THEN 'customer'
    END AS respondent,
    order_id,
    customer_id,
    driver_id,
    restaurant_id,
    CASE
        WHEN question LIKE '%food%' THEN 'food_quality'
        WHEN question LIKE '%fair%' OR question LIKE '%compensation%' OR question LIKE 'pay%' THEN 'pay_fairness'
        WHEN question LIKE '%instruction%' OR question LIKE '%clarity%' THEN 'instruction_clarity'
        WHEN question LIKE '%multi%' OR question LIKE 'ease%' OR question LIKE '%several orders%' THEN 'multi_order_ease'
        WHEN question IS NULL OR question LIKE '%overall%' OR question LIKE '%satisf%' OR question LIKE '%csat%'
            OR question LIKE '%experience%' THEN 'overall'
        ELSE 'other'
    END AS topic,
    score,
    nps_score,
    answered_at,
    COALESCE(order_timestamp, answered_at) AS slice_at,
    date_partition
FROM worded AS w
WHERE NOT EXISTS (SELECT 1 FROM dim_customers AS c WHERE c.customer_id = w.customer_id AND c.is_internal)
