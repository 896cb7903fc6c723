-- Active days by window of rolling_retention_days (7) days, counted from a Monday, and whether the user was active in the
-- next window too. Without internal users.
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: user_window = user and window in one
-- column: known_on = last day of the next window: by then it is known who returned [day]
-- column: has_returned = active in the next window
WITH lengths AS (
    SELECT COALESCE(MAX(value), 7) AS days
    FROM settings
    WHERE setting = 'rolling_retention_days'
),
windows AS (
    SELECT
        a.*,
        l.days,
        CAST(FLOOR(ratio(days_between(CAST('2001-01-01' AS DATE), a.activity_date), l.days)) AS BIGINT) AS number
    FROM activity AS a
    CROSS JOIN lengths AS l
),
there AS (
    SELECT DISTINCT user_id, number
    FROM windows
)
SELECT
    w.user_id,
    w.activity_date,
    w.device,
    w.tenure_days,
    w.user_id || ' ' || text_of(w.number) AS user_window,
    add_days(CAST('2001-01-01' AS DATE), (w.number + 2) * w.days - 1) AS known_on,
    t.user_id IS NOT NULL AS has_returned
FROM windows AS w
LEFT JOIN there AS t ON t.user_id = w.user_id AND t.number = w.number + 1
