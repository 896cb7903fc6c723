-- Customers who ordered in the 28 days up to a day, by segment, and how many of them ordered in the 28 days after it.
-- 'frequent': at least two batched orders (the setting frequent_batched_orders) were delivered to them in the window.
-- Each customer is swept once: the windows' counts change only where an order enters or leaves them.
-- Days without an order in the next 28 days (and none of their own) are left out: nothing of them is known yet.
-- key: day, segment    partition: day    spread: 28 days
-- time: day
-- column: day = last day of the window [day]
-- column: segment = 'frequent' or 'other'
-- column: customers = customers with an order in the window [customers]
-- column: returned = of these, those who ordered in the following 28 days [customers]
WITH cutoff AS (
    SELECT COALESCE(MAX(value), 2) AS orders
    FROM settings
    WHERE setting = 'frequent_batched_orders'
),
days AS (
    SELECT
        customer_id,
        date_partition AS day,
        COUNT(*) AS orders,
        COUNT(*) FILTER (WHERE is_delivered AND delivery_type = 'batched') AS batched
    FROM orders
    GROUP BY customer_id, date_partition
),
moves AS (
    SELECT customer_id, add_days(day, -28) AS day, 0 AS past, 0 AS batched, orders AS future, 0 AS today FROM days
    UNION ALL
    SELECT customer_id, day, orders, batched, -orders, orders FROM days
    UNION ALL
    SELECT customer_id, add_days(day, 28), -orders, -batched, 0, 0 FROM days
),
-- Moves on one day follow each other without a day in between; sums over ORDER BY take in all of the day.
states AS (
    SELECT
        day,
        LEAD(day) OVER (PARTITION BY customer_id ORDER BY day) AS until,
        SUM(past) OVER (PARTITION BY customer_id ORDER BY day) AS past,
        SUM(batched) OVER (PARTITION BY customer_id ORDER BY day) AS batched,
        SUM(future) OVER (PARTITION BY customer_id ORDER BY day) AS future,
        future AS future_change,
        today
    FROM moves
),
stays AS (
    SELECT
        s.day,
        s.until,
        CASE WHEN s.past > 0 AND s.batched >= c.orders THEN 1 ELSE 0 END AS frequent,
        CASE WHEN s.past > 0 AND s.batched < c.orders THEN 1 ELSE 0 END AS other,
        CASE WHEN s.future > 0 THEN 1 ELSE 0 END AS returned,
        s.future_change,
        s.today
    FROM states AS s
    CROSS JOIN cutoff AS c
),
steps AS (
    SELECT
        day,
        frequent,
        other,
        frequent * returned AS frequent_returned,
        other * returned AS other_returned,
        future_change,
        today
    FROM stays
    UNION ALL
    SELECT until, -frequent, -other, -frequent * returned, -other * returned, 0, 0
    FROM stays
    WHERE until IS NOT NULL
),
by_day AS (
    SELECT
        day,
        SUM(frequent) AS frequent,
        SUM(other) AS other,
        SUM(frequent_returned) AS frequent_returned,
        SUM(other_returned) AS other_returned,
        SUM(future_change) AS future,
        SUM(today) AS today
    FROM steps
    GROUP BY day
),
running AS (
    SELECT
        day,
        today,
        SUM(frequent) OVER (ORDER BY day) AS frequent,
        SUM(other) OVER (ORDER BY day) AS other,
        SUM(frequent_returned) OVER (ORDER BY day) AS frequent_returned,
        SUM(other_returned) OVER (ORDER BY day) AS other_returned,
        SUM(future) OVER (ORDER BY day) AS future
    FROM by_day
),
known AS (
    SELECT *
    FROM running
    WHERE (future > 0 OR today > 0) AND frequent + other > 0
)
SELECT
    day,
    'frequent' AS segment,
    CAST(frequent AS BIGINT) AS customers,
    CAST(frequent_returned AS BIGINT) AS returned
FROM known
UNION ALL
SELECT
    day,
    'other' AS segment,
    CAST(other AS BIGINT) AS customers,
    CAST(other_returned AS BIGINT) AS returned
FROM known
