-- Tier of each user by month. Where the table user_engagement_tiers has rows, they are the tiers; else they are computed, from
-- the user's first month on: Power from tier_power_days (20) active days a month, if a day active has at least
-- tier_power_sessions (1) sessions and tier_power_interactions (0) interactions, as far as they are known; Core from
-- tier_core_days (8); Casual from 1; Dormant without any. At risk is who has fallen to half the active days of the month before
-- or less, once the month is over. Without internal users.
-- key: user_id, period
-- references: user_id members
-- column: user_id = user
-- column: period = month by its first day, or the period of the table, as text
-- column: tier = Power, Core, Casual or Dormant
-- column: active_days = days active in the month; NULL of a tier from the table [days]
-- column: sessions_per_day = sessions a day active [sessions]
-- column: interactions_per_day = likes, comments, shares and direct messages a day active
-- column: is_at_risk = active days fell by half or more; NULL where not known yet
WITH cuts AS (
    SELECT
        COALESCE(MAX(CASE WHEN setting = 'tier_power_days' THEN value END), 20) AS power_days,
        COALESCE(MAX(CASE WHEN setting = 'tier_core_days' THEN value END), 8) AS core_days,
        COALESCE(MAX(CASE WHEN setting = 'tier_power_sessions' THEN value END), 1) AS power_sessions,
        COALESCE(MAX(CASE WHEN setting = 'tier_power_interactions' THEN value END), 0) AS power_interactions
    FROM settings
),
given AS (
    SELECT COUNT(*) AS tiers
    FROM user_engagement_tiers
),
newest AS (
    SELECT MAX(activity_date) AS day
    FROM active_days
),
months AS (
    SELECT DISTINCT period_start(activity_date, 'month') AS month
    FROM active_days
),
days AS (
    SELECT
        user_id,
        period_start(activity_date, 'month') AS month,
        COUNT(DISTINCT activity_date) AS active_days,
        SUM(likes + comments_made + shares + direct_messages) AS interactions
    FROM active_days
    GROUP BY user_id, period_start(activity_date, 'month')
),
visits AS (
    SELECT user_id, period_start(session_date, 'month') AS month, COUNT(*) AS sessions
    FROM session_facts
    GROUP BY user_id, period_start(session_date, 'month')
),
levels AS (
    SELECT
        u.user_id,
        n.month,
        add_days(period_start(add_days(n.month, 31), 'month'), -1) <= w.day AS is_over,
        COALESCE(d.active_days, 0) AS active_days,
        LAG(COALESCE(d.active_days, 0)) OVER (PARTITION BY u.user_id ORDER BY n.month) AS days_before,
        ratio(v.sessions, d.active_days) AS sessions_per_day,
        ratio(d.interactions, d.active_days) AS interactions_per_day
    FROM members AS u
    CROSS JOIN newest AS w
    JOIN months AS n ON n.month >= period_start(LEAST(u.signup_date, u.first_active_date), 'month')
    LEFT JOIN days AS d ON d.user_id = u.user_id AND d.month = n.month
    LEFT JOIN visits AS v ON v.user_id = u.user_id AND v.month = n.month
    WHERE NOT u.is_internal
)
SELECT
    t.user_id,
    t.period,
    t.tier,
    CAST(NULL AS BIGINT) AS active_days,
    CAST(NULL AS DOUBLE) AS sessions_per_day,
    CAST(NULL AS DOUBLE) AS interactions_per_day,
    CAST(NULL AS BOOLEAN) AS is_at_risk
FROM user_engagement_tiers AS t
LEFT JOIN members AS m ON m.user_id = t.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
UNION ALL
SELECT
    l.user_id,
    text_of(l.month),
    CASE
        WHEN l.active_days >= c.power_days AND COALESCE(l.sessions_per_day, c.power_sessions) >= c.power_sessions
            AND COALESCE(l.interactions_per_day, c.power_interactions) >= c.power_interactions THEN 'Power'
        WHEN l.active_days >= c.core_days THEN 'Core'
        WHEN l.active_days >= 1 THEN 'Casual'
        ELSE 'Dormant'
    END,
    l.active_days,
    l.sessions_per_day,
    l.interactions_per_day,
    CASE WHEN l.is_over THEN COALESCE(l.days_before > 0 AND l.active_days * 2 <= l.days_before, FALSE) END
FROM levels AS l
CROSS JOIN cuts AS c
CROSS JOIN given AS g
WHERE g.tiers = 0
