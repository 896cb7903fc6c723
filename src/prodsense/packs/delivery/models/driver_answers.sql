-- Drivers' survey answers with their segment: for 'frequent' at least half (the setting frequent_batch_driver_share) of
-- the deliveries delivered in the 28 days up to the day of the answer were batched, for 'other' fewer or none.
-- kind: view
-- partition: date_partition
-- time: answered_at
-- references: driver_id dim_drivers, order_id orders
-- column: order_id = the order it is about, if one
-- column: driver_id = the driver
-- column: topic = what the question is about
-- column: score = the answer [score 1-5]
-- column: answered_at = when; see survey_answers [UTC]
-- column: slice_at = what time_of_day and day_of_week read [UTC]
-- column: date_partition = day that its rows belong to [day]
-- column: frequent_batch_driver = 'frequent' or 'other'
WITH answers AS (
    SELECT *, date_of(answered_at) AS day
    FROM survey_answers
    WHERE respondent = 'driver'
),
cutoff AS (
    SELECT COALESCE(MAX(value), 0.5) AS batched_share
    FROM settings
    WHERE setting = 'frequent_batch_driver_share'
),
frequent AS (
    SELECT a.driver_id, a.day
    FROM (SELECT DISTINCT driver_id, day FROM answers) AS a
    JOIN delivery_facts AS d
        ON d.driver_id = a.driver_id AND d.date_partition BETWEEN add_days(a.day, -27) AND a.day
    CROSS JOIN cutoff AS c
    WHERE d.is_delivered
    GROUP BY a.driver_id, a.day, c.batched_share
    HAVING share(d.delivery_type = 'batched') >= c.batched_share
        AND COUNT(*) FILTER (WHERE d.delivery_type = 'batched') > 0
)
SELECT
    a.order_id,
    a.driver_id,
    a.topic,
    a.score,
    a.answered_at,
    a.slice_at,
    a.date_partition,
    CASE WHEN f.driver_id IS NOT NULL THEN 'frequent' ELSE 'other' END AS frequent_batch_driver
FROM answers AS a
LEFT JOIN frequent AS f ON f.driver_id = a.driver_id AND f.day = a.day
