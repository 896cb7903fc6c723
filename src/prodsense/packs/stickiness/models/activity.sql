-- active_days without internal users: what activity metrics count.
-- kind: view
-- time: activity_date
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: user_day = user and day in one: what ratios over active users a day count
-- column: posts_viewed = posts viewed [views]
-- column: videos_viewed = videos started [views]
-- column: stories_viewed = stories started [views]
-- column: posts_created = posts made
-- column: comments_made = comments made
-- column: stories_created = stories made
-- column: likes = likes given
-- column: shares = shares
-- column: direct_messages = direct messages sent
-- column: used_feed = used the feed
-- column: used_stories = used stories
-- column: used_messaging = used messaging
-- column: used_groups = used groups
SELECT
    a.user_id,
    a.activity_date,
    a.device,
    days_between(m.signup_date, a.activity_date) AS tenure_days,
    a.user_id || ' ' || text_of(a.activity_date) AS user_day,
    a.posts_viewed,
    a.videos_viewed,
    a.stories_viewed,
    a.posts_created,
    a.comments_made,
    a.stories_created,
    a.likes,
    a.shares,
    a.direct_messages,
    a.used_feed,
    a.used_stories,
    a.used_messaging,
    a.used_groups
FROM active_days AS a
LEFT JOIN members AS m ON m.user_id = a.user_id
WHERE NOT COALESCE(m.is_internal, FALSE)
