SELECT
    'the batch context does not hold the delivery exactly once' AS violation,
    d.delivery_id,
    COUNT(v.delivery_id) AS rows_in_context
FROM fact_deliveries AS d
LEFT JOIN vw_delivery_batch_context AS v ON v.delivery_id = d.delivery_id
GROUP BY d.delivery_id
HAVING COUNT(v.delivery_id) <> 1
UNION ALL
SELECT
    'a delivery without a batch is not individual, or carries batch columns',
    v.delivery_id,
    1
FROM vw_delivery_batch_context AS v
WHERE v.batch_id IS NULL
    AND (v.delivery_type <> 'individual' OR v.algorithm_name IS NOT NULL OR v.batch_delivery_time IS NOT NULL)
UNION ALL
SELECT
    'a delivery is counted by metrics other than once',
    d.delivery_id,
    COUNT(f.delivery_id)
FROM fact_deliveries AS d
LEFT JOIN delivery_facts AS f ON f.delivery_id = d.delivery_id
GROUP BY d.delivery_id
HAVING COUNT(f.delivery_id) <> 1
