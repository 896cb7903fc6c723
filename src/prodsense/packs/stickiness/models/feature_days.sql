-- Features that an active user used on a day, by device. Internal users are still inside.
-- key: user_id, activity_date, device, feature_name    partition: activity_date    spread: 1 day    late: 1 day
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: feature_name = feature
-- column: uses = events of it [events]
SELECT e.user_id, e.event_date AS activity_date, e.device, e.feature_name, COUNT(*) AS uses
FROM event_log AS e
WHERE e.feature_name IS NOT NULL
    AND EXISTS (SELECT 1 FROM active_days AS a WHERE a.user_id = e.user_id AND a.activity_date = e.event_date)
GROUP BY e.user_id, e.event_date, e.device, e.feature_name
