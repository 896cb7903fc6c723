-- What active users created on a day, by type: each active day has a row for each type, so that shares of a type are over
-- all who were active.
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: user_day = user and day in one
-- column: creation_type = post, comment or story
-- column: creations = how many
WITH types AS (
    SELECT 'post' AS creation_type
    UNION ALL
    SELECT 'comment'
    UNION ALL
    SELECT 'story'
)
SELECT
    a.user_id,
    a.activity_date,
    a.device,
    a.tenure_days,
    a.user_day,
    t.creation_type,
    CASE t.creation_type WHEN 'post' THEN a.posts_created WHEN 'comment' THEN a.comments_made
        ELSE a.stories_created END AS creations
FROM activity AS a
CROSS JOIN types AS t
