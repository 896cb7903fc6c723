-- Algorithms live at `as_of` with the fraction of traffic planned for each and the share of deliveries that went through
-- it in the 7 days up to then (both days inside); no_batching is the holdout. `planned_of_live` is the fraction out of
-- all that is live, to set beside the observed share.
-- as_of: fact_deliveries.date_partition
WITH live AS (
    SELECT *
    FROM dim_batching_algorithms
    WHERE deployed_at <= :as_of AND (deprecated_at IS NULL OR deprecated_at > :as_of)
),
routed AS (
    SELECT batching_algorithm_key, COUNT(*) AS deliveries
    FROM deliveries
    WHERE batching_algorithm_key IS NOT NULL
        AND date_partition BETWEEN add_days(date_of(:as_of), -7) AND date_of(:as_of)
    GROUP BY batching_algorithm_key
)
SELECT
    l.algorithm_name,
    l.algorithm_version,
    CAST(l.traffic_percentage AS DOUBLE) AS planned_fraction,
    ratio(l.traffic_percentage, SUM(l.traffic_percentage) OVER ()) AS planned_of_live,
    COALESCE(r.deliveries, 0) AS deliveries,
    ratio(COALESCE(r.deliveries, 0), SUM(COALESCE(r.deliveries, 0)) OVER ()) AS observed_share
FROM live AS l
LEFT JOIN routed AS r ON r.batching_algorithm_key = l.batching_algorithm_key
ORDER BY l.algorithm_name, l.algorithm_version
