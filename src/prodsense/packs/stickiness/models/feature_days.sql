-- Features that a user used on a day, by device. Internal users are still inside.
-- key: user_id, activity_date, device, feature_name    partition: activity_date    spread: 1 day    late: 1 day
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: feature_name = feature
-- column: uses = events of it [events]
SELECT user_id, event_date AS activity_date, device, feature_name, COUNT(*) AS uses
FROM event_log
WHERE feature_name IS NOT NULL
GROUP BY user_id, event_date, device, feature_name
