-- Everyone known as a driver, by a user row or an online session: what slices need of them.
-- key: driver_user_key
-- column: driver_user_key = driver
-- column: created_at = when the account was made [UTC]
-- column: driver_rating = mean rating by riders [score 1-5]
-- column: opted_in_at = when the driver first opted in to Carpool [UTC]
-- column: opt_in_share = share of sessions, of those where it is known, in which the driver took Carpool requests
WITH online AS (
    SELECT driver_user_key, share(carpool_opt_in) AS opt_in_share
    FROM fact_driver_sessions
    WHERE driver_user_key IS NOT NULL
    GROUP BY driver_user_key
),
everyone AS (
    SELECT user_key AS driver_user_key FROM dim_users
    UNION ALL
    SELECT o.driver_user_key
    FROM online AS o
    WHERE NOT EXISTS (SELECT 1 FROM dim_users AS u WHERE u.user_key = o.driver_user_key)
)
SELECT
    e.driver_user_key,
    u.created_at,
    u.driver_rating,
    u.carpool_opt_in_timestamp AS opted_in_at,
    o.opt_in_share
FROM everyone AS e
LEFT JOIN dim_users AS u ON u.user_key = e.driver_user_key
LEFT JOIN online AS o ON o.driver_user_key = e.driver_user_key
