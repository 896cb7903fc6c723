WITH newest AS (
    SELECT metric_name, ',' || REPLACE(COALESCE(counter_metrics, ''), ' ', '') || ',' AS counters
    FROM metric_registry
    QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1
),
of_time AS (
    SELECT metric_name, counters
    FROM newest
    WHERE metric_name LIKE '%time_spent%' OR metric_name LIKE '%minutes%' OR metric_name LIKE '%watch_time%'
        OR metric_name LIKE '%session_duration%' OR metric_name LIKE '%session_length%'
),
named AS (
    SELECT
        t.metric_name,
        t.counters,
        COUNT(n.metric_name) AS known,
        COUNT(CASE WHEN o.metric_name IS NULL THEN n.metric_name END) AS of_quality
    FROM of_time AS t
    LEFT JOIN newest AS n ON LENGTH(REPLACE(t.counters, ',' || n.metric_name || ',', '')) < LENGTH(t.counters)
    LEFT JOIN of_time AS o ON o.metric_name = n.metric_name
    GROUP BY t.metric_name, t.counters
)
SELECT
    CASE WHEN REPLACE(counters, ',', '') = '' THEN 'a metric of time spent has no measure of quality beside it'
        WHEN known = 0 THEN 'the measures of quality beside a metric of time spent are not in the registry'
        ELSE 'beside a metric of time spent stand only metrics of time spent' END AS violation,
    metric_name,
    counters AS counter_metrics
FROM named
WHERE REPLACE(counters, ',', '') = '' OR known = 0 OR of_quality = 0
