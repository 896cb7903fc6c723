-- Creation, consumption and interaction of an active user and day, the last `days` days beside as many before them, and whether
-- the data reach back over both.
-- as_of: active_days.activity_date
-- param: days integer = 28, length of each window
WITH windows AS (
    SELECT
        CASE WHEN activity_date > add_days(date_of(:as_of), -:days) THEN 'now' ELSE 'before' END AS part,
        user_day,
        posts_created + comments_made + stories_created AS creations,
        posts_viewed + videos_viewed + stories_viewed AS views,
        likes + comments_made + shares + direct_messages AS interactions
    FROM activity
    WHERE activity_date > add_days(date_of(:as_of), -2 * :days) AND activity_date <= date_of(:as_of)
),
rates AS (
    SELECT
        part,
        ratio(SUM(creations), COUNT(DISTINCT user_day)) AS creation,
        ratio(SUM(views), COUNT(DISTINCT user_day)) AS consumption,
        ratio(SUM(interactions), COUNT(DISTINCT user_day)) AS interaction
    FROM windows
    GROUP BY part
),
seen AS (
    SELECT MIN(activity_date) AS first_day
    FROM activity
),
told AS (
    SELECT 1 AS place, 'creation' AS family, part, creation AS rate FROM rates
    UNION ALL
    SELECT 2, 'interaction', part, interaction FROM rates
    UNION ALL
    SELECT 3, 'consumption', part, consumption FROM rates
)
SELECT
    family,
    MAX(CASE WHEN part = 'before' THEN rate END) AS before_per_day,
    MAX(CASE WHEN part = 'now' THEN rate END) AS now_per_day,
    ratio(MAX(CASE WHEN part = 'now' THEN rate END), MAX(CASE WHEN part = 'before' THEN rate END)) - 1 AS change,
    MAX(f.first_day) <= add_days(date_of(:as_of), 1 - 2 * :days) AS is_complete
FROM told
CROSS JOIN seen AS f
GROUP BY family, place
ORDER BY place
