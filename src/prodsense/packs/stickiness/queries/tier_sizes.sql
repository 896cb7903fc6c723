-- Users by tier and period, with their share and how many of them are at risk.
SELECT
    period,
    tier,
    COUNT(*) AS users,
    ratio(COUNT(*), SUM(COUNT(*)) OVER (PARTITION BY period)) AS share,
    100 * ratio(COUNT(*), SUM(COUNT(*)) OVER (PARTITION BY period)) AS percent_of_users,
    CAST(SUM(CASE WHEN is_at_risk THEN 1 ELSE 0 END) AS BIGINT) AS at_risk
FROM user_tiers
GROUP BY period, tier
ORDER BY period, CASE tier WHEN 'Power' THEN 1 WHEN 'Core' THEN 2 WHEN 'Casual' THEN 3 WHEN 'Dormant' THEN 4 ELSE 5 END, tier
