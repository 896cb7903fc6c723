WITH newest AS (
    SELECT metric_name, definition, active_definition
    FROM metric_registry
    QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1
),
of_activity AS (
    SELECT *
    FROM newest
    WHERE metric_name LIKE '%active_users%' OR metric_name LIKE 'dau%' OR metric_name LIKE 'mau%' OR metric_name LIKE 'wau%'
        OR metric_name LIKE '%_adoption_pct' OR metric_name LIKE '%retention%'
),
rules AS (
    SELECT COUNT(DISTINCT active_definition) AS rules, MIN(active_definition) AS one, MAX(active_definition) AS other
    FROM of_activity
),
known AS (
    SELECT DISTINCT activity_date AS day
    FROM daily_user_activity
),
by_rule AS (
    SELECT user_id, event_date AS day FROM event_log WHERE is_qualifying
    UNION ALL
    SELECT user_id, date_of(started_at) FROM sessions
),
expected AS (
    SELECT DISTINCT r.user_id, r.day FROM by_rule AS r WHERE NOT EXISTS (SELECT 1 FROM known AS k WHERE k.day = r.day)
    UNION ALL
    SELECT user_id, activity_date FROM daily_user_activity WHERE COALESCE(is_active, TRUE)
),
counted AS (
    SELECT DISTINCT user_id, activity_date AS day
    FROM active_days
)
SELECT
    'a metric of activity has no written definition' AS violation,
    metric_name AS subject,
    CAST(NULL AS DATE) AS day
FROM of_activity
WHERE TRIM(COALESCE(definition, '')) = ''
UNION ALL
SELECT 'metrics of activity stand on different rules of what is active: ' || one || ' | ' || other, NULL, NULL
FROM rules
WHERE rules > 1
UNION ALL
SELECT 'metrics of activity of which some state the rule and some do not', o.metric_name, NULL
FROM of_activity AS o
CROSS JOIN rules AS r
WHERE r.rules > 0 AND o.active_definition IS NULL
UNION ALL
SELECT 'active by the rule, but not counted', e.user_id, e.day
FROM expected AS e
WHERE NOT EXISTS (SELECT 1 FROM counted AS c WHERE c.user_id = e.user_id AND c.day = e.day)
UNION ALL
SELECT 'counted, but not active by the rule', c.user_id, c.day
FROM counted AS c
WHERE NOT EXISTS (SELECT 1 FROM expected AS e WHERE e.user_id = c.user_id AND e.day = c.day)
