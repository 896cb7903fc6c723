-- Each title on each day on which it was available and viewing is known, and whether anybody watched it. Without internal users.
-- kind: view
-- key: content_key, day
-- time: day
-- references: content_key titles
-- column: content_key = title
-- column: day = day [day]
-- column: title_age_days = days since the title's release [days]
-- column: sessions = sessions of it on the day
-- column: viewers = users with one
WITH known AS (
    SELECT MIN(session_date) AS first_day, MAX(session_date) AS last_day
    FROM sessions
),
days AS (
    SELECT day_list(first_day, last_day) AS day
    FROM known
),
offers AS (
    SELECT DISTINCT
        COALESCE(t.content_key, key_of(a.content_id)) AS content_key,
        date_of(d.day) AS day,
        days_between(t.release_date, d.day) AS title_age_days
    FROM content_availability AS a
    JOIN days AS d
        ON date_of(d.day) >= COALESCE(a.available_from, date_of(d.day))
        AND date_of(d.day) <= COALESCE(a.available_to, date_of(d.day))
    LEFT JOIN titles AS t ON t.content_id = a.content_id
),
seen AS (
    SELECT content_key, session_date AS day, COUNT(*) AS sessions, COUNT(DISTINCT user_key) AS viewers
    FROM sessions
    GROUP BY content_key, session_date
)
SELECT
    o.content_key,
    o.day,
    o.title_age_days,
    COALESCE(s.sessions, 0) AS sessions,
    COALESCE(s.viewers, 0) AS viewers
FROM offers AS o
LEFT JOIN seen AS s ON s.content_key = o.content_key AND s.day = o.day
