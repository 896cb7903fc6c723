-- Finished runs of batching algorithms with the load they met.
-- kind: view
-- time: started_at
-- references: batching_algorithm_key dim_batching_algorithms
-- column: run_id = the run
-- column: batching_algorithm_key = the algorithm
-- column: started_at = start [UTC]
-- column: orders_considered = open orders it had to place [orders]
-- column: seconds = run time [seconds]
-- column: load_level = place of orders_considered among all runs: 'low' (lower half), 'medium', 'high' (above three quarters), 'peak' (above nine tenths)
WITH ranked AS (
    SELECT
        run_id,
        batching_algorithm_key,
        started_at,
        finished_at,
        orders_considered,
        CUME_DIST() OVER (ORDER BY orders_considered) AS place
    FROM batching_algorithm_runs
    WHERE finished_at IS NOT NULL AND orders_considered IS NOT NULL
)
SELECT
    run_id,
    batching_algorithm_key,
    started_at,
    orders_considered,
    seconds_between(started_at, finished_at) AS seconds,
    CASE
        WHEN place > 0.9 THEN 'peak'
        WHEN place > 0.75 THEN 'high'
        WHEN place > 0.5 THEN 'medium'
        ELSE 'low'
    END AS load_level
FROM ranked
UNION ALL
SELECT
    run_id,
    batching_algorithm_key,
    started_at,
    orders_considered,
    seconds_between(started_at, finished_at) AS seconds,
    NULL AS load_level
FROM batching_algorithm_runs
WHERE finished_at IS NOT NULL AND orders_considered IS NULL
