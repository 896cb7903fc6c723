-- param: max_hours number = 24, longest online session that counts in full
SELECT
    'an online session is longer than counts: a forgotten sign-off' AS violation,
    driver_id,
    online_at,
    offline_at,
    hours_between(online_at, offline_at) AS hours
FROM driver_online_sessions
WHERE hours_between(online_at, offline_at) > :max_hours
