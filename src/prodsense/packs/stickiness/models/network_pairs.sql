-- Connections that last, with what both ends have in common: a slice has the connections inside of it, those between two
-- slices stand under 'mixed'. Without internal users, and without connections to oneself.
-- kind: view
-- column: pair = both users in one, the same in either direction
-- column: arrow = both users in one, from whom to whom
-- column: demographics = of both ends
-- column: age_group = of both ends
-- column: gender = of both ends
-- column: region = of both ends
-- column: acquisition_source = of both ends
-- column: campaign = of both ends
-- column: device = of both ends
-- column: tenure_days = of both ends, to the band: 0, 7, 30, 90 or 365 days since signup; -1 where they differ [days]
WITH newest AS (
    SELECT MAX(activity_date) AS day
    FROM active_days
),
ends AS (
    SELECT
        m.*,
        CASE
            WHEN days_between(m.signup_date, n.day) < 0 THEN NULL
            WHEN days_between(m.signup_date, n.day) < 7 THEN 0
            WHEN days_between(m.signup_date, n.day) < 30 THEN 7
            WHEN days_between(m.signup_date, n.day) < 90 THEN 30
            WHEN days_between(m.signup_date, n.day) < 365 THEN 90
            WHEN days_between(m.signup_date, n.day) >= 365 THEN 365
        END AS band
    FROM members AS m
    CROSS JOIN newest AS n
)
SELECT
    LEAST(c.user_id, c.connected_user_id) || ' ' || GREATEST(c.user_id, c.connected_user_id) AS pair,
    c.user_id || ' ' || c.connected_user_id AS arrow,
    CASE WHEN a.demographics IS DISTINCT FROM b.demographics THEN 'mixed' ELSE a.demographics END AS demographics,
    CASE WHEN a.age_group IS DISTINCT FROM b.age_group THEN 'mixed' ELSE a.age_group END AS age_group,
    CASE WHEN a.gender IS DISTINCT FROM b.gender THEN 'mixed' ELSE a.gender END AS gender,
    CASE WHEN a.region IS DISTINCT FROM b.region THEN 'mixed' ELSE a.region END AS region,
    CASE WHEN a.acquisition_source IS DISTINCT FROM b.acquisition_source THEN 'mixed' ELSE a.acquisition_source
        END AS acquisition_source,
    CASE WHEN a.campaign IS DISTINCT FROM b.campaign THEN 'mixed' ELSE a.campaign END AS campaign,
    CASE WHEN a.device IS DISTINCT FROM b.device THEN 'mixed' ELSE a.device END AS device,
    CASE WHEN a.band IS DISTINCT FROM b.band THEN -1 ELSE a.band END AS tenure_days
FROM connections AS c
LEFT JOIN ends AS a ON a.user_id = c.user_id
LEFT JOIN ends AS b ON b.user_id = c.connected_user_id
WHERE c.ended_at IS NULL
    AND c.user_id <> c.connected_user_id
    AND NOT COALESCE(a.is_internal, FALSE)
    AND NOT COALESCE(b.is_internal, FALSE)
