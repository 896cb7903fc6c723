-- One row per batch, cancelled ones too, with what its rows in fact_batch_deliveries add up to.
-- key: batch_id    partition: date_partition    late: 1 day    spread: 1 day
-- time: batch_created_at
-- references: driver_id dim_drivers, batching_algorithm_key dim_batching_algorithms, lead_delivery_id delivery_facts
-- column: batch_id = the batch
-- column: driver_id = the driver
-- column: batching_algorithm_key = the algorithm that formed the batch
-- column: date_partition = day that its rows belong to [day]
-- column: batch_created_at = when the batch was formed [UTC]
-- column: batch_assigned_at = when a driver took it [UTC]
-- column: batch_started_at = when the driver began the first pickup [UTC]
-- column: batch_completed_at = when the last delivery was done [UTC]
-- column: batch_status = where the batch stands
-- column: is_completed = batch_status is 'completed'
-- column: is_cancelled = batch_status is 'cancelled'
-- column: total_deliveries = deliveries in it; equals its rows in fact_batch_deliveries [deliveries]
-- column: total_orders = orders in it; equals their distinct orders [orders]
-- column: recorded_deliveries = its rows in fact_batch_deliveries; equals total_deliveries in sound data [deliveries]
-- column: recorded_orders = their distinct orders; equals total_orders in sound data [orders]
-- column: lead_delivery_id = the delivery dropped off first; gives a batch its area and restaurant type
-- column: planned_total_distance_miles = route as planned [miles]
-- column: actual_total_distance_miles = route as driven [miles]
-- column: has_plan = planned distance above 0
-- column: planned_total_time_minutes = time as planned [minutes]
-- column: actual_total_time_minutes = time as taken [minutes]
-- column: first_pickup_at = first actual pickup [UTC]
-- column: last_dropoff_at = last actual drop-off [UTC]
-- column: route_minutes = first pickup to last drop-off [minutes]
-- column: duration_minutes = batch_started_at to batch_completed_at [minutes]
-- column: total_delivery_fees_cents = delivery fees of its orders [cents]
-- column: total_tips_cents = tips of its orders [cents]
-- column: revenue_cents = fees plus tips; NULL when neither is known [cents]
-- column: batch_efficiency_score = score by the algorithm's own definition: compare versions of one algorithm, not algorithms [score]
WITH members AS (
    SELECT
        p.batch_id,
        COUNT(*) AS recorded_deliveries,
        COUNT(DISTINCT d.order_id) AS recorded_orders,
        MIN(p.actual_pickup_time) AS first_pickup_at,
        MAX(p.actual_dropoff_time) AS last_dropoff_at
    FROM fact_batch_deliveries AS p
    LEFT JOIN fact_deliveries AS d ON d.delivery_id = p.delivery_id
    GROUP BY p.batch_id
),
leads AS (
    SELECT batch_id, delivery_id
    FROM fact_batch_deliveries
    QUALIFY ROW_NUMBER() OVER (PARTITION BY batch_id ORDER BY dropoff_sequence, batch_delivery_id) = 1
)
SELECT
    b.batch_id,
    b.driver_id,
    b.batching_algorithm_key,
    b.date_partition,
    b.batch_created_at,
    b.batch_assigned_at,
    b.batch_started_at,
    b.batch_completed_at,
    b.batch_status,
    COALESCE(b.batch_status = 'completed', FALSE) AS is_completed,
    COALESCE(b.batch_status = 'cancelled', FALSE) AS is_cancelled,
    b.total_deliveries,
    b.total_orders,
    COALESCE(m.recorded_deliveries, 0) AS recorded_deliveries,
    COALESCE(m.recorded_orders, 0) AS recorded_orders,
    l.delivery_id AS lead_delivery_id,
    b.planned_total_distance_miles,
    b.actual_total_distance_miles,
    COALESCE(b.planned_total_distance_miles > 0, FALSE) AS has_plan,
    b.planned_total_time_minutes,
    b.actual_total_time_minutes,
    m.first_pickup_at,
    m.last_dropoff_at,
    minutes_between(m.first_pickup_at, m.last_dropoff_at) AS route_minutes,
    minutes_between(b.batch_started_at, b.batch_completed_at) AS duration_minutes,
    b.total_delivery_fees_cents,
    b.total_tips_cents,
    COALESCE(b.total_delivery_fees_cents + b.total_tips_cents, b.total_delivery_fees_cents, b.total_tips_cents)
        AS revenue_cents,
    b.batch_efficiency_score
FROM fact_delivery_batches AS b
LEFT JOIN members AS m ON m.batch_id = b.batch_id
LEFT JOIN leads AS l ON l.batch_id = b.batch_id
