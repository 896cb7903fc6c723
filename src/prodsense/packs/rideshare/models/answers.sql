-- Survey answers about completed rides, at the moment and place of the ride: of riders, at the pickup of their journey in it.
-- kind: view
-- time: rode_at
-- references: ride_id rides, rider_user_key riders
-- column: ride_id = ride
-- column: rider_user_key = the rider who answers; NULL for drivers
-- column: respondent = rider or driver
-- column: kind = satisfaction, nps or other
-- column: topic = overall, price, travel_time, co_passenger, earnings, multi_stop_ease, instruction_clarity or other
-- column: score = the answer [score]
-- column: ride_type = Carpool, Regular or other
-- column: is_carpool = about a Carpool ride
-- column: rode_at = pickup of the rider, else start of the ride [UTC]
-- column: city = city of the pickup
-- column: zone = zone of the pickup
-- column: route_corridor = zones of pickup and dropoff
-- column: trip_purpose = purpose of the rider's trip
-- column: rider_age_days = days since the rider's account was made [days]
WITH worded AS (
    SELECT
        s.ride_id,
        s.user_key,
        LOWER(TRIM(s.role)) AS role,
        LOWER(TRIM(s.survey_type)) AS survey_type,
        LOWER(TRIM(s.question_code)) AS question,
        s.score
    FROM survey_responses AS s
    WHERE NOT EXISTS (SELECT 1 FROM riders AS u WHERE u.rider_user_key = s.user_key AND u.is_internal)
),
meant AS (
    SELECT
        w.*,
        r.ride_type,
        r.is_carpool,
        r.started_at,
        r.city AS ride_city,
        r.zone AS ride_zone,
        r.route_corridor AS ride_corridor,
        COALESCE(w.role, CASE WHEN w.user_key = r.driver_user_key THEN 'driver' ELSE 'rider' END) AS respondent
    FROM worded AS w
    JOIN rides AS r ON r.ride_id = w.ride_id
),
own AS (
    SELECT *
    FROM journeys
    WHERE rider_user_key IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY ride_id, rider_user_key ORDER BY picked_up_at, ride_segment_id) = 1
)
SELECT
    m.ride_id,
    CASE WHEN m.respondent = 'rider' THEN m.user_key END AS rider_user_key,
    m.respondent,
    CASE WHEN m.survey_type LIKE '%nps%' THEN 'nps' WHEN m.survey_type IN ('csat', 'dsat') THEN 'satisfaction'
        ELSE 'other' END AS kind,
    CASE
        WHEN m.question IS NULL OR m.question = '' OR m.question LIKE '%overall%' OR m.question LIKE '%sat' THEN 'overall'
        WHEN m.question LIKE '%price%' OR m.question LIKE '%fare%' THEN 'price'
        WHEN m.question LIKE '%passenger%' THEN 'co_passenger'
        WHEN m.question LIKE '%earning%' OR m.question LIKE '%pay%' THEN 'earnings'
        WHEN m.question LIKE '%instruction%' OR m.question LIKE '%clarity%' THEN 'instruction_clarity'
        WHEN m.question LIKE '%stop%' OR m.question LIKE '%ease%' THEN 'multi_stop_ease'
        WHEN m.question LIKE '%time%' THEN 'travel_time'
        ELSE 'other'
    END AS topic,
    m.score,
    m.ride_type,
    m.is_carpool,
    COALESCE(j.picked_up_at, m.started_at) AS rode_at,
    CASE WHEN j.ride_id IS NULL THEN m.ride_city ELSE j.city END AS city,
    CASE WHEN j.ride_id IS NULL THEN m.ride_zone ELSE j.zone END AS zone,
    CASE WHEN j.ride_id IS NULL THEN m.ride_corridor ELSE j.route_corridor END AS route_corridor,
    j.trip_purpose,
    j.rider_age_days
FROM meant AS m
LEFT JOIN own AS j ON m.respondent = 'rider' AND j.ride_id = m.ride_id AND j.rider_user_key = m.user_key
