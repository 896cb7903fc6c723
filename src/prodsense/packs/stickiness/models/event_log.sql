-- Events with what they mean: when they happened, whether they make a user active, what they create, view, or say to others.
-- A client's clock that runs ahead is put right by the moment the server got the event. Internal users are still inside.
-- kind: view
-- time: occurred_at
-- column: user_id = who did it
-- column: session_id = session that the client put it in
-- column: occurred_at = when: the client's time, but never after the server had it [UTC]
-- column: event_date = day of occurred_at [day]
-- column: event_type = what happened, in lower case
-- column: feature_name = feature used, in lower case
-- column: platform = client
-- column: device = kind of device
-- column: completed = a view reached the end
-- column: scroll_position = how far down the feed [items]
-- column: is_qualifying = one such event makes its user active that day
-- column: creation_type = post, comment or story, of an event that creates
-- column: interaction_type = like, comment, share or direct_message, of an event towards others
-- column: viewed = post, video or story, of a view
WITH plain AS (
    SELECT
        e.user_id,
        e.session_id,
        LEAST(e.timestamp, e.received_at) AS occurred_at,
        LOWER(e.event_type) AS event_type,
        LOWER(e.content_type) AS content_type,
        LOWER(e.feature_name) AS feature_name,
        e.platform,
        e.device,
        e.completed,
        e.scroll_position,
        COALESCE(t.qualifies, LOWER(e.event_type) NOT IN (
            'session_end', 'app_background', 'notification_sent', 'notification_received', 'push_received'
        )) AS is_qualifying
    FROM user_events AS e
    LEFT JOIN active_event_types AS t ON LOWER(t.event_type) = LOWER(e.event_type)
)
SELECT
    user_id,
    session_id,
    occurred_at,
    date_of(occurred_at) AS event_date,
    event_type,
    feature_name,
    platform,
    device,
    completed,
    scroll_position,
    is_qualifying,
    CASE
        WHEN event_type IN ('story_creation', 'story_created', 'create_story', 'story') THEN 'story'
        WHEN event_type IN ('post_creation', 'post_created', 'create_post', 'post')
            THEN CASE WHEN content_type IN ('story', 'stories') THEN 'story' ELSE 'post' END
        WHEN event_type IN ('comment', 'comment_creation', 'comment_created') THEN 'comment'
    END AS creation_type,
    CASE
        WHEN event_type = 'like' THEN 'like'
        WHEN event_type IN ('comment', 'comment_creation', 'comment_created') THEN 'comment'
        WHEN event_type = 'share' THEN 'share'
        WHEN event_type IN ('direct_message', 'direct_message_sent', 'message', 'message_sent', 'send_message', 'dm') THEN 'direct_message'
    END AS interaction_type,
    CASE
        WHEN event_type = 'post_view' THEN 'post'
        WHEN event_type = 'video_view' THEN 'video'
        WHEN event_type = 'story_view' THEN 'story'
        WHEN event_type NOT IN ('content_view', 'view') THEN NULL
        WHEN content_type IN ('post', 'posts') THEN 'post'
        WHEN content_type IN ('video', 'videos') THEN 'video'
        WHEN content_type IN ('story', 'stories') THEN 'story'
    END AS viewed
FROM plain
