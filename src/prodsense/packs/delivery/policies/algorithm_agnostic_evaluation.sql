SELECT
    'a batch names an algorithm that is not recorded' AS violation,
    b.batch_id AS id,
    CAST(b.batching_algorithm_key AS VARCHAR) AS detail
FROM fact_delivery_batches AS b
LEFT JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = b.batching_algorithm_key
WHERE a.batching_algorithm_key IS NULL
UNION ALL
SELECT
    'two algorithms share a name and version, so that they cannot be told apart',
    MIN(batching_algorithm_key),
    algorithm_name || ' ' || algorithm_version
FROM dim_batching_algorithms
GROUP BY algorithm_name, algorithm_version
HAVING COUNT(*) > 1
UNION ALL
SELECT
    'a batch is older than its algorithm',
    b.batch_id,
    a.algorithm_name || ' ' || a.algorithm_version
FROM fact_delivery_batches AS b
JOIN dim_batching_algorithms AS a ON a.batching_algorithm_key = b.batching_algorithm_key
WHERE b.batch_created_at < a.deployed_at
