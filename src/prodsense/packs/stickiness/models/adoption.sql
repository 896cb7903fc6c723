-- Features used by active users, over two bases: a user counts once a day (DAU) or once a month (MAU).
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: activity_base = DAU or MAU
-- column: subject = what the base counts: user and day, or user and month
-- column: used_feed = used the feed
-- column: used_stories = used stories
-- column: used_messaging = used messaging
-- column: used_groups = used groups
WITH bases AS (
    SELECT 'DAU' AS activity_base
    UNION ALL
    SELECT 'MAU'
)
SELECT
    a.user_id,
    a.activity_date,
    a.device,
    a.tenure_days,
    b.activity_base,
    CASE b.activity_base WHEN 'DAU' THEN a.user_day
        ELSE a.user_id || ' ' || text_of(period_start(a.activity_date, 'month')) END AS subject,
    a.used_feed,
    a.used_stories,
    a.used_messaging,
    a.used_groups
FROM activity AS a
CROSS JOIN bases AS b
