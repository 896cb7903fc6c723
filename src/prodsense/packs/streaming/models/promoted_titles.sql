-- For each promotion, views a day of the promoted title while it ran and in promotion_after_days (28) after its end, as far as
-- those days are over; and for comparison, of the titles that are never promoted, on the same days. Without internal users.
-- kind: view
-- time: start_date
-- references: content_key titles
-- column: content_key = title
-- column: promoted = promoted, or compared with
-- column: start_date = first day of the promotion [day]
-- column: title_age_days = days since the title's release [days]
-- column: views_a_day = views a day while it ran
-- column: views_a_day_after = views a day after its end; NULL where no such day is over
WITH cuts AS (
    SELECT COALESCE(MAX(CASE WHEN setting = 'promotion_after_days' THEN value END), 28) AS after_days
    FROM settings
),
newest AS (
    SELECT MAX(session_date) AS day
    FROM sessions
),
runs AS (
    SELECT
        COALESCE(t.content_key, key_of(p.content_id)) AS content_key,
        p.start_date,
        LEAST(p.end_date, n.day) AS end_date,
        LEAST(add_days(p.end_date, CAST(c.after_days AS INT)), n.day) AS last_date
    FROM promotions AS p
    CROSS JOIN newest AS n
    CROSS JOIN cuts AS c
    LEFT JOIN titles AS t ON t.content_id = p.content_id
    WHERE p.start_date <= n.day
),
subjects AS (
    SELECT r.content_key, r.start_date, r.end_date, r.last_date, TRUE AS promoted
    FROM runs AS r
    UNION ALL
    SELECT t.content_key, w.start_date, w.end_date, w.last_date, FALSE
    FROM titles AS t
    CROSS JOIN (SELECT DISTINCT start_date, end_date, last_date FROM runs) AS w
    WHERE NOT EXISTS (SELECT 1 FROM runs AS p WHERE p.content_key = t.content_key)
),
days AS (
    SELECT content_key, session_date, COUNT(*) AS views
    FROM sessions
    WHERE is_view
    GROUP BY content_key, session_date
),
counted AS (
    SELECT
        s.content_key, s.start_date, s.end_date, s.last_date, s.promoted,
        SUM(CASE WHEN d.session_date BETWEEN s.start_date AND COALESCE(s.end_date, s.last_date) THEN d.views ELSE 0 END)
            AS views_during,
        SUM(CASE WHEN d.session_date > s.end_date AND d.session_date <= s.last_date THEN d.views ELSE 0 END)
            AS views_after
    FROM subjects AS s
    LEFT JOIN days AS d ON d.content_key = s.content_key
    GROUP BY s.content_key, s.start_date, s.end_date, s.last_date, s.promoted
)
SELECT
    c.content_key,
    c.promoted,
    c.start_date,
    days_between(t.release_date, c.start_date) AS title_age_days,
    ratio(c.views_during, days_between(c.start_date, c.end_date) + 1) AS views_a_day,
    ratio(c.views_after, days_between(c.end_date, c.last_date)) AS views_a_day_after
FROM counted AS c
LEFT JOIN titles AS t ON t.content_key = c.content_key
