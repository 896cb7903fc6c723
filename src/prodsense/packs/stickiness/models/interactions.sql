-- How active users turned to others on a day, by type: each active day has a row for each type, so that shares of a type are
-- over all who were active.
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: user_day = user and day in one
-- column: interaction_type = like, comment, share or direct_message
-- column: interactions = how many
WITH types AS (
    SELECT 'like' AS interaction_type
    UNION ALL
    SELECT 'comment'
    UNION ALL
    SELECT 'share'
    UNION ALL
    SELECT 'direct_message'
)
SELECT
    a.user_id,
    a.activity_date,
    a.device,
    a.tenure_days,
    a.user_day,
    t.interaction_type,
    CASE t.interaction_type WHEN 'like' THEN a.likes WHEN 'comment' THEN a.comments_made
        WHEN 'share' THEN a.shares ELSE a.direct_messages END AS interactions
FROM activity AS a
CROSS JOIN types AS t
