-- Customers who place orders. Only the key is sure to be in a file; internal customers' orders are left out of metrics.
CREATE TABLE dim_customers (
    customer_id BIGINT PRIMARY KEY,              -- Customer.
    customer_since_date DATE,                    -- Day of registration.
    is_internal BOOLEAN                          -- Staff or test account: left out of metrics when true. NULL counts as false.
);

-- Couriers.
CREATE TABLE dim_drivers (
    driver_id BIGINT PRIMARY KEY,                -- Driver.
    driver_external_id VARCHAR(50) UNIQUE NOT NULL, -- Identifier in the driver app.
    driver_since_date DATE NOT NULL,             -- Day of the driver's start.
    driver_status VARCHAR(20) CHECK (driver_status IN ('active', 'inactive', 'suspended')), -- Standing of the account.
    vehicle_type VARCHAR(20) CHECK (vehicle_type IN ('car', 'bike', 'scooter', 'walking')), -- How the driver moves.
    has_insulated_bag BOOLEAN DEFAULT TRUE,      -- Carries an insulated bag.
    max_batch_capacity INT DEFAULT 4,            -- Most deliveries the driver carries at once. [deliveries]
    driver_tier VARCHAR(10) CHECK (driver_tier IN ('new', 'standard', 'premium')), -- Tier of the driver.
    lifetime_deliveries INT DEFAULT 0,           -- Deliveries completed so far. [deliveries]
    avg_delivery_rating DECIMAL(3, 2),           -- Mean rating by customers. [score 1-5]
    on_time_delivery_rate DECIMAL(5, 4),         -- Share of deliveries on time. [share]
    acceptance_rate DECIMAL(5, 4),               -- Share of offers accepted. [share]
    current_lat DECIMAL(10, 8),                  -- Last known latitude. [degrees]
    current_lng DECIMAL(11, 8),                  -- Last known longitude. [degrees]
    last_location_update TIMESTAMP               -- When the position was reported. [UTC]
);

-- Restaurants and their ability to hand over several orders at once.
CREATE TABLE dim_restaurants (
    restaurant_id BIGINT PRIMARY KEY,            -- Restaurant.
    restaurant_external_id VARCHAR(50) UNIQUE NOT NULL, -- Identifier in the restaurant app.
    restaurant_name VARCHAR(200) NOT NULL,       -- Name shown to customers.
    cuisine_type VARCHAR(50),                    -- Kind of restaurant (cuisine or category).
    restaurant_lat DECIMAL(10, 8) NOT NULL,      -- Latitude. [degrees]
    restaurant_lng DECIMAL(11, 8) NOT NULL,      -- Longitude. [degrees]
    phone_number VARCHAR(20),                    -- Telephone.
    avg_prep_time_minutes INT DEFAULT 15,        -- Mean preparation time. [minutes]
    prep_time_std_dev_minutes INT DEFAULT 5,     -- Standard deviation of the preparation time. [minutes]
    can_handle_batch_pickups BOOLEAN DEFAULT TRUE, -- Can hand over several orders to one driver.
    max_concurrent_orders INT DEFAULT 10,        -- Most orders in preparation at once. [orders]
    on_time_prep_rate DECIMAL(5, 4),             -- Share of orders ready on time. [share]
    avg_rating DECIMAL(3, 2),                    -- Mean rating by customers. [score 1-5]
    is_partner_restaurant BOOLEAN DEFAULT FALSE  -- Has a partner contract.
);

-- One row per order placed by a customer at one restaurant.
-- partition: date_partition
-- time: order_timestamp
CREATE TABLE fact_orders (
    order_id BIGINT PRIMARY KEY,                 -- Order.
    customer_id BIGINT NOT NULL REFERENCES dim_customers (customer_id), -- Who placed it.
    restaurant_id BIGINT NOT NULL REFERENCES dim_restaurants (restaurant_id), -- Who cooks it.
    order_timestamp TIMESTAMP NOT NULL,          -- When it was placed. [UTC]
    order_total_cents INT NOT NULL,              -- Price of the goods. [cents]
    item_count INT NOT NULL,                     -- Items ordered. [items]
    special_instructions TEXT,                   -- Wishes to the restaurant.
    order_status VARCHAR(20) CHECK (order_status IN ('placed', 'confirmed', 'preparing', 'ready', 'picked_up', 'delivered', 'cancelled')), -- Where the order stands.
    estimated_prep_time_minutes INT,             -- Preparation time that the restaurant expects. [minutes]
    has_hot_items BOOLEAN DEFAULT TRUE,          -- Contains hot food.
    has_cold_items BOOLEAN DEFAULT FALSE,        -- Contains cold food.
    has_alcohol BOOLEAN DEFAULT FALSE,           -- Contains alcohol.
    requires_id_check BOOLEAN DEFAULT FALSE,     -- The driver has to check an identity card.
    delivery_fee_cents INT,                      -- Fee that the customer pays for delivery. [cents]
    tip_amount_cents INT,                        -- Tip for the driver. [cents]
    delivery_address_lat DECIMAL(10, 8),         -- Latitude of the drop-off. [degrees]
    delivery_address_lng DECIMAL(11, 8),         -- Longitude of the drop-off. [degrees]
    delivery_instructions TEXT,                  -- Wishes to the driver.
    date_partition DATE NOT NULL                 -- Day of order_timestamp. [day]
);

-- One row per attempt to deliver an order: at most one that is not cancelled per order, and none for an order that never got so far.
-- A delivery needs no batch.
-- partition: date_partition
-- time: delivery_created_at
CREATE TABLE fact_deliveries (
    delivery_id BIGINT PRIMARY KEY,              -- Delivery.
    order_id BIGINT NOT NULL REFERENCES fact_orders (order_id), -- The order it delivers.
    driver_id BIGINT REFERENCES dim_drivers (driver_id), -- Who delivers; NULL until assigned.
    delivery_created_at TIMESTAMP NOT NULL,      -- When the delivery came to be: the start of actual_delivery_time_minutes. [UTC]
    assigned_to_driver_at TIMESTAMP,             -- When a driver took it. [UTC]
    driver_arrived_at_restaurant_at TIMESTAMP,   -- When the driver stood at the restaurant. [UTC]
    picked_up_at TIMESTAMP,                      -- When the driver had the food. [UTC]
    delivered_at TIMESTAMP,                      -- When the customer had the food. [UTC]
    estimated_delivery_time_minutes INT,         -- Minutes promised to the customer, from delivery_created_at. [minutes]
    actual_delivery_time_minutes INT,            -- Minutes taken, from delivery_created_at to delivered_at; policy delivery_minutes_match_timestamps reports what deviates. [minutes]
    delivery_distance_miles DECIMAL(6, 2),       -- Miles driven for this delivery alone. [miles]
    driver_to_restaurant_distance_miles DECIMAL(6, 2), -- Miles from the driver's start to the restaurant. [miles]
    restaurant_to_customer_distance_miles DECIMAL(6, 2), -- Miles from the restaurant to the customer. [miles]
    delivery_status VARCHAR(30) CHECK (delivery_status IN ('created', 'assigned', 'en_route_to_restaurant', 'at_restaurant', 'picked_up', 'en_route_to_customer', 'delivered', 'cancelled')), -- Where the delivery stands.
    cancellation_reason VARCHAR(50),             -- Why it was cancelled; 'long_eta' when the customer would not wait.
    date_partition DATE NOT NULL                 -- Day of delivery_created_at. [day]
);

-- Batching algorithms: a strategy and version each, with the limits it works under.
-- time: deployed_at
CREATE TABLE dim_batching_algorithms (
    batching_algorithm_key BIGINT PRIMARY KEY,   -- Algorithm and version.
    algorithm_name VARCHAR(100) NOT NULL,        -- Strategy; 'no_batching' is the holdout.
    algorithm_version VARCHAR(20) NOT NULL,      -- Version of the strategy.
    algorithm_description TEXT,                  -- What it does.
    optimization_objectives JSON,                -- List of objectives, such as ["minimize_drive_time"].
    max_batch_size INT DEFAULT 4,                -- Most deliveries in a batch. [deliveries]
    max_total_distance_miles DECIMAL(6, 2) DEFAULT 10.0, -- Longest route. [miles]
    max_total_time_minutes INT DEFAULT 60,       -- Longest batch. [minutes]
    max_prep_time_variance_minutes INT DEFAULT 15, -- Largest spread of preparation times in a batch. [minutes]
    max_restaurants_per_batch INT DEFAULT 3,     -- Most restaurants in a batch. [restaurants]
    allow_cross_zone_batching BOOLEAN DEFAULT FALSE, -- May join drop-offs of several zones.
    deployed_at TIMESTAMP NOT NULL,              -- When it went live. [UTC]
    deprecated_at TIMESTAMP,                     -- When it left; NULL while live. [UTC]
    traffic_percentage DECIMAL(5, 4) CHECK (traffic_percentage BETWEEN 0 AND 1), -- Fraction of traffic, 0 to 1 in spite of its name; fractions live at one moment sum to at most 1. [share]
    UNIQUE (algorithm_name, algorithm_version)
);

-- One row per batch: deliveries that one driver carries on one route.
-- partition: date_partition
-- time: batch_created_at
CREATE TABLE fact_delivery_batches (
    batch_id BIGINT PRIMARY KEY,                 -- Batch.
    driver_id BIGINT REFERENCES dim_drivers (driver_id), -- Who drives; NULL until batch_assigned_at.
    batching_algorithm_key BIGINT NOT NULL REFERENCES dim_batching_algorithms (batching_algorithm_key), -- What formed it.
    batch_created_at TIMESTAMP NOT NULL,         -- When it was formed. [UTC]
    batch_assigned_at TIMESTAMP,                 -- When a driver took it. [UTC]
    batch_started_at TIMESTAMP,                  -- When the driver began the first pickup. [UTC]
    batch_completed_at TIMESTAMP,                -- When the last delivery was done. [UTC]
    total_deliveries INT NOT NULL,               -- Deliveries in it; equals its rows in fact_batch_deliveries. [deliveries]
    total_orders INT NOT NULL,                   -- Orders in it; equals their distinct orders. [orders]
    planned_total_distance_miles DECIMAL(8, 2),  -- Route as planned. [miles]
    actual_total_distance_miles DECIMAL(8, 2),   -- Route as driven. [miles]
    planned_total_time_minutes INT,              -- Time as planned. [minutes]
    actual_total_time_minutes INT,               -- Time as taken. [minutes]
    total_delivery_fees_cents BIGINT,            -- Delivery fees of its orders. [cents]
    total_tips_cents BIGINT,                     -- Tips of its orders. [cents]
    batch_efficiency_score DECIMAL(5, 4),        -- Score by the algorithm's own definition: compare versions of one algorithm, not algorithms. [score]
    batch_status VARCHAR(20) CHECK (batch_status IN ('created', 'assigned', 'in_progress', 'completed', 'cancelled')), -- Where the batch stands.
    cancellation_reason VARCHAR(100),            -- Why it was cancelled.
    date_partition DATE NOT NULL,                -- Day of batch_created_at. [day]
    CHECK (driver_id IS NOT NULL OR batch_assigned_at IS NULL)
);

-- Deliveries of batches with their places in the route: the only link between deliveries and batches.
-- Rows of cancelled batches stay as history; a delivery has at most one batch that is not cancelled.
-- partition: date_partition
-- time: date_partition
CREATE TABLE fact_batch_deliveries (
    batch_delivery_id BIGINT PRIMARY KEY,        -- Place of a delivery in a batch.
    batch_id BIGINT NOT NULL REFERENCES fact_delivery_batches (batch_id), -- The batch.
    delivery_id BIGINT NOT NULL REFERENCES fact_deliveries (delivery_id), -- The delivery.
    pickup_sequence INT NOT NULL,                -- Place of its restaurant among the pickups; equal where one visit picks up several. [rank]
    dropoff_sequence INT NOT NULL,               -- Place of its customer among the drop-offs. [rank]
    estimated_pickup_time TIMESTAMP,             -- Pickup as planned. [UTC]
    actual_pickup_time TIMESTAMP,                -- Pickup as it happened. [UTC]
    estimated_dropoff_time TIMESTAMP,            -- Drop-off as planned. [UTC]
    actual_dropoff_time TIMESTAMP,               -- Drop-off as it happened. [UTC]
    pickup_wait_time_minutes INT,                -- Wait at the restaurant. [minutes]
    delivery_delay_minutes INT,                  -- Minutes later than the estimate for the delivery alone. [minutes]
    estimated_food_temp_at_delivery DECIMAL(5, 2), -- Food temperature at the door; the unit is the source's, use one throughout. [degrees]
    customer_satisfaction_score INT CHECK (customer_satisfaction_score BETWEEN 1 AND 5), -- Rating by the customer, where given. [score 1-5]
    date_partition DATE,                         -- Day of the batch; may be absent. [day]
    UNIQUE (batch_id, delivery_id),
    UNIQUE (batch_id, dropoff_sequence)
);

-- Stops of a batch's route. A stop that serves several deliveries has a row for each and counts once per (batch_id, sequence_order).
-- partition: date_partition
-- time: date_partition
CREATE TABLE fact_batch_waypoints (
    waypoint_id BIGINT PRIMARY KEY,              -- Stop, per delivery served.
    batch_id BIGINT NOT NULL REFERENCES fact_delivery_batches (batch_id), -- The batch.
    delivery_id BIGINT REFERENCES fact_deliveries (delivery_id), -- The delivery served; NULL for the driver's start and end.
    waypoint_type VARCHAR(20) CHECK (waypoint_type IN ('driver_start', 'restaurant', 'customer', 'driver_end')), -- Kind of stop.
    sequence_order INT NOT NULL,                 -- Place in the route. [rank]
    waypoint_lat DECIMAL(10, 8) NOT NULL,        -- Latitude. [degrees]
    waypoint_lng DECIMAL(11, 8) NOT NULL,        -- Longitude. [degrees]
    estimated_arrival_time TIMESTAMP,            -- Arrival as planned. [UTC]
    actual_arrival_time TIMESTAMP,               -- Arrival as it happened. [UTC]
    estimated_departure_time TIMESTAMP,          -- Departure as planned. [UTC]
    actual_departure_time TIMESTAMP,             -- Departure as it happened. [UTC]
    distance_to_next_miles DECIMAL(6, 2),        -- Miles driven (not planned) to the next stop. [miles]
    drive_time_to_next_minutes INT,              -- Minutes driven (not planned) to the next stop. [minutes]
    date_partition DATE                          -- Day of the batch; may be absent. [day]
);

-- Log of batch states, for live operations.
-- partition: date_partition
-- time: timestamp
CREATE TABLE fact_batch_state_changes (
    state_change_id BIGINT PRIMARY KEY,          -- Change.
    batch_id BIGINT NOT NULL REFERENCES fact_delivery_batches (batch_id), -- The batch.
    timestamp TIMESTAMP NOT NULL,                -- When it changed. [UTC]
    previous_state VARCHAR(20),                  -- State before.
    new_state VARCHAR(20) NOT NULL,              -- State after.
    change_trigger VARCHAR(50) CHECK (change_trigger IN ('driver_action', 'system_timeout', 'customer_request', 'restaurant_delay')), -- What caused it.
    driver_lat DECIMAL(10, 8),                   -- Latitude of the driver then. [degrees]
    driver_lng DECIMAL(11, 8),                   -- Longitude of the driver then. [degrees]
    affected_delivery_id BIGINT REFERENCES fact_deliveries (delivery_id), -- The delivery it concerns, if one.
    date_partition DATE                          -- Day of timestamp; may be absent. [day]
);

-- Events of one delivery within its batch (arrived, handed over, photographed ...).
-- partition: date_partition
-- time: event_timestamp
CREATE TABLE fact_batch_delivery_events (
    event_id BIGINT UNIQUE,                      -- Event.
    batch_delivery_id BIGINT NOT NULL REFERENCES fact_batch_deliveries (batch_delivery_id), -- Place in the batch it belongs to.
    event_type VARCHAR(50),                      -- What happened.
    event_timestamp TIMESTAMP,                   -- When. [UTC]
    date_partition DATE                          -- Day of event_timestamp; may be absent. [day]
);

-- Problems reported by customers (about food and orders) or restaurants (about drivers waiting and congestion).
-- partition: date_partition
-- time: created_at
CREATE TABLE support_tickets (
    ticket_id BIGINT UNIQUE,                     -- Ticket.
    order_id BIGINT REFERENCES fact_orders (order_id), -- The order it is about.
    batch_id BIGINT REFERENCES fact_delivery_batches (batch_id), -- The batch it is about, if the restaurant names one.
    restaurant_id BIGINT REFERENCES dim_restaurants (restaurant_id), -- The restaurant that reports, or that the problem is about.
    customer_id BIGINT REFERENCES dim_customers (customer_id), -- The customer who reports, if one.
    issue_type VARCHAR(100),                     -- Problem: cold_food, poor_condition, wrong_item, missing_item, missing_order, drivers_waiting, congestion or other.
    created_at TIMESTAMP,                        -- When it was reported; the order's time where absent. [UTC]
    date_partition DATE                          -- Day of created_at; may be absent. [day]
);

-- Money asked back by customers.
-- partition: date_partition
-- time: requested_at
CREATE TABLE refund_requests (
    refund_request_id BIGINT UNIQUE,             -- Request.
    order_id BIGINT REFERENCES fact_orders (order_id), -- The order it is about.
    reason VARCHAR(200),                         -- Reason, in the words of support_tickets.issue_type or in free words.
    amount_cents INT,                            -- Amount asked. [cents]
    requested_at TIMESTAMP,                      -- When; the order's time where absent. [UTC]
    date_partition DATE                          -- Day of requested_at; may be absent. [day]
);

-- Answers to surveys, one row per question. Who answered is the id that is filled: customer, else driver, else restaurant.
-- partition: date_partition
-- time: responded_at
CREATE TABLE survey_responses (
    response_id BIGINT UNIQUE,                   -- Answer.
    order_id BIGINT REFERENCES fact_orders (order_id), -- The order it is about, if one.
    customer_id BIGINT REFERENCES dim_customers (customer_id), -- The customer who answers.
    driver_id BIGINT REFERENCES dim_drivers (driver_id), -- The driver who answers.
    restaurant_id BIGINT REFERENCES dim_restaurants (restaurant_id), -- The restaurant that answers.
    question VARCHAR(200),                       -- Topic: food_quality, overall, nps; batching_experience, instruction_clarity, pay_fairness, multi_order_ease; batched_pickup.
    score DECIMAL(5, 2),                         -- Answer. [score 1-5]
    nps_score INT CHECK (nps_score BETWEEN 0 AND 10), -- Likelihood to recommend. [score 0-10]
    responded_at TIMESTAMP,                      -- When; the order's time where absent. [UTC]
    date_partition DATE                          -- Day of responded_at; may be absent. [day]
);

-- What drivers earned, one row per payment.
-- partition: date_partition
-- time: earned_at
CREATE TABLE driver_earnings (
    earning_id BIGINT UNIQUE,                    -- Payment.
    driver_id BIGINT REFERENCES dim_drivers (driver_id), -- Who earned.
    delivery_id BIGINT REFERENCES fact_deliveries (delivery_id), -- The delivery it pays, if one.
    batch_id BIGINT REFERENCES fact_delivery_batches (batch_id), -- The batch it pays, if one.
    amount_cents BIGINT NOT NULL,                -- Amount. [cents]
    earned_at TIMESTAMP,                         -- When; the end of the delivery or batch where absent. [UTC]
    date_partition DATE                          -- Day of earned_at; may be absent. [day]
);

-- Times when drivers were online.
-- partition: date_partition
-- time: online_at
CREATE TABLE driver_online_sessions (
    session_id BIGINT UNIQUE,                    -- Session.
    driver_id BIGINT NOT NULL REFERENCES dim_drivers (driver_id), -- Who was online.
    online_at TIMESTAMP NOT NULL,                -- From. [UTC]
    offline_at TIMESTAMP,                        -- Until; NULL while online: such a session counts once it has ended. [UTC]
    date_partition DATE,                         -- Day of online_at; may be absent. [day]
    CHECK (offline_at >= online_at)
);

-- Batches offered to drivers, one row per offer.
-- partition: date_partition
-- time: offered_at
CREATE TABLE batch_offers (
    offer_id BIGINT PRIMARY KEY,                 -- Offer.
    batch_id BIGINT REFERENCES fact_delivery_batches (batch_id), -- The batch offered.
    driver_id BIGINT REFERENCES dim_drivers (driver_id), -- To whom.
    offered_at TIMESTAMP,                        -- When; the batch's creation where absent. [UTC]
    decision VARCHAR(20),                        -- accepted, declined, expired; NULL while open.
    decided_at TIMESTAMP,                        -- When the driver decided. [UTC]
    date_partition DATE                          -- Day of offered_at; may be absent. [day]
);

-- Logistics cost of orders, one row per cost item.
-- partition: date_partition
-- time: incurred_at
CREATE TABLE delivery_costs (
    cost_id BIGINT UNIQUE,                       -- Cost item.
    order_id BIGINT REFERENCES fact_orders (order_id), -- The order it was spent on.
    cost_type VARCHAR(50),                       -- Kind of cost (driver pay, incentive, support ...).
    amount_cents BIGINT NOT NULL,                -- Amount. [cents]
    incurred_at TIMESTAMP,                       -- When; the order's time where absent. [UTC]
    date_partition DATE                          -- Day of incurred_at; may be absent. [day]
);

-- Runs of batching algorithms.
-- partition: date_partition
-- time: started_at
CREATE TABLE batching_algorithm_runs (
    run_id BIGINT UNIQUE,                        -- Run.
    batching_algorithm_key BIGINT REFERENCES dim_batching_algorithms (batching_algorithm_key), -- The algorithm.
    started_at TIMESTAMP NOT NULL,               -- Start. [UTC]
    finished_at TIMESTAMP,                       -- End; NULL while running. [UTC]
    orders_considered INT,                       -- Open orders it had to place: the load. [orders]
    date_partition DATE,                         -- Day of started_at; may be absent. [day]
    CHECK (finished_at >= started_at)
);

-- Which unit saw which variant of an experiment.
-- time: assigned_at
CREATE TABLE experiment_assignments (
    assignment_id BIGINT UNIQUE,                 -- Assignment.
    experiment VARCHAR(100),                     -- Experiment; NULL means batching_algorithm_ab_test.
    unit_type VARCHAR(20),                       -- What unit_id identifies: order, customer, driver or restaurant; NULL means order.
    unit_id VARCHAR(50) NOT NULL,                -- The unit, as text.
    variant VARCHAR(50) NOT NULL,                -- Arm: 'control' is the control, any other name a treatment.
    assigned_at TIMESTAMP,                       -- When. [UTC]
    block VARCHAR(100)                           -- What was assigned as a whole with it, such as an area's window; NULL means the unit alone.
);

-- Cut-offs of segments, where other than the built-in ones: frequent_batched_orders (2) and frequent_batch_driver_share (0.5).
CREATE TABLE settings (
    setting VARCHAR(50) PRIMARY KEY,             -- Name of the cut-off.
    value DOUBLE NOT NULL                        -- Its value.
);

-- Reduced orders of the demonstration script: exact column order of its rows.
CREATE TABLE fact_orders_setup (
    order_id BIGINT PRIMARY KEY,                 -- Order.
    customer_id BIGINT NOT NULL,                 -- Who placed it.
    restaurant_id BIGINT NOT NULL,               -- Who cooks it.
    order_timestamp TIMESTAMP NOT NULL,          -- When it was placed. [UTC]
    order_total_cents INT NOT NULL,              -- Price of the goods. [cents]
    delivery_address_lat DECIMAL(10, 8),         -- Latitude of the drop-off. [degrees]
    delivery_address_lng DECIMAL(11, 8),         -- Longitude of the drop-off. [degrees]
    estimated_prep_time_minutes INT,             -- Preparation time expected. [minutes]
    has_hot_items BOOLEAN DEFAULT TRUE,          -- Contains hot food.
    date_partition DATE NOT NULL                 -- Day of order_timestamp. [day]
);

-- Reduced deliveries of the demonstration script. Its stored minutes match no pair of its timestamps, on purpose.
CREATE TABLE fact_deliveries_setup (
    delivery_id BIGINT PRIMARY KEY,              -- Delivery.
    order_id BIGINT NOT NULL,                    -- The order it delivers.
    driver_id BIGINT,                            -- Who delivers.
    delivery_created_at TIMESTAMP NOT NULL,      -- When it came to be. [UTC]
    assigned_to_driver_at TIMESTAMP,             -- When a driver took it. [UTC]
    picked_up_at TIMESTAMP,                      -- When the driver had the food. [UTC]
    delivered_at TIMESTAMP,                      -- When the customer had the food. [UTC]
    estimated_delivery_time_minutes INT,         -- Minutes promised. [minutes]
    actual_delivery_time_minutes INT,            -- Minutes taken, as stored. [minutes]
    delivery_status VARCHAR(20),                 -- Where the delivery stands.
    date_partition DATE NOT NULL                 -- Day of delivery_created_at. [day]
);

-- Reduced drivers of the demonstration script.
CREATE TABLE dim_drivers_setup (
    driver_id BIGINT PRIMARY KEY,                -- Driver.
    driver_external_id VARCHAR(50) UNIQUE NOT NULL, -- Identifier in the driver app.
    vehicle_type VARCHAR(20),                    -- How the driver moves.
    max_batch_capacity INT DEFAULT 4,            -- Most deliveries carried at once. [deliveries]
    current_lat DECIMAL(10, 8),                  -- Last known latitude. [degrees]
    current_lng DECIMAL(11, 8)                   -- Last known longitude. [degrees]
);

-- Reduced restaurants of the demonstration script.
CREATE TABLE dim_restaurants_setup (
    restaurant_id BIGINT PRIMARY KEY,            -- Restaurant.
    restaurant_name VARCHAR(200) NOT NULL,       -- Name.
    restaurant_lat DECIMAL(10, 8) NOT NULL,      -- Latitude. [degrees]
    restaurant_lng DECIMAL(11, 8) NOT NULL,      -- Longitude. [degrees]
    avg_prep_time_minutes INT DEFAULT 15,        -- Mean preparation time. [minutes]
    can_handle_batch_pickups BOOLEAN DEFAULT TRUE -- Can hand over several orders to one driver.
);

-- Reduced algorithms of the demonstration script. Shares of those live on 2024-01-15 sum to 0.70; ml_optimized follows on 2024-02-01.
CREATE TABLE dim_batching_algorithms_setup (
    batching_algorithm_key BIGINT PRIMARY KEY,   -- Algorithm and version.
    algorithm_name VARCHAR(100) NOT NULL,        -- Strategy.
    algorithm_version VARCHAR(20) NOT NULL,      -- Version.
    max_batch_size INT DEFAULT 4,                -- Most deliveries in a batch. [deliveries]
    max_total_distance_miles DECIMAL(6, 2) DEFAULT 10.0, -- Longest route. [miles]
    deployed_at TIMESTAMP NOT NULL,              -- When it went live. [UTC]
    traffic_percentage DECIMAL(5, 4)             -- Fraction of traffic, 0 to 1. [share]
);

-- Reduced batches of the demonstration script: one batch of deliveries 2001 and 2002.
CREATE TABLE fact_delivery_batches_setup (
    batch_id BIGINT PRIMARY KEY,                 -- Batch.
    driver_id BIGINT NOT NULL,                   -- Who drives.
    batching_algorithm_key BIGINT NOT NULL,      -- What formed it.
    batch_created_at TIMESTAMP NOT NULL,         -- When it was formed. [UTC]
    batch_started_at TIMESTAMP,                  -- When the driver began the first pickup. [UTC]
    batch_completed_at TIMESTAMP,                -- When the last delivery was done. [UTC]
    total_deliveries INT NOT NULL,               -- Deliveries in it. [deliveries]
    planned_total_distance_miles DECIMAL(8, 2),  -- Route as planned. [miles]
    actual_total_distance_miles DECIMAL(8, 2),   -- Route as driven. [miles]
    batch_efficiency_score DECIMAL(5, 4),        -- Score by the algorithm's own definition. [score]
    batch_status VARCHAR(20),                    -- Where the batch stands.
    date_partition DATE NOT NULL                 -- Day of batch_created_at. [day]
);

-- Reduced places in batches of the demonstration script; both rows are one visit to one restaurant.
CREATE TABLE fact_batch_deliveries_setup (
    batch_delivery_id BIGINT PRIMARY KEY,        -- Place of a delivery in a batch.
    batch_id BIGINT NOT NULL,                    -- The batch.
    delivery_id BIGINT NOT NULL,                 -- The delivery.
    pickup_sequence INT NOT NULL,                -- Place among the pickups. [rank]
    dropoff_sequence INT NOT NULL,               -- Place among the drop-offs. [rank]
    estimated_pickup_time TIMESTAMP,             -- Pickup as planned. [UTC]
    actual_pickup_time TIMESTAMP,                -- Pickup as it happened. [UTC]
    estimated_dropoff_time TIMESTAMP,            -- Drop-off as planned. [UTC]
    actual_dropoff_time TIMESTAMP,               -- Drop-off as it happened. [UTC]
    pickup_wait_time_minutes INT,                -- Wait at the restaurant. [minutes]
    delivery_delay_minutes INT,                  -- Minutes later than the estimate for the delivery alone. [minutes]
    UNIQUE (batch_id, delivery_id)
);

-- Reduced stops of the demonstration script, which brings no rows for it.
CREATE TABLE fact_batch_waypoints_setup (
    waypoint_id BIGINT PRIMARY KEY,              -- Stop.
    batch_id BIGINT NOT NULL,                    -- The batch.
    delivery_id BIGINT,                          -- The delivery served.
    waypoint_type VARCHAR(20),                   -- Kind of stop.
    sequence_order INT NOT NULL,                 -- Place in the route. [rank]
    waypoint_lat DECIMAL(10, 8) NOT NULL,        -- Latitude. [degrees]
    waypoint_lng DECIMAL(11, 8) NOT NULL,        -- Longitude. [degrees]
    estimated_arrival_time TIMESTAMP,            -- Arrival as planned. [UTC]
    actual_arrival_time TIMESTAMP,               -- Arrival as it happened. [UTC]
    distance_to_next_miles DECIMAL(6, 2)         -- Miles to the next stop. [miles]
);
