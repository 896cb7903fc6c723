-- What clients log during an upload: start, end, error and exit of each phase, under one upload id. Resuming and retrying
-- keep the id.
-- partition: event_date
-- time: timestamp
CREATE TABLE upload_events (
    event_id VARCHAR(64) UNIQUE,                 -- Event; the same id twice is a duplicate. May be absent.
    upload_id VARCHAR(64) NOT NULL,              -- Upload: one attempt of a user to post, however often it is retried.
    user_id VARCHAR(64),                         -- Who uploads.
    step VARCHAR(50) NOT NULL,                   -- Phase: upload_initiation, source_selection, camera_experience, editing_filtering, captioning_tagging, upload_transfer, confirmation_post_upload.
    event_type VARCHAR(20) NOT NULL,             -- start, end, error or exit.
    timestamp TIMESTAMP NOT NULL,                -- When. [UTC]
    status VARCHAR(20),                          -- How it went: success or failed.
    duration_ms DOUBLE CHECK (duration_ms >= 0), -- What took time: loading the gallery or the camera, applying an edit, transmitting. [ms]
    error_code VARCHAR(100),                     -- Code of the error.
    edit_tool VARCHAR(50),                       -- Tool, of an edit. [name]
    attributes JSON,                             -- Further attributes.
    event_date DATE                              -- Day of timestamp; may be absent, then nothing is built by day. [day]
);

-- Uploads with what describes them.
-- time: completed_at
CREATE TABLE uploads (
    upload_id VARCHAR(64) PRIMARY KEY,           -- Upload.
    user_id VARCHAR(64),                         -- Who uploads.
    file_size_bytes BIGINT CHECK (file_size_bytes >= 0), -- Size of what is sent. [bytes]
    network_type VARCHAR(20),                    -- Wi-Fi, 3G, 4G or 5G.
    region VARCHAR(50),                          -- Region.
    device VARCHAR(100),                         -- Device model.
    device_age_years DOUBLE CHECK (device_age_years >= 0), -- Years since the device came out. [years]
    has_caption BOOLEAN,                         -- Has a caption.
    people_tags VARCHAR,                         -- People tagged: how many, or who. Nothing, 0 or [] is nobody.
    has_location BOOLEAN,                        -- Has a location tag.
    completed_at TIMESTAMP,                      -- When it was done; NULL of one that never was. [UTC]
    first_visible_at TIMESTAMP,                  -- When it was first seen in the feed. [UTC]
    display_ok BOOLEAN                           -- It is shown as it should be.
);

-- Attempts to transmit an upload: 1, and one more a retry.
-- time: started_at
CREATE TABLE upload_attempts (
    upload_id VARCHAR(64) NOT NULL,              -- Upload.
    attempt_number INT NOT NULL CHECK (attempt_number >= 1), -- 1, 2, ...
    status VARCHAR(20),                          -- success or failed.
    error_code VARCHAR(100),                     -- Why it failed; without one, the error that upload_events has of the attempt.
    is_automatic BOOLEAN,                        -- The client tried again by itself. NULL counts as false: the user did.
    started_at TIMESTAMP,                        -- When. [UTC]
    PRIMARY KEY (upload_id, attempt_number)
);

-- Tools used on uploads.
-- time: edited_at
CREATE TABLE upload_edits (
    edit_id VARCHAR(64) UNIQUE,                  -- Edit. May be absent.
    upload_id VARCHAR(64) NOT NULL,              -- Upload.
    tool VARCHAR(50),                            -- filter, crop, adjustment, or the name of one.
    edited_at TIMESTAMP                          -- When. [UTC]
);

-- How the app ran, by session of a flow.
-- time: recorded_at
CREATE TABLE app_performance (
    record_id VARCHAR(64) UNIQUE,                -- Record. May be absent.
    session_id VARCHAR(64),                      -- Session of the app.
    upload_id VARCHAR(64),                       -- Upload that went on in it.
    user_id VARCHAR(64),                         -- Whose.
    flow VARCHAR(50),                            -- What the user was about; upload counts here.
    dropped_frames BIGINT CHECK (dropped_frames >= 0), -- Frames that came too late. [frames]
    total_frames BIGINT CHECK (total_frames >= 0), -- Frames that were due. [frames]
    anr BOOLEAN,                                 -- The app did not respond.
    crashed BOOLEAN,                             -- The app crashed.
    network_type VARCHAR(20),                    -- Network, else that of the upload.
    region VARCHAR(50),                          -- Region, else that of the upload.
    device VARCHAR(100),                         -- Device model, else that of the upload.
    recorded_at TIMESTAMP                        -- When. [UTC]
);

-- Uploads put aside to be finished later.
-- time: saved_at
CREATE TABLE drafts (
    draft_id VARCHAR(64) PRIMARY KEY,            -- Draft.
    upload_id VARCHAR(64),                       -- Upload that it was saved from.
    user_id VARCHAR(64),                         -- Whose.
    saved_at TIMESTAMP,                          -- When it was first saved. [UTC]
    posted_at TIMESTAMP                          -- When it was posted; NULL while it is not. [UTC]
);

-- Taps and other gestures during uploads.
-- time: occurred_at
CREATE TABLE ui_interactions (
    interaction_id VARCHAR(64) UNIQUE,           -- Interaction. May be absent.
    upload_id VARCHAR(64) NOT NULL,              -- Upload.
    interaction_type VARCHAR(50),                -- tap, click, swipe, scroll, typing.
    occurred_at TIMESTAMP                        -- When. [UTC]
);

-- Small jobs inside of an upload, such as tagging a user.
-- time: started_at
CREATE TABLE upload_subtasks (
    subtask_id VARCHAR(64) UNIQUE,               -- Job. May be absent.
    upload_id VARCHAR(64),                       -- Upload.
    subtask VARCHAR(50) NOT NULL,                -- What: tag_user, tag_location, apply_filter, or other.
    status VARCHAR(20),                          -- How it ended: success, failed, abandoned.
    started_at TIMESTAMP                         -- When. [UTC]
);

-- Answers to the survey after an upload, and to others.
-- time: responded_at
CREATE TABLE survey_responses (
    response_id VARCHAR(64) UNIQUE,              -- Answer. May be absent.
    upload_id VARCHAR(64),                       -- Upload that it is about.
    user_id VARCHAR(64),                         -- Who answers.
    question VARCHAR,                            -- Question, or its name; of how easy it was counts here.
    score DOUBLE,                                -- The answer. [score]
    responded_at TIMESTAMP                       -- When. [UTC]
);

-- Reviews in app stores.
-- time: created_at
CREATE TABLE app_reviews (
    review_id VARCHAR(64) UNIQUE,                -- Review. May be absent.
    text VARCHAR,                                -- What it says.
    topic VARCHAR(50),                           -- What it is about, where that is known.
    device VARCHAR(100),                         -- Device model.
    created_at TIMESTAMP                         -- When. [UTC]
);

-- Tickets of the support.
-- time: created_at
CREATE TABLE support_tickets (
    ticket_id VARCHAR(64) UNIQUE,                -- Ticket. May be absent.
    upload_id VARCHAR(64),                       -- Upload that it is about.
    user_id VARCHAR(64),                         -- Whose.
    category VARCHAR(50),                        -- What it is about, such as upload_problem or compression_artifacts.
    created_at TIMESTAMP                         -- When. [UTC]
);

-- Users whose uploads are left out of metrics: staff and test accounts.
CREATE TABLE users (
    user_id VARCHAR(64) PRIMARY KEY,             -- User.
    is_internal BOOLEAN                          -- Staff or test account. NULL counts as false.
);

-- Error codes of the product's own, where the built-in rules do not tell what they mean.
CREATE TABLE error_codes (
    error_code VARCHAR(100) PRIMARY KEY,         -- Code.
    error_category VARCHAR(50) NOT NULL          -- network_timeout, server_error, media_format_unsupported, out_of_storage, permission_denied or other.
);

-- Cut-offs, where other than the built-in ones: visible_within_seconds (10), how soon an upload must be seen in the feed.
CREATE TABLE settings (
    setting VARCHAR(50) PRIMARY KEY,             -- Name of the cut-off.
    value DOUBLE NOT NULL                        -- Its value.
);
