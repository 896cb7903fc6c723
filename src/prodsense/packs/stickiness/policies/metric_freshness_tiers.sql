WITH newest AS (
    SELECT metric_name, version, freshness
    FROM metric_registry
    QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1
)
SELECT
    CASE WHEN TRIM(COALESCE(freshness, '')) = '' THEN 'a metric declares no freshness'
        ELSE 'a freshness is neither near_real_time nor daily_batch' END AS violation,
    metric_name,
    version,
    freshness
FROM newest
WHERE REPLACE(REPLACE(LOWER(TRIM(COALESCE(freshness, ''))), '-', '_'), ' ', '_') NOT IN ('near_real_time', 'daily_batch')
