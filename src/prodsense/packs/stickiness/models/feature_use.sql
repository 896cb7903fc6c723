-- feature_days without internal users.
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: feature_name = feature
-- column: user_feature = user and feature in one
-- column: uses = events of it [events]
SELECT
    f.user_id,
    f.activity_date,
    f.device,
    days_between(m.signup_date, f.activity_date) AS tenure_days,
    f.feature_name,
    f.user_id || ' ' || f.feature_name AS user_feature,
    f.uses
FROM feature_days AS f
LEFT JOIN members AS m ON m.user_id = f.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
