-- Users with their activity as of the newest active day of all. Internal users are marked.
-- key: user_id
-- references: user_id members
-- column: user_id = user
-- column: as_of_date = day looked back from, inside all windows [day]
-- column: signup_date = day of signup [day]
-- column: is_internal = staff or test account
-- column: first_active_date = first active day [day]
-- column: last_active_date = newest active day [day]
-- column: active_days_last_7d = days active of the last 7 [days]
-- column: active_days_last_28d = days active of the last 28 [days]
-- column: avg_daily_sessions_last_30d = sessions of the last 30 days over 30 [sessions]
-- column: avg_daily_interactions_last_30d = likes, comments, shares and direct messages of the last 30 days over 30
-- column: creations_last_30d = posts, comments and stories of the last 30 days
-- column: features_used_last_7d = distinct features used in the last 7 days [features]
WITH newest AS (
    SELECT MAX(activity_date) AS day
    FROM active_days
),
days AS (
    SELECT
        a.user_id,
        COUNT(DISTINCT CASE WHEN a.activity_date > add_days(n.day, -7) THEN a.activity_date END) AS days_7,
        COUNT(DISTINCT CASE WHEN a.activity_date > add_days(n.day, -28) THEN a.activity_date END) AS days_28,
        SUM(a.likes + a.comments_made + a.shares + a.direct_messages) AS interactions,
        SUM(a.posts_created + a.comments_made + a.stories_created) AS creations
    FROM active_days AS a
    CROSS JOIN newest AS n
    WHERE a.activity_date > add_days(n.day, -30)
    GROUP BY a.user_id
),
visits AS (
    SELECT s.user_id, COUNT(*) AS sessions
    FROM session_facts AS s
    CROSS JOIN newest AS n
    WHERE s.session_date > add_days(n.day, -30) AND s.session_date <= n.day
    GROUP BY s.user_id
),
features AS (
    SELECT f.user_id, COUNT(DISTINCT f.feature_name) AS features
    FROM feature_days AS f
    CROSS JOIN newest AS n
    WHERE f.activity_date > add_days(n.day, -7) AND f.activity_date <= n.day
    GROUP BY f.user_id
)
SELECT
    m.user_id,
    n.day AS as_of_date,
    m.signup_date,
    m.is_internal,
    m.first_active_date,
    m.last_active_date,
    COALESCE(d.days_7, 0) AS active_days_last_7d,
    COALESCE(d.days_28, 0) AS active_days_last_28d,
    ratio(COALESCE(v.sessions, 0), 30) AS avg_daily_sessions_last_30d,
    ratio(COALESCE(d.interactions, 0), 30) AS avg_daily_interactions_last_30d,
    CAST(COALESCE(d.creations, 0) AS BIGINT) AS creations_last_30d,
    COALESCE(f.features, 0) AS features_used_last_7d
FROM members AS m
CROSS JOIN newest AS n
LEFT JOIN days AS d ON d.user_id = m.user_id
LEFT JOIN visits AS v ON v.user_id = m.user_id
LEFT JOIN features AS f ON f.user_id = m.user_id
