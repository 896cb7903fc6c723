-- Every completed Carpool ride beside each category of complaint that tickets of such rides name, with how many there were:
-- so that a rate by category is out of all Carpool rides. Where no ticket was ever loaded, it is unknown (NULL).
-- kind: view
-- time: started_at
-- references: ride_id rides
-- column: ride_id = ride
-- column: started_at = start of the ride [UTC]
-- column: category_number = one number a category
-- column: complaint_category = category as stored; NULL for tickets without one
-- column: topic = detour_too_long, co_passenger_discomfort, safety_concern or other
-- column: complaints = tickets [tickets]
WITH tickets AS (
    SELECT ride_id, TRIM(category) AS category, COUNT(*) AS complaints
    FROM support_tickets
    WHERE NOT EXISTS (
        SELECT 1 FROM riders AS u WHERE u.rider_user_key = support_tickets.user_key AND u.is_internal
    )
    GROUP BY ride_id, TRIM(category)
),
named AS (
    SELECT DISTINCT t.category
    FROM tickets AS t
    JOIN rides AS r ON r.ride_id = t.ride_id
    WHERE r.is_carpool
),
-- Without a complaint on any Carpool ride the usual categories stand there with 0.
listed AS (
    SELECT category FROM named
    UNION ALL
    SELECT category
    FROM (VALUES ('detour_too_long'), ('co_passenger_discomfort'), ('safety_concern'), ('other')) AS usual (category)
    WHERE NOT EXISTS (SELECT 1 FROM named)
),
categories AS (
    SELECT
        category,
        ROW_NUMBER() OVER (ORDER BY category) AS category_number,
        CASE
            WHEN LOWER(category) LIKE '%detour%' THEN 'detour_too_long'
            WHEN LOWER(category) LIKE '%passenger%' THEN 'co_passenger_discomfort'
            WHEN LOWER(category) LIKE '%safe%' THEN 'safety_concern'
            ELSE 'other'
        END AS topic
    FROM listed
),
loaded AS (
    SELECT COUNT(*) AS tickets
    FROM support_tickets
)
SELECT
    r.ride_id,
    r.started_at,
    c.category_number,
    c.category AS complaint_category,
    c.topic,
    CASE WHEN n.tickets > 0 THEN COALESCE(t.complaints, 0) END AS complaints
FROM rides AS r
CROSS JOIN categories AS c
CROSS JOIN loaded AS n
LEFT JOIN tickets AS t ON t.ride_id = r.ride_id AND COALESCE(t.category, '') = COALESCE(c.category, '')
WHERE r.is_carpool
