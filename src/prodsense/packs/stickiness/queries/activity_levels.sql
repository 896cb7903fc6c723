-- Users by active days in each of the last months that are over, with the tier that so many days make: the power user curve.
-- Thresholds are those of settings (tier_power_days, tier_core_days). Without internal users.
-- as_of: active_days.activity_date
-- param: months integer = 2, how many months
WITH cuts AS (
    SELECT
        COALESCE(MAX(CASE WHEN setting = 'tier_power_days' THEN value END), 20) AS power_days,
        COALESCE(MAX(CASE WHEN setting = 'tier_core_days' THEN value END), 8) AS core_days
    FROM settings
),
finished AS (
    SELECT month, ROW_NUMBER() OVER (ORDER BY month DESC) AS place
    FROM (SELECT DISTINCT month FROM user_month_active_days) AS known
    WHERE add_days(period_start(add_days(month, 31), 'month'), -1) <= date_of(:as_of)
),
counted AS (
    SELECT d.month, d.active_days, COUNT(*) AS users
    FROM user_month_active_days AS d
    JOIN finished AS o ON o.month = d.month AND o.place <= :months
    JOIN members AS m ON m.user_id = d.user_id
    WHERE NOT m.is_internal
    GROUP BY d.month, d.active_days
)
SELECT
    c.month,
    c.active_days,
    CASE WHEN c.active_days >= k.power_days THEN 'Power' WHEN c.active_days >= k.core_days THEN 'Core' ELSE 'Casual' END AS tier,
    SUBSTR(text_of(c.month), 1, 7) || ' '
        || CASE WHEN c.active_days >= k.power_days THEN 'Power' WHEN c.active_days >= k.core_days THEN 'Core' ELSE 'Casual' END
        AS month_and_tier,
    c.users,
    ratio(c.users, SUM(c.users) OVER (PARTITION BY c.month)) AS share,
    100 * ratio(c.users, SUM(c.users) OVER (PARTITION BY c.month)) AS percent_of_users
FROM counted AS c
CROSS JOIN cuts AS k
ORDER BY c.month, c.active_days
