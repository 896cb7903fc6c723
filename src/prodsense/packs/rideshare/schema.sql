-- Riders and drivers in one dimension. Only the key is sure to be in a file; someone who is both has one row. Internal and
-- test users are left out of metrics.
CREATE TABLE dim_users (
    user_key BIGINT PRIMARY KEY,                 -- Person.
    user_type VARCHAR(30),                       -- rider, driver, both; internal and test accounts may say so here.
    created_at TIMESTAMP,                        -- When the account was made. [UTC]
    age_band VARCHAR(20),                        -- Age band, such as 25-34.
    gender VARCHAR(20),                          -- Gender as stated.
    price_sensitivity_segment VARCHAR(40),       -- Price sensitivity: high (or price_sensitive), medium, low, or the team's own words.
    driver_rating DOUBLE,                        -- Mean rating of a driver by riders. [score 1-5]
    carpool_opt_in_timestamp TIMESTAMP,          -- When the driver first opted in to Carpool; NULL if never. [UTC]
    is_internal BOOLEAN,                         -- Staff account: left out of metrics when true. NULL counts as false.
    is_test BOOLEAN                              -- Test account: left out of metrics when true. NULL counts as false.
);

-- Places. One table in four roles: start and end of a ride, pickup and dropoff of a rider.
CREATE TABLE dim_location (
    location_key BIGINT PRIMARY KEY,             -- Place.
    city VARCHAR(100),                           -- City.
    zone VARCHAR(100),                           -- Zone or neighbourhood.
    latitude DOUBLE,                             -- Latitude. [degrees]
    longitude DOUBLE                             -- Longitude. [degrees]
);

-- Types of ride: Carpool and Regular, or further ones.
CREATE TABLE dim_ride_type (
    ride_type_key BIGINT PRIMARY KEY,            -- Ride type.
    ride_type_name VARCHAR(50)                   -- Carpool (riders may share the car), Regular (the standard ride), or other.
);

-- Vehicles.
CREATE TABLE dim_vehicle (
    vehicle_key BIGINT PRIMARY KEY,              -- Vehicle.
    vehicle_type VARCHAR(50),                    -- Vehicle type, such as sedan, suv or electric.
    emission_factor DOUBLE,                      -- What a mile driven emits, in the unit of your report (kg of CO2e, say). [per mile]
    seats INT                                    -- Seats for riders. [seats]
);

-- Days. Periods and weekdays are taken from the moments of rides; a team's own calendar is kept beside.
CREATE TABLE dim_date (
    date_key BIGINT PRIMARY KEY,                 -- Day, such as 20240131.
    full_date DATE,                              -- The day. [day]
    day_of_week VARCHAR(20),                     -- Weekday name.
    is_weekend BOOLEAN                           -- Saturday or Sunday.
);

-- Times of day.
CREATE TABLE dim_time (
    time_key BIGINT PRIMARY KEY,                 -- Time of day, such as 1830.
    hour INT,                                    -- Hour, 0 to 23. [hour]
    minute INT                                   -- Minute, 0 to 59. [minute]
);

-- One row per driver trip, whatever became of it; it is completed when it has an end. A completed Carpool ride has one
-- segment or more (policy completed_rides_have_segments).
-- partition: ride_date
-- time: start_timestamp
CREATE TABLE fact_rides (
    ride_id BIGINT PRIMARY KEY,                  -- Ride: one driver trip.
    driver_user_key BIGINT REFERENCES dim_users (user_key), -- Who drives.
    ride_type_key BIGINT REFERENCES dim_ride_type (ride_type_key), -- Carpool, Regular or other.
    vehicle_key BIGINT REFERENCES dim_vehicle (vehicle_key), -- The vehicle.
    start_location_key BIGINT REFERENCES dim_location (location_key), -- Where it starts.
    end_location_key BIGINT REFERENCES dim_location (location_key), -- Where it ends.
    start_timestamp TIMESTAMP,                   -- Start. [UTC]
    end_timestamp TIMESTAMP,                     -- End; NULL while under way or when it never took place. [UTC]
    total_fare DECIMAL(14, 4),                   -- Gross fares of all riders. [currency]
    total_distance DECIMAL(14, 4),               -- Miles that the vehicle drove, once however many ride along. [miles]
    total_duration INT,                          -- Driving time. [seconds]
    platform_revenue DECIMAL(14, 4),             -- What the platform keeps of it. [currency]
    platform_cost DECIMAL(14, 4),                -- Variable cost of the platform. [currency]
    date_key BIGINT REFERENCES dim_date (date_key), -- Day of start_timestamp.
    time_key BIGINT REFERENCES dim_time (time_key), -- Time of day of start_timestamp.
    ride_date DATE,                              -- Day of start_timestamp; may be absent. [day]
    CHECK (end_timestamp >= start_timestamp)
);

-- One row per journey of a rider inside a ride. A fact at rider-journey grain, never to be summed with the totals of its ride.
-- partition: segment_date
-- time: segment_pickup_timestamp
CREATE TABLE fact_ride_segments (
    ride_segment_id BIGINT PRIMARY KEY,          -- Journey of one rider (or one booking) inside a ride.
    ride_id BIGINT REFERENCES fact_rides (ride_id), -- The ride.
    rider_user_key BIGINT REFERENCES dim_users (user_key), -- Who rides.
    segment_pickup_timestamp TIMESTAMP,          -- Pickup. [UTC]
    segment_dropoff_timestamp TIMESTAMP,         -- Dropoff. [UTC]
    segment_pickup_location_key BIGINT REFERENCES dim_location (location_key), -- Where the rider gets in.
    segment_dropoff_location_key BIGINT REFERENCES dim_location (location_key), -- Where the rider gets out.
    segment_fare DECIMAL(14, 4),                 -- Fare of this rider. [currency]
    segment_distance DECIMAL(14, 4),             -- Miles this rider was carried. [miles]
    pickup_sequence_in_ride INT,                 -- Place among the pickups of the ride. [rank]
    dropoff_sequence_in_ride INT,                -- Place among the dropoffs of the ride. [rank]
    direct_duration_estimate DOUBLE,             -- Time of the same journey alone. [seconds]
    direct_distance_estimate DECIMAL(14, 4),     -- Miles of the same journey alone. [miles]
    party_size INT,                              -- People who travel on this booking; NULL counts as one. [people]
    request_id BIGINT,                           -- The request it came from, if known.
    segment_date DATE                            -- Day of segment_pickup_timestamp; may be absent. [day]
);

-- One row per booking that a rider asks for, matched or not.
-- partition: request_date
-- time: request_timestamp
CREATE TABLE fact_ride_requests (
    request_id BIGINT PRIMARY KEY,               -- Request.
    rider_user_key BIGINT REFERENCES dim_users (user_key), -- Who asks.
    driver_user_key BIGINT REFERENCES dim_users (user_key), -- The driver it was given to, if any; else that of its ride.
    vehicle_key BIGINT REFERENCES dim_vehicle (vehicle_key), -- The vehicle it was given to, if any; else that of its ride.
    requested_ride_type VARCHAR(50),             -- Name (or key) of the ride type asked for.
    request_timestamp TIMESTAMP,                 -- When. [UTC]
    match_status VARCHAR(30),                    -- matched once it was given to a driver (also accepted, completed); anything else is not.
    eta_seconds DOUBLE,                          -- Wait until pickup as promised at the request. [seconds]
    cancelled_by VARCHAR(20),                    -- rider, driver or other; NULL when not cancelled.
    cancelled_timestamp TIMESTAMP,               -- When it was cancelled. [UTC]
    cancel_reason VARCHAR(200),                  -- Reason as stored: poor_eta, long_wait, matching_problem, or free words.
    trip_purpose VARCHAR(50),                    -- commute, leisure or other, as the rider or the team tells.
    pickup_location_key BIGINT REFERENCES dim_location (location_key), -- Where from; else that of its segment.
    dropoff_location_key BIGINT REFERENCES dim_location (location_key), -- Where to; else that of its segment.
    direct_distance_estimate DECIMAL(14, 4),     -- Miles of the trip as asked for. [miles]
    ride_id BIGINT REFERENCES fact_rides (ride_id), -- The ride it led to, if one.
    ride_segment_id BIGINT REFERENCES fact_ride_segments (ride_segment_id), -- The journey it led to, if one.
    request_date DATE                            -- Day of request_timestamp; may be absent. [day]
);

-- Times when drivers were online, for at most a day each.
-- partition: session_date
-- time: session_start_timestamp
CREATE TABLE fact_driver_sessions (
    driver_session_id BIGINT UNIQUE,             -- Session.
    driver_user_key BIGINT REFERENCES dim_users (user_key), -- Who was online.
    session_start_timestamp TIMESTAMP,           -- From. [UTC]
    session_end_timestamp TIMESTAMP,             -- Until; else start and online_seconds. [UTC]
    online_seconds DOUBLE,                       -- Time online, breaks left out; from start to end where absent. [seconds]
    carpool_opt_in BOOLEAN,                      -- Whether the driver took Carpool requests in it.
    location_key BIGINT REFERENCES dim_location (location_key), -- Where it began.
    session_date DATE                            -- Day of session_start_timestamp; may be absent. [day]
);

-- What drivers earned, one row per payment; a ride may have several.
-- partition: earned_date
-- time: earned_at
CREATE TABLE fact_driver_earnings (
    earning_id BIGINT UNIQUE,                    -- Payment.
    driver_user_key BIGINT REFERENCES dim_users (user_key), -- Who earned; the driver of the ride where absent.
    ride_id BIGINT REFERENCES fact_rides (ride_id), -- The ride it pays, if one.
    earnings_amount DECIMAL(14, 4),              -- Amount. [currency]
    earned_at TIMESTAMP,                         -- When; the end of the ride where absent. [UTC]
    earned_date DATE                             -- Day of earned_at; may be absent. [day]
);

-- Complaints of riders.
-- partition: created_date
-- time: created_at
CREATE TABLE support_tickets (
    ticket_id BIGINT UNIQUE,                     -- Ticket.
    ride_id BIGINT REFERENCES fact_rides (ride_id), -- The ride it is about.
    user_key BIGINT REFERENCES dim_users (user_key), -- Who complains.
    category VARCHAR(100),                       -- detour_too_long, co_passenger_discomfort, safety_concern, other, or the team's own words.
    created_at TIMESTAMP,                        -- When. [UTC]
    created_date DATE                            -- Day of created_at; may be absent. [day]
);

-- Answers to surveys about a ride, one row per question.
-- partition: responded_date
-- time: responded_at
CREATE TABLE survey_responses (
    response_id BIGINT UNIQUE,                   -- Answer.
    user_key BIGINT REFERENCES dim_users (user_key), -- Who answers.
    role VARCHAR(20),                            -- rider or driver; where absent, driver if it is the ride's driver.
    survey_type VARCHAR(30),                     -- csat, nps, or dsat (satisfaction of drivers).
    question_code VARCHAR(100),                  -- Topic: price, travel_time, co_passenger; earnings, multi_stop_ease, instruction_clarity; NULL or overall for the whole.
    score DOUBLE,                                -- The answer: 1 to 5, nps 0 to 10. [score]
    ride_id BIGINT REFERENCES fact_rides (ride_id), -- The ride it is about.
    responded_at TIMESTAMP,                      -- When. [UTC]
    responded_date DATE                          -- Day of responded_at; may be absent. [day]
);

-- Users assigned to experiments. Only the user and the arm are sure to be in a file.
CREATE TABLE experiment_assignments (
    experiment VARCHAR(100),                     -- carpool_price_test, or other; NULL means carpool_price_test.
    user_key BIGINT NOT NULL,                    -- The rider.
    variant VARCHAR(50) NOT NULL,                -- Arm: 'control' is the control, any other name a treatment.
    assigned_at TIMESTAMP,                       -- When. [UTC]
    UNIQUE (experiment, user_key)
);
