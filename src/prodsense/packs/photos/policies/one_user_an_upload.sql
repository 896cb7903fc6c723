SELECT 'events of one upload id are of several users' AS violation, upload_id, COUNT(DISTINCT user_id) AS users
FROM upload_events
GROUP BY upload_id
HAVING COUNT(DISTINCT user_id) > 1
