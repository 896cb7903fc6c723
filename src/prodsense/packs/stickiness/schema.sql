-- People with an account. Only the key is sure to be in a file; internal users are left out of metrics.
CREATE TABLE users (
    user_id VARCHAR(64) PRIMARY KEY,             -- User.
    signup_date DATE,                            -- Day of signup: day 0 of retention. [day]
    age_group VARCHAR(20),                       -- Age group, such as 18-24.
    gender VARCHAR(20),                          -- Gender as stated.
    region VARCHAR(50),                          -- Region of residence.
    acquisition_source VARCHAR(50),              -- Channel that brought the user, such as organic or paid_search.
    campaign VARCHAR(100),                       -- Marketing campaign that brought the user, if one.
    is_internal BOOLEAN                          -- Staff or test account: left out of metrics when true. NULL counts as false.
);

-- What users did, one row per event, with the same names on every client.
-- partition: event_date
-- time: timestamp
CREATE TABLE user_events (
    event_id VARCHAR(64) UNIQUE,                 -- Event; the same id twice is a duplicate. May be absent.
    user_id VARCHAR(64) NOT NULL,                -- Who did it.
    session_id VARCHAR(64),                      -- Session that the client put it in; without one, sessions are cut by inactivity.
    timestamp TIMESTAMP NOT NULL,                -- When, by the client's clock. [UTC]
    received_at TIMESTAMP,                       -- When the server got it; a timestamp later than this is a fast clock. [UTC]
    event_type VARCHAR(50) NOT NULL,             -- app_open, content_view, like, comment, share, direct_message, post_creation, story_creation, feature_usage, session_start, session_end, app_background, or other.
    content_type VARCHAR(20),                    -- What was viewed or made: post, video or story.
    feature_name VARCHAR(50),                    -- Feature used: feed, stories, messaging, groups, or other.
    platform VARCHAR(20),                        -- Client: ios, android, web.
    device VARCHAR(50),                          -- Kind of device, such as phone, tablet or desktop.
    completed BOOLEAN,                           -- A view reached the end; NULL where not known.
    scroll_position DOUBLE,                      -- Items (or screens) down the feed that the event was at. [items]
    attributes JSON,                             -- Further attributes of the event.
    event_date DATE                              -- Day of timestamp; may be absent. [day]
);

-- Sessions, where the product keeps them itself. A day on which this table has a row is taken as complete; sessions of
-- other days are cut from user_events.
-- partition: session_date
-- time: started_at
CREATE TABLE sessions (
    session_id VARCHAR(64) NOT NULL,             -- Session.
    user_id VARCHAR(64) NOT NULL,                -- Whose.
    started_at TIMESTAMP NOT NULL,               -- Start. [UTC]
    ended_at TIMESTAMP,                          -- End; NULL while open. [UTC]
    duration_seconds DOUBLE CHECK (duration_seconds >= 0), -- Length; from start to end where absent. [seconds]
    platform VARCHAR(20),                        -- Client.
    device VARCHAR(50),                          -- Kind of device.
    session_date DATE,                           -- Day of started_at; may be absent. [day]
    PRIMARY KEY (user_id, session_id),
    CHECK (ended_at >= started_at)
);

-- Days on which users were active, where the product keeps them itself. A day on which this table has a row is taken as
-- complete; activity of other days comes from user_events and sessions.
-- partition: activity_date
CREATE TABLE daily_user_activity (
    user_id VARCHAR(64) NOT NULL,                -- User.
    activity_date DATE NOT NULL,                 -- Day. [day]
    is_active BOOLEAN,                           -- False for a row without activity; NULL counts as true.
    device VARCHAR(50),                          -- Kind of device mainly used.
    PRIMARY KEY (user_id, activity_date)
);

-- Event types that make a user active, where other than the built-in rule: every event but session_end, app_background
-- and those that a user only receives (notification_sent, notification_received, push_received).
CREATE TABLE active_event_types (
    event_type VARCHAR(50) PRIMARY KEY,          -- Event type.
    qualifies BOOLEAN NOT NULL                   -- Whether one such event makes its user active that day.
);

-- Who is connected to whom. A friendship is one row (or one each way, which is the same one); to follow is a row of the follower.
CREATE TABLE connections (
    user_id VARCHAR(64) NOT NULL,                -- Who has it: of a follow, the follower.
    connected_user_id VARCHAR(64) NOT NULL,      -- The other one.
    connection_type VARCHAR(20),                 -- friend or follow.
    created_at TIMESTAMP,                        -- Since when. [UTC]
    ended_at TIMESTAMP,                          -- Until when; NULL while it lasts. [UTC]
    PRIMARY KEY (user_id, connected_user_id)
);

-- Answers to surveys in the product.
CREATE TABLE survey_responses (
    response_id VARCHAR(64) UNIQUE,              -- Answer.
    user_id VARCHAR(64),                         -- Who answers.
    survey_type VARCHAR(30) NOT NULL,            -- csat or nps.
    score DOUBLE,                                -- The answer: csat 1 to 5, nps 0 to 10. [score]
    responded_at TIMESTAMP                       -- When; an undated answer counts at the newest moment of the table. [UTC]
);

-- Reviews in app stores.
CREATE TABLE app_reviews (
    review_id VARCHAR(64) UNIQUE,                -- Review.
    rating DOUBLE CHECK (rating BETWEEN 0 AND 5), -- Stars. [score 1-5]
    created_at TIMESTAMP,                        -- When; an undated review counts at the newest moment of the table. [UTC]
    text TEXT,                                   -- What it says.
    sentiment VARCHAR(20),                       -- positive, neutral or negative, or a number of which the sign counts.
    device VARCHAR(50),                          -- Kind of device.
    platform VARCHAR(20)                         -- Store: ios or android.
);

-- Mentions of the product on social media.
CREATE TABLE social_mentions (
    mention_id VARCHAR(64) UNIQUE,               -- Mention.
    text TEXT,                                   -- What it says.
    sentiment VARCHAR(20),                       -- positive, neutral or negative, or a number of which the sign counts.
    mentioned_at TIMESTAMP                       -- When; an undated mention counts at the newest moment of the table. [UTC]
);

-- Lifetime value of users, computed elsewhere.
CREATE TABLE user_ltv (
    user_id VARCHAR(64) PRIMARY KEY,             -- User.
    ltv DOUBLE                                   -- Value over the whole time. [currency]
);

-- Tiers of users by period, where the product keeps them itself; while empty they are computed (model user_tiers).
CREATE TABLE user_engagement_tiers (
    user_id VARCHAR(64) NOT NULL,                -- User.
    period VARCHAR(20) NOT NULL,                 -- Period, such as 2024-01 or 2024-01-01: text that sorts by time.
    tier VARCHAR(20),                            -- Power, Core, Casual or Dormant.
    PRIMARY KEY (user_id, period)
);

-- What each metric means, in which version, and how it is to be read.
CREATE TABLE metric_registry (
    metric_name VARCHAR(100) NOT NULL,           -- Metric.
    version INT DEFAULT 1,                       -- Version of the definition, from 1.
    definition TEXT,                             -- The written rule.
    active_definition TEXT,                      -- The rule of what counts as active that it uses; the same for all of one version.
    is_vanity BOOLEAN,                           -- Looks good without meaning value: never the lead of a report.
    counter_metrics TEXT,                        -- Metrics to show beside it, parted by commas.
    freshness VARCHAR(20),                       -- near_real_time or daily_batch.
    family VARCHAR(20),                          -- creation, consumption, interaction or other: read together.
    valid_from DATE,                             -- First day that the version holds for. [day]
    PRIMARY KEY (metric_name, version)
);

-- Users assigned to experiments. Only the user and the arm are sure to be in a file.
CREATE TABLE experiment_assignments (
    experiment VARCHAR(100),                     -- onboarding_flow_test, notification_strategy_test, or other.
    user_id VARCHAR(64) NOT NULL,                -- The unit.
    variant VARCHAR(50) NOT NULL,                -- Arm: 'control' is the control, any other name a treatment.
    assigned_at TIMESTAMP,                       -- When. [UTC]
    UNIQUE (experiment, user_id)
);

-- Cut-offs, where other than the built-in ones: session_gap_minutes (30), background_grace_minutes (5), churn_days (28),
-- rolling_retention_days (7), tier_power_days (20), tier_core_days (8), tier_power_sessions (1) and
-- tier_power_interactions (0), the last two a day active.
CREATE TABLE settings (
    setting VARCHAR(50) PRIMARY KEY,             -- Name of the cut-off.
    value DOUBLE NOT NULL                        -- Its value.
);
