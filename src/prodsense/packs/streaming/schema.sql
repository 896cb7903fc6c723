-- People who watch. Only the key is sure to be in a file; internal and test users are left out of metrics.
CREATE TABLE dim_users (
    user_key BIGINT PRIMARY KEY,                 -- User.
    user_id VARCHAR(64) UNIQUE,                  -- The user's id in events and operational tables; the key as text where absent.
    account_id VARCHAR(64),                      -- Account that the user belongs to; the user's own where absent.
    age_group VARCHAR(20),                       -- Age band, such as 18-24, where known and allowed.
    region VARCHAR(50),                          -- Region, where known and allowed.
    is_internal BOOLEAN                          -- Staff or test user: left out of metrics when true. NULL counts as false.
);

-- Titles: movies, episodes, trailers. Only the key is sure to be in a file.
CREATE TABLE dim_content (
    content_key BIGINT PRIMARY KEY,              -- Title.
    content_id VARCHAR(64) UNIQUE,               -- The title's id in events and operational tables; the key as text where absent.
    content_name VARCHAR(200),                   -- Name; two titles may share one.
    content_type VARCHAR(30),                    -- movie, episode (or series, show), trailer (or preview), or other.
    genre VARCHAR(100),                          -- Genre; of several, parted by | or comma, the first is the main one.
    series_key BIGINT,                           -- Series of an episode.
    season_number INT,                           -- Season, from 1; NULL counts as 1.
    episode_number INT,                          -- Number of the episode in its season, from 1.
    release_date DATE,                           -- Day of release. [day]
    release_year INT,                            -- Year of release. [year]
    production_type VARCHAR(30),                 -- original or licensed.
    actors TEXT,                                 -- Cast, parted by commas.
    length_seconds INT CHECK (length_seconds >= 0), -- Running time. [seconds]
    intro_start_seconds INT,                     -- Where the intro begins. [seconds]
    intro_end_seconds INT,                       -- Where the intro ends. [seconds]
    credits_start_seconds INT,                   -- Where the end credits begin. [seconds]
    trailer_of_content_key BIGINT                -- Of a trailer or preview, the title that it is for.
);

-- Devices that people watch on.
CREATE TABLE dim_devices (
    device_key BIGINT PRIMARY KEY,               -- Device.
    device_id VARCHAR(64) UNIQUE,                -- The device's id in events; the key as text where absent.
    device_type VARCHAR(30)                      -- Kind of device, such as tv, phone, tablet, web.
);

-- Days.
CREATE TABLE dim_date (
    date_key BIGINT PRIMARY KEY,                 -- Day; without `full_date`, read as yyyymmdd.
    full_date DATE                               -- The day. [day]
);

-- Times of day.
CREATE TABLE dim_time (
    time_key BIGINT PRIMARY KEY,                 -- Time of day; minutes since midnight where sessions are folded from events.
    hour INT CHECK (hour BETWEEN 0 AND 23),      -- Hour. [hour]
    minute INT CHECK (minute BETWEEN 0 AND 59)   -- Minute. [minute]
);

-- How a session ended. Without a name, 1 is completed and 2 is abandoned.
CREATE TABLE dim_completion_status (
    completion_status_key BIGINT PRIMARY KEY,    -- Status.
    completion_status VARCHAR(30)                -- completed, abandoned, or other.
);

-- Playback quality by its level, the number of lines.
CREATE TABLE dim_playback_quality (
    quality_level INT PRIMARY KEY,               -- Level, as in max_playback_quality. [lines]
    quality_label VARCHAR(20) NOT NULL           -- Label, such as SD, HD, 4K.
);

-- Viewing sessions that the product sums up itself, one row each. Those folded from playback events stand beside them in
-- `viewing_sessions`; of a session that is in both, what this row leaves open is taken from the events.
-- partition: session_date
-- time: session_start_timestamp
CREATE TABLE fact_viewing_sessions (
    session_id BIGINT PRIMARY KEY,               -- Session.
    user_key BIGINT REFERENCES dim_users (user_key), -- Who watched.
    content_key BIGINT REFERENCES dim_content (content_key), -- What was watched: of a series, the episode.
    device_key BIGINT REFERENCES dim_devices (device_key), -- On what.
    date_key BIGINT REFERENCES dim_date (date_key), -- Day on which it started.
    time_key BIGINT REFERENCES dim_time (time_key), -- Time of day at which it started.
    session_start_timestamp TIMESTAMP,           -- Start. [UTC]
    session_end_timestamp TIMESTAMP,             -- End; NULL while open. [UTC]
    session_duration_seconds INT CHECK (session_duration_seconds >= 0), -- Elapsed time, start to end, pauses inside; NULL while open. [seconds]
    completion_status_key BIGINT REFERENCES dim_completion_status (completion_status_key), -- How it ended.
    playback_position_seconds INT CHECK (playback_position_seconds >= 0), -- Where playback stopped. [seconds]
    total_content_length_seconds INT CHECK (total_content_length_seconds >= 0), -- Length of the title. [seconds]
    total_pause_duration_seconds INT CHECK (total_pause_duration_seconds >= 0), -- Time paused. [seconds]
    number_of_pauses INT CHECK (number_of_pauses >= 0), -- Pauses.
    number_of_rewinds INT CHECK (number_of_rewinds >= 0), -- Seeks backward.
    number_of_forwards INT CHECK (number_of_forwards >= 0), -- Seeks forward.
    max_playback_quality INT,                    -- Best quality reached, a level of dim_playback_quality. [lines]
    completion_percentage DECIMAL(23, 20) CHECK (completion_percentage BETWEEN 0 AND 100), -- Furthest point played over the length, 0 to 100. [percent]
    watched_credits BOOLEAN,                     -- The end credits were watched.
    autoplay_enabled BOOLEAN,                    -- Autoplay was on.
    session_metadata JSON,                       -- Anything else.
    profile_key BIGINT,                          -- Profile of the account that watched.
    series_key BIGINT,                           -- Series of the episode.
    view_duration_seconds INT CHECK (view_duration_seconds >= 0), -- Watched time; elapsed less pauses where absent. [seconds]
    session_date DATE,                           -- Day of session_start_timestamp; may be absent. [day]
    CHECK (session_end_timestamp >= session_start_timestamp)
);

-- Playback events of sessions, the companion of fact_viewing_sessions.
-- partition: event_date
-- time: event_timestamp
CREATE TABLE fact_viewing_events (
    event_id BIGINT PRIMARY KEY,                 -- Event.
    session_id BIGINT,                           -- Session.
    event_type VARCHAR(30),                      -- play, pause, resume, seek, quality_change, complete, stop, or other.
    event_timestamp TIMESTAMP NOT NULL,          -- When. [UTC]
    playback_position_seconds INT,               -- Position; of a seek, where it starts from. [seconds]
    event_metadata JSON,                         -- Of a seek, its positions {"from": 10, "to": 90}; of a quality change, {"quality": "HD"}.
    event_date DATE                              -- Day of event_timestamp; may be absent. [day]
);

-- What players report, one row per event ("beacon"), as it comes in: late, doubled, in any order.
-- partition: event_date
-- time: timestamp
CREATE TABLE playback_events (
    event_id VARCHAR(64) UNIQUE,                 -- Event; the same id twice is a duplicate. May be absent.
    user_id VARCHAR(64),                         -- Who watches.
    profile_id VARCHAR(64),                      -- Profile of the account.
    content_id VARCHAR(64),                      -- Title, or a version of it.
    session_id VARCHAR(64),                      -- Session of the player; without one, events are cut by silence.
    device_id VARCHAR(64),                       -- Device.
    timestamp TIMESTAMP NOT NULL,                -- When, by the player's clock: what orders the events of a session. [UTC]
    received_at TIMESTAMP,                       -- When the server got it. [UTC]
    event_type VARCHAR(30) NOT NULL,             -- playback_start, playback_pause, playback_resume, playback_progress, playback_seek, playback_complete, playback_error, playback_stop, quality_change, or other.
    current_playback_position DOUBLE,            -- Position; of a seek, where it starts from. [seconds]
    seek_to_position DOUBLE,                     -- Of a seek, where it leads to: lower is a rewind. [seconds]
    discovery_source VARCHAR(30),                -- How the title was reached: search, browse, recommendation, external.
    playback_quality VARCHAR(20),                -- Quality: SD, HD, FHD, 4K, or a number of lines such as 720p.
    autoplay_enabled BOOLEAN,                    -- Autoplay is on.
    event_date DATE                              -- Day of timestamp; may be absent. [day]
);

-- Milestones of a title that a session reached, where the player reports them; others are derived in `title_milestones`.
CREATE TABLE playback_milestones_reached (
    session_id BIGINT,                           -- Session.
    milestone_pct INT CHECK (milestone_pct BETWEEN 0 AND 100), -- Milestone: 1, 5, 25, 50, 75, 90, 100. [percent]
    PRIMARY KEY (session_id, milestone_pct)
);

-- Profiles of an account.
CREATE TABLE profiles (
    profile_id VARCHAR(64) PRIMARY KEY,          -- Profile.
    account_id VARCHAR(64),                      -- Account.
    user_id VARCHAR(64),                         -- User whose profile it is, where known.
    created_at TIMESTAMP                         -- When it was made. [UTC]
);

-- Versions of a title: cuts, dubs. An event's content_id may name either.
CREATE TABLE content_versions (
    version_id VARCHAR(64) PRIMARY KEY,          -- Version.
    content_id VARCHAR(64),                      -- The title.
    version_type VARCHAR(30)                     -- original, dub, cut, or other.
);

-- When titles can be watched.
CREATE TABLE content_availability (
    content_id VARCHAR(64) NOT NULL,             -- Title.
    available_from DATE,                         -- First day; NULL is from the beginning. [day]
    available_to DATE,                           -- Last day; NULL is for good. [day]
    UNIQUE (content_id, available_from)
);

-- What titles cost.
CREATE TABLE content_costs (
    content_id VARCHAR(64) PRIMARY KEY,          -- Title.
    cost DOUBLE CHECK (cost >= 0)                -- Cost of making or licensing it. [currency]
);

-- Subscriptions, one row each; who comes back has a new row.
CREATE TABLE subscriptions (
    subscription_id VARCHAR(64) UNIQUE,          -- Subscription. May be absent.
    user_id VARCHAR(64),                         -- Whose.
    tier VARCHAR(30),                            -- Tier, such as basic, standard, premium.
    started_at TIMESTAMP,                        -- Start. [UTC]
    ended_at TIMESTAMP,                          -- End; NULL while it lasts. [UTC]
    churn_reason VARCHAR(100),                   -- Reason of the cancellation, where captured.
    trial_started_at TIMESTAMP,                  -- Start of the trial, if there was one. [UTC]
    trial_ends_at TIMESTAMP,                     -- When the trial ends. [UTC]
    converted_to_paid_at TIMESTAMP,              -- When the trial became paid; NULL if not. [UTC]
    monthly_price DOUBLE CHECK (monthly_price >= 0) -- Price of a month. [currency]
);

-- Uses of features beside playback.
CREATE TABLE feature_usage (
    event_id VARCHAR(64) UNIQUE,                 -- Use. May be absent.
    user_id VARCHAR(64),                         -- Who.
    feature_name VARCHAR(50),                    -- Feature: profiles, downloads, watchlist, parental_controls, or other.
    event_timestamp TIMESTAMP                    -- When. [UTC]
);

-- Answers to surveys in the product.
CREATE TABLE survey_responses (
    response_id VARCHAR(64) UNIQUE,              -- Answer. May be absent.
    user_id VARCHAR(64),                         -- Who answers.
    survey_type VARCHAR(30),                     -- csat or nps.
    score DOUBLE,                                -- The answer: csat 1 to 5 (4 and 5 are satisfied), nps 0 to 10. [score]
    responded_at TIMESTAMP                       -- When; an undated answer counts at the newest moment of the table. [UTC]
);

-- Titles put on a watchlist.
CREATE TABLE watchlist_items (
    user_id VARCHAR(64) NOT NULL,                -- Whose list.
    content_id VARCHAR(64) NOT NULL,             -- Title.
    added_at TIMESTAMP NOT NULL,                 -- When it was added. [UTC]
    removed_at TIMESTAMP,                        -- When it was taken off; NULL while it is on. [UTC]
    added_from VARCHAR(30),                      -- Where it was added: content_page, browse, search, recommendation.
    PRIMARY KEY (user_id, content_id, added_at)
);

-- Titles that were recommended to somebody, one row per impression.
CREATE TABLE recommendation_events (
    impression_id VARCHAR(64) PRIMARY KEY,       -- Impression.
    user_id VARCHAR(64),                         -- Who saw it.
    content_id VARCHAR(64),                      -- Title.
    shown_at TIMESTAMP,                          -- When it was shown; that of the click or else the newest moment of the table where absent. [UTC]
    clicked_at TIMESTAMP                         -- When it was clicked; NULL if not. [UTC]
);

-- Searches.
CREATE TABLE search_events (
    search_id VARCHAR(64) UNIQUE,                -- Search. May be absent.
    user_id VARCHAR(64),                         -- Who searched.
    query VARCHAR(200),                          -- What for.
    results INT CHECK (results >= 0),            -- How many titles were found.
    clicked_content_id VARCHAR(64),              -- Title that was chosen; NULL if none.
    searched_at TIMESTAMP                        -- When. [UTC]
);

-- Ratings of titles.
CREATE TABLE title_ratings (
    rating_id VARCHAR(64) UNIQUE,                -- Rating. May be absent.
    user_id VARCHAR(64),                         -- Who rates.
    content_id VARCHAR(64),                      -- Title.
    rating DOUBLE CHECK (rating BETWEEN 0 AND 5), -- Stars. [score 0-5]
    rated_at TIMESTAMP                           -- When. [UTC]
);

-- Reviews of titles.
CREATE TABLE title_reviews (
    review_id VARCHAR(64) UNIQUE,                -- Review. May be absent.
    user_id VARCHAR(64),                         -- Who writes.
    content_id VARCHAR(64),                      -- Title.
    review TEXT,                                 -- What it says.
    created_at TIMESTAMP                         -- When. [UTC]
);

-- Likes, dislikes and shares of titles.
CREATE TABLE title_feedback (
    feedback_id VARCHAR(64) UNIQUE,              -- Feedback. May be absent.
    user_id VARCHAR(64),                         -- Who gives it.
    content_id VARCHAR(64),                      -- Title.
    feedback_type VARCHAR(20),                   -- like, dislike or share.
    given_at TIMESTAMP                           -- When; undated feedback counts at the newest moment of the table. [UTC]
);

-- Promotions of titles.
CREATE TABLE promotions (
    promotion_id VARCHAR(64) UNIQUE,             -- Promotion. May be absent.
    content_id VARCHAR(64) NOT NULL,             -- Title.
    start_date DATE NOT NULL,                    -- First day. [day]
    end_date DATE,                               -- Last day; NULL while it runs. [day]
    CHECK (end_date >= start_date)
);

-- Users assigned to experiments.
CREATE TABLE experiment_assignments (
    experiment_id VARCHAR(100),                  -- Experiment: browse_layout_test, search_results_presentation_test, recommendation_display_test, or other.
    user_id VARCHAR(64),                         -- The unit.
    arm VARCHAR(50),                             -- Arm: 'control' is the control, any other name a treatment.
    assigned_at TIMESTAMP,                       -- When. [UTC]
    UNIQUE (experiment_id, user_id)
);

-- What each metric means, in which version, and how it is to be read.
CREATE TABLE metric_registry (
    metric_name VARCHAR(100) NOT NULL,           -- Metric.
    version INT DEFAULT 1,                       -- Version of the definition, from 1.
    definition TEXT,                             -- The written rule; of a view, the same wherever it is used.
    counter_metrics TEXT,                        -- Metrics to show beside it, parted by commas.
    content_type VARCHAR(30),                    -- Type of content that the definition is for; NULL is all.
    PRIMARY KEY (metric_name, version)
);

-- Watched seconds above which a session is a view, by type of content, where other than the built-in rule.
CREATE TABLE view_rules (
    content_type VARCHAR(30) PRIMARY KEY,        -- Type of content, as in dim_content.
    min_seconds DOUBLE NOT NULL CHECK (min_seconds >= 0) -- A view is more than this. [seconds]
);

-- Scenes of titles that seeks are counted for, where other than the intro.
CREATE TABLE scenes (
    content_id VARCHAR(64) NOT NULL,             -- Title.
    scene VARCHAR(100) NOT NULL,                 -- Name of the scene.
    start_seconds DOUBLE NOT NULL,               -- Where it begins. [seconds]
    end_seconds DOUBLE NOT NULL,                 -- Where it ends. [seconds]
    PRIMARY KEY (content_id, scene),
    CHECK (end_seconds > start_seconds)
);

-- Watched time of users in total, kept up to date by user_cumulative_snapshot_daily_upsert.
CREATE TABLE user_cumulative_snapshot (
    user_id VARCHAR(64) PRIMARY KEY,             -- User.
    total_view_time_seconds BIGINT NOT NULL DEFAULT 0, -- Watched time so far. [seconds]
    last_updated_date DATE                       -- Newest day in it. [day]
);

-- Risk of users to leave, where it is computed elsewhere.
CREATE TABLE churn_scores (
    user_id VARCHAR(64) PRIMARY KEY,             -- User.
    risk DOUBLE CHECK (risk BETWEEN 0 AND 1),    -- Probability to leave. [share]
    scored_at TIMESTAMP                          -- When it was computed. [UTC]
);

-- Cut-offs, where other than the built-in ones: session_timeout_minutes (30), view_seconds (30),
-- series_watched_pct (80), stale_watchlist_days (30), promotion_after_days (28), score_weight_completion (1),
-- score_weight_rewatch (1), score_weight_rating (1).
CREATE TABLE settings (
    setting VARCHAR(50) PRIMARY KEY,             -- Name of the cut-off.
    value DOUBLE NOT NULL                        -- Its value.
);
