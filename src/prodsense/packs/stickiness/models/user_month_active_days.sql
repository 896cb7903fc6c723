-- On how many days of a month each user was active: what the distribution of active days reads. The days themselves are bits,
-- so that a month is one small row and a day told twice changes nothing. Internal users are still inside.
-- key: user_id, month    partition: month    spread: 31 days    late: 1 day
-- time: month
-- references: user_id members
-- column: user_id = user
-- column: month = first day of the month [day]
-- column: active_days = days active, 1 to 31 [days]
-- column: day_bits = bit n - 1 is set for the n-th of the month
WITH user_days AS (
    SELECT DISTINCT user_id, activity_date, period_start(activity_date, 'month') AS month
    FROM active_days
)
SELECT
    user_id,
    month,
    COUNT(*) AS active_days,
    CAST(SUM(CAST(POWER(2, days_between(month, activity_date)) AS BIGINT)) AS BIGINT) AS day_bits
FROM user_days
GROUP BY user_id, month
