-- Everyone who signed up or was ever active, with what slices need of a user. Device is that of the first day on which one
-- is known.
-- key: user_id
-- column: user_id = user
-- column: signup_date = day of signup [day]
-- column: age_group = age group
-- column: gender = gender
-- column: region = region
-- column: demographics = age group, gender and region in one; NULL where none is known
-- column: acquisition_source = channel that brought the user
-- column: campaign = campaign that brought the user
-- column: is_internal = staff or test account
-- column: device = device of the first day that knows one
-- column: first_active_date = first active day [day]
-- column: last_active_date = newest active day [day]
WITH spans AS (
    SELECT user_id, MIN(activity_date) AS first_active_date, MAX(activity_date) AS last_active_date
    FROM active_days
    GROUP BY user_id
),
devices AS (
    SELECT user_id, device
    FROM active_days
    WHERE device IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY activity_date, device) = 1
),
everyone AS (
    SELECT user_id FROM users
    UNION ALL
    SELECT s.user_id FROM spans AS s WHERE NOT EXISTS (SELECT 1 FROM users AS u WHERE u.user_id = s.user_id)
)
SELECT
    e.user_id,
    u.signup_date,
    u.age_group,
    u.gender,
    u.region,
    CASE WHEN u.age_group IS NOT NULL OR u.gender IS NOT NULL OR u.region IS NOT NULL
        THEN COALESCE(u.age_group, '?') || ', ' || COALESCE(u.gender, '?') || ', ' || COALESCE(u.region, '?')
    END AS demographics,
    u.acquisition_source,
    u.campaign,
    COALESCE(u.is_internal, FALSE) AS is_internal,
    d.device,
    s.first_active_date,
    s.last_active_date
FROM everyone AS e
LEFT JOIN users AS u ON u.user_id = e.user_id
LEFT JOIN spans AS s ON s.user_id = e.user_id
LEFT JOIN devices AS d ON d.user_id = e.user_id
