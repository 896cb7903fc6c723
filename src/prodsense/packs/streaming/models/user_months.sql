-- Users by month in which they watched: how much, on what, whether they viewed recommended titles, and what they said. Weights make
-- those without such views comparable to those with, by what they had watched in the month before (nothing, less than 5 hours,
-- less than 20, more). Without internal users.
-- kind: view
-- key: user_key, month
-- time: month
-- references: user_key viewers
-- column: user_key = user
-- column: month = first day of the month [day]
-- column: hours = watched time [hours]
-- column: device_type = kind of device with most watched time
-- column: is_recommended = viewed a title through a recommendation, or after a click on one
-- column: weight = weight in comparisons of watched time
-- column: answers = csat answers
-- column: satisfied = of these, 4 or 5
-- column: answer_weight = weight in comparisons of satisfaction
WITH months AS (
    SELECT
        user_key,
        period_start(session_date, 'month') AS month,
        ratio(SUM(COALESCE(watched_seconds, 0)), 3600) AS hours,
        MAX(CASE WHEN is_view AND view_source = 'recommendation' THEN 1 ELSE 0 END) AS by_source
    FROM sessions
    WHERE user_key IS NOT NULL
    GROUP BY user_key, period_start(session_date, 'month')
),
earlier AS (
    SELECT user_key, period_start(add_days(month, 31), 'month') AS month, hours
    FROM months
),
device_hours AS (
    SELECT
        s.user_key,
        period_start(s.session_date, 'month') AS month,
        LOWER(d.device_type) AS device_type,
        SUM(COALESCE(s.watched_seconds, 0)) AS seconds
    FROM sessions AS s
    JOIN dim_devices AS d ON d.device_key = s.device_key
    WHERE d.device_type IS NOT NULL
    GROUP BY s.user_key, period_start(s.session_date, 'month'), LOWER(d.device_type)
),
devices AS (
    SELECT user_key, month, device_type
    FROM device_hours
    QUALIFY ROW_NUMBER() OVER (PARTITION BY user_key, month ORDER BY seconds DESC, device_type) = 1
),
first_clicks AS (
    SELECT user_key, content_key, MIN(clicked_at) AS clicked_at
    FROM recommendation_log
    WHERE clicked_at IS NOT NULL
    GROUP BY user_key, content_key
),
-- A click that does not say on what counts for all that follows.
clicks AS (
    SELECT s.user_key, period_start(s.session_date, 'month') AS month
    FROM first_clicks AS r
    JOIN sessions AS s ON s.user_key = r.user_key AND s.content_key = r.content_key
    WHERE s.is_view AND s.started_at >= r.clicked_at
    UNION
    SELECT s.user_key, period_start(s.session_date, 'month')
    FROM first_clicks AS r
    JOIN sessions AS s ON s.user_key = r.user_key
    WHERE r.content_key IS NULL AND s.is_view AND s.started_at >= r.clicked_at
),
said AS (
    SELECT
        user_key,
        period_start(answered_at, 'month') AS month,
        COUNT(score) AS answers,
        SUM(CASE WHEN score >= 4 THEN 1 ELSE 0 END) AS satisfied
    FROM survey_answers
    WHERE survey_type = 'csat' AND score IS NOT NULL
    GROUP BY user_key, period_start(answered_at, 'month')
),
people AS (
    SELECT
        m.user_key,
        m.month,
        m.hours,
        d.device_type,
        CASE WHEN m.by_source = 1 OR c.user_key IS NOT NULL THEN 1 ELSE 0 END AS recommended,
        COALESCE(a.answers, 0) AS answers,
        COALESCE(a.satisfied, 0) AS satisfied,
        CASE WHEN e.hours < 5 THEN 'some' WHEN e.hours < 20 THEN 'more' WHEN e.hours >= 20 THEN 'most'
            ELSE 'nothing' END AS stratum
    FROM months AS m
    LEFT JOIN earlier AS e ON e.user_key = m.user_key AND e.month = m.month
    LEFT JOIN devices AS d ON d.user_key = m.user_key AND d.month = m.month
    LEFT JOIN clicks AS c ON c.user_key = m.user_key AND c.month = m.month
    LEFT JOIN said AS a ON a.user_key = m.user_key AND a.month = m.month
),
strata AS (
    SELECT
        p.*,
        SUM(recommended) OVER (PARTITION BY month, stratum) AS with_them,
        SUM(1 - recommended) OVER (PARTITION BY month, stratum) AS without_them,
        SUM(recommended * answers) OVER (PARTITION BY month, stratum) AS answers_with,
        SUM((1 - recommended) * answers) OVER (PARTITION BY month, stratum) AS answers_without
    FROM people AS p
)
SELECT
    user_key,
    month,
    hours,
    device_type,
    recommended = 1 AS is_recommended,
    CASE WHEN with_them = 0 OR without_them = 0 THEN 0
        WHEN recommended = 1 THEN 1 ELSE ratio(with_them, without_them) END AS weight,
    answers,
    satisfied,
    CASE WHEN answers_with = 0 OR answers_without = 0 THEN 0
        WHEN recommended = 1 THEN 1 ELSE ratio(answers_with, answers_without) END AS answer_weight
FROM strata
