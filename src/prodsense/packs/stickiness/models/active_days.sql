-- Who was active on which day, by device, and what they did: one row per user, day and device. Of a day that the table
-- daily_user_activity knows, its rows say who was active; of other days, whoever has a qualifying event or a session.
-- Internal users are still inside.
-- key: user_id, activity_date, device    partition: activity_date    spread: 1 day    late: 1 day
-- references: user_id members
-- column: user_id = user
-- column: activity_date = day [day]
-- column: device = kind of device; where a row knows none, one that is known of the user's day
-- column: events = events [events]
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
WITH known AS (
    SELECT DISTINCT activity_date AS day
    FROM daily_user_activity
),
acts AS (
    SELECT
        user_id,
        event_date AS day,
        device,
        COUNT(*) FILTER (WHERE is_qualifying) AS qualifying,
        COUNT(*) AS events,
        COUNT(*) FILTER (WHERE viewed = 'post') AS posts_viewed,
        COUNT(*) FILTER (WHERE viewed = 'video') AS videos_viewed,
        COUNT(*) FILTER (WHERE viewed = 'story') AS stories_viewed,
        COUNT(*) FILTER (WHERE creation_type = 'post') AS posts_created,
        COUNT(*) FILTER (WHERE creation_type = 'comment') AS comments_made,
        COUNT(*) FILTER (WHERE creation_type = 'story') AS stories_created,
        COUNT(*) FILTER (WHERE interaction_type = 'like') AS likes,
        COUNT(*) FILTER (WHERE interaction_type = 'share') AS shares,
        COUNT(*) FILTER (WHERE interaction_type = 'direct_message') AS direct_messages,
        COUNT(*) FILTER (WHERE feature_name IN ('feed', 'news_feed')) AS feed_uses,
        COUNT(*) FILTER (WHERE feature_name IN ('stories', 'story')) AS stories_uses,
        COUNT(*) FILTER (WHERE feature_name IN ('messaging', 'messages', 'direct_messages')) AS messaging_uses,
        COUNT(*) FILTER (WHERE feature_name IN ('groups', 'group')) AS groups_uses
    FROM event_log
    GROUP BY user_id, event_date, device
),
rows_of_days AS (
    SELECT
        user_id, day, device, 0 AS is_listed, CASE WHEN qualifying > 0 THEN 1 ELSE 0 END AS is_seen,
        events, posts_viewed, videos_viewed, stories_viewed, posts_created, comments_made, stories_created,
        likes, shares, direct_messages, feed_uses, stories_uses, messaging_uses, groups_uses
    FROM acts
    UNION ALL
    SELECT DISTINCT user_id, date_of(started_at), device, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM sessions
    UNION ALL
    SELECT user_id, activity_date, device, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM daily_user_activity
    WHERE COALESCE(is_active, TRUE)
),
settled AS (
    SELECT
        r.*,
        COALESCE(r.device, MIN(r.device) OVER (PARTITION BY r.user_id, r.day)) AS day_device,
        CASE WHEN k.day IS NULL THEN MAX(r.is_seen) OVER (PARTITION BY r.user_id, r.day)
            ELSE MAX(r.is_listed) OVER (PARTITION BY r.user_id, r.day) END AS is_active
    FROM rows_of_days AS r
    LEFT JOIN known AS k ON k.day = r.day
)
SELECT
    user_id,
    day AS activity_date,
    day_device AS device,
    CAST(SUM(events) AS BIGINT) AS events,
    CAST(SUM(posts_viewed) AS BIGINT) AS posts_viewed,
    CAST(SUM(videos_viewed) AS BIGINT) AS videos_viewed,
    CAST(SUM(stories_viewed) AS BIGINT) AS stories_viewed,
    CAST(SUM(posts_created) AS BIGINT) AS posts_created,
    CAST(SUM(comments_made) AS BIGINT) AS comments_made,
    CAST(SUM(stories_created) AS BIGINT) AS stories_created,
    CAST(SUM(likes) AS BIGINT) AS likes,
    CAST(SUM(shares) AS BIGINT) AS shares,
    CAST(SUM(direct_messages) AS BIGINT) AS direct_messages,
    SUM(feed_uses) > 0 AS used_feed,
    SUM(stories_uses) > 0 AS used_stories,
    SUM(messaging_uses) > 0 AS used_messaging,
    SUM(groups_uses) > 0 AS used_groups
FROM settled
WHERE is_active = 1
GROUP BY user_id, day, day_device
