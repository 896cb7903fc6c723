-- Available titles, popular and cold, in the newest 28 days: how many of each, and how many nobody watched.
SELECT
    popularity,
    COUNT(*) AS titles,
    COUNT(CASE WHEN views = 0 THEN 1 END) AS without_a_view,
    CAST(SUM(views) AS BIGINT) AS views
FROM popular_vs_cold_titles
GROUP BY popularity
ORDER BY popularity DESC
