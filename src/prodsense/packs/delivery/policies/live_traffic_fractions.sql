SELECT
    'traffic fractions of algorithms live at this moment sum to more than 1' AS violation,
    m.deployed_at AS moment,
    SUM(a.traffic_percentage) AS fraction
FROM (SELECT DISTINCT deployed_at FROM dim_batching_algorithms) AS m
JOIN dim_batching_algorithms AS a
    ON a.deployed_at <= m.deployed_at AND (a.deprecated_at IS NULL OR a.deprecated_at > m.deployed_at)
GROUP BY m.deployed_at
HAVING SUM(a.traffic_percentage) > 1
