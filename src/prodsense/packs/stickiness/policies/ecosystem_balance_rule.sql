-- as_of: active_days.activity_date
-- param: max_fall number = 0.1, share by which a family may fall while no more valuable one rises
-- param: days integer = 28, length of each window
WITH windows AS (
    SELECT
        CASE WHEN activity_date > add_days(date_of(:as_of), -:days) THEN 1 ELSE 0 END AS is_now,
        user_day,
        posts_created + comments_made + stories_created AS creations,
        posts_viewed + videos_viewed + stories_viewed AS views,
        likes + comments_made + shares + direct_messages AS interactions
    FROM activity
    WHERE activity_date > add_days(date_of(:as_of), -2 * :days) AND activity_date <= date_of(:as_of)
),
rates AS (
    SELECT
        is_now,
        ratio(SUM(creations), COUNT(DISTINCT user_day)) AS creation,
        ratio(SUM(views), COUNT(DISTINCT user_day)) AS consumption,
        ratio(SUM(interactions), COUNT(DISTINCT user_day)) AS interaction
    FROM windows
    GROUP BY is_now
),
changes AS (
    SELECT 1 AS place, 'creation' AS family, ratio(n.creation, b.creation) - 1 AS change
    FROM rates AS n JOIN rates AS b ON n.is_now = 1 AND b.is_now = 0
    UNION ALL
    SELECT 2, 'interaction', ratio(n.interaction, b.interaction) - 1
    FROM rates AS n JOIN rates AS b ON n.is_now = 1 AND b.is_now = 0
    UNION ALL
    SELECT 3, 'consumption', ratio(n.consumption, b.consumption) - 1
    FROM rates AS n JOIN rates AS b ON n.is_now = 1 AND b.is_now = 0
),
seen AS (
    SELECT MIN(activity_date) AS first_day
    FROM activity
),
families AS (
    SELECT 'creation' AS family
    UNION ALL SELECT 'interaction'
    UNION ALL SELECT 'consumption'
),
declared AS (
    SELECT DISTINCT LOWER(family) AS family
    FROM metric_registry
    WHERE family IS NOT NULL
)
SELECT 'it falls, and nothing more valuable rises' AS violation, c.family, c.change
FROM changes AS c
CROSS JOIN seen AS f
WHERE c.change <= -:max_fall
    AND f.first_day <= add_days(date_of(:as_of), 1 - 2 * :days)
    AND NOT EXISTS (SELECT 1 FROM changes AS o WHERE o.place < c.place AND o.change > 0)
UNION ALL
SELECT 'no metric of the registry is of this family, so that it cannot be read with the others', f.family, NULL
FROM families AS f
WHERE EXISTS (SELECT 1 FROM declared) AND NOT EXISTS (SELECT 1 FROM declared AS d WHERE d.family = f.family)
