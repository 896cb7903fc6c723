"""What the delivery pack measures, and what it can be sliced by.

Unless a definition says otherwise: orders of internal customers are left out; a delivery is dated by its order,
a batch by its creation, work and pay of drivers by when they happened; money is in major units; shares are 0 to 1.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric, MetricTree
from prodsense.packs.shapes import net_promoter_score, ratio_where_known, share_of_any_kind

# The slices that deliveries, orders and whatever points to them reach.
_OF_ORDERS = ("time_of_day", "day_of_week", "geography", "restaurant_type")
_OF_DELIVERIES = (
    "delivery_type", *_OF_ORDERS, "algorithm", "algorithm_version", "driver", "vehicle_type", "restaurant",
)
_OF_BATCHES = ("algorithm", "algorithm_version", "driver", "vehicle_type", *_OF_ORDERS)

_delivery = partial(Metric, source="deliveries", by=_OF_DELIVERIES)
_delivered = partial(_delivery, where="is_delivered")
_batched = partial(_delivery, where="delivery_type = 'batched'")
_order = partial(Metric, source="orders", by=("delivery_type", *_OF_ORDERS))
_batch = partial(Metric, source="batches", by=_OF_BATCHES)
_completed = partial(_batch, where="is_completed")
_issue = partial(
    Metric, unit="share", better="down", source="order_issues", by=("delivery_type", "issue_type", *_OF_ORDERS),
)
_answer = partial(Metric, source="customer_answers", by=("frequent_batched_customer", "delivery_type", *_OF_ORDERS))
_driver_answer = partial(
    Metric, unit="score", better="up", sql="mean(score)", source="driver_answers",
    by=("frequent_batch_driver", "driver", "vehicle_type", "time_of_day", "day_of_week"),
)
_part = partial(Metric, hidden=True, better="none")

_OF_DRIVERS = ("delivery_type", "driver", "vehicle_type", "time_of_day", "day_of_week")
_OF_RUNS = ("algorithm", "algorithm_version", "load_level", "time_of_day", "day_of_week")


_share_of_orders = partial(share_of_any_kind, subject="order_id", kind="issue_number")
_FOOD = "issue_type IN ('cold_food', 'poor_condition')"

_SAVING = "(" + " - ".join(
    f"ratio(SUM(CASE WHEN arm = '{arm}' THEN cost_cents END) / 100.0,"
    f" COUNT(*) FILTER (WHERE arm = '{arm}' AND is_delivered))"
    for arm in ("control", "treatment")
) + ")"
_MEAN_FEE = "(mean(CASE WHEN is_delivered THEN delivery_fee_cents END) / 100)"

# What dates a row for time_of_day and day_of_week.
_MOMENTS = {
    "orders": "order_timestamp", "deliveries": "order_timestamp", "order_issues": "order_timestamp",
    "cost_items": "order_timestamp", "order_costs": "order_timestamp",
    "batches": "batch_created_at", "batched_pickups": "batch_created_at",
    "pickup_issues": "batch_created_at", "driver_time": "hour_start", "driver_gaps": "finished_at",
    "earnings": "earned_at", "offers": "offered_at", "algorithm_runs": "started_at",
    "survey_answers": "slice_at", "customer_answers": "slice_at", "driver_answers": "slice_at",
}

# What knows the area of its drop-off.
_AREAS = ("orders", "deliveries", "delivery_facts", "order_issues", "cost_items", "order_costs")

DIMENSIONS = (
    Dimension(
        "delivery_type",
        "'batched' (in a batch of two or more deliveries that is not cancelled) or 'individual'.",
        {"orders": "delivery_type", "deliveries": "delivery_type", "order_issues": "delivery_type",
         "cost_items": "delivery_type", "order_costs": "delivery_type", "earnings": "delivery_type",
         "driver_time": "NULLIF(activity, 'idle')"},
        "Delivery type",
    ),
    Dimension(
        "time_of_day",
        "Hour of the day, 0 to 23: of the order, of the batch's creation, or of the driver's time.",
        {name: f"hour_of({moment})" for name, moment in _MOMENTS.items()},
        "Hour",
    ),
    Dimension(
        "day_of_week",
        "Weekday, 1 (Monday) to 7 (Sunday): of the order, of the batch's creation, or of the driver's time.",
        {name: f"iso_weekday({moment})" for name, moment in _MOMENTS.items()},
        "Weekday",
    ),
    Dimension(
        "geography",
        "Area of the drop-off: 'latitude,longitude' of the south-west corner of a cell of 0.02 degrees;"
        " of a batch, that of its first drop-off.",
        dict.fromkeys(_AREAS, "area"),
        "Area",
    ),
    Dimension(
        "restaurant_type",
        "Kind of restaurant (cuisine or category); of a batch, that of its first drop-off.",
        {"dim_restaurants": "cuisine_type"},
        "Restaurant type",
    ),
    Dimension(
        "restaurant", "Restaurant (restaurant_id).",
        {"dim_restaurants": "restaurant_id"}, "Restaurant",
    ),
    Dimension(
        "can_handle_batch_pickups", "Whether the restaurant can hand over several orders to one driver.",
        {"dim_restaurants": "can_handle_batch_pickups"}, "Handles batch pickups",
    ),
    Dimension("driver", "Driver (driver_id).", {"dim_drivers": "driver_id"}, "Driver"),
    Dimension("vehicle_type", "Car, bike, scooter or walking.", {"dim_drivers": "vehicle_type"}, "Vehicle"),
    Dimension(
        "algorithm",
        "Batching algorithm by name; of a delivery, that of its final batch that is not cancelled, of any size.",
        {"dim_batching_algorithms": "algorithm_name"},
        "Algorithm",
    ),
    Dimension(
        "algorithm_version", "Version within a batching algorithm.",
        {"dim_batching_algorithms": "algorithm_version"}, "Version",
    ),
    Dimension(
        "issue_type",
        "Reported problem: cold_food, poor_condition, wrong_item, missing_item, missing_order;"
        " drivers_waiting, congestion.",
        {"order_issues": "issue_type", "pickup_issues": "issue_type"},
        "Issue",
    ),
    Dimension(
        "frequent_batched_customer",
        "'frequent': at least two batched orders (setting frequent_batched_orders) in 28 days; else 'other'."
        " Of a survey answer, the 28 days up to it.",
        {"customer_windows": "segment", "customer_answers": "frequent_batched_customer"},
        "Customer segment",
    ),
    Dimension(
        "frequent_batch_driver",
        "'frequent': at least half (setting frequent_batch_driver_share) of the deliveries of 28 days were batched;"
        " else 'other'. Of a survey answer, the 28 days up to it.",
        {"driver_windows": "segment", "driver_answers": "frequent_batch_driver"},
        "Driver segment",
    ),
    Dimension(
        "load_level",
        "Load that a run of an algorithm met, by orders considered: low (lower half of"
        " runs), medium, high, peak (top tenth).",
        {"algorithm_runs": "load_level"},
        "Load",
    ),
    Dimension(
        "variant", "Arm of the batching test that the order fell in; empty outside the test.",
        {"order_arms": "variant"}, "Variant",
    ),
)

METRICS = (
    # Customers: time and promise
    _delivered(
        "actual_delivery_time",
        "Mean minutes a delivered delivery took (actual_delivery_time_minutes as stored).",
        "minutes", "down", "mean(actual_minutes)",
    ),
    _delivered(
        "actual_delivery_time_median", "Median minutes a delivered delivery took.",
        "minutes", "down", "quantile(actual_minutes, 0.5)",
    ),
    _delivered(
        "actual_delivery_time_p90", "Minutes within which nine of ten delivered deliveries arrived.",
        "minutes", "down", "quantile(actual_minutes, 0.9)",
    ),
    _delivered(
        "eta_error",
        "Mean signed minutes that delivered deliveries took beyond the promise; 0 is perfect, positive is late.",
        "minutes", "none", "mean(eta_error_minutes)",
    ),
    _delivered(
        "eta_error_median", "Median signed minutes beyond the promise, of delivered deliveries.",
        "minutes", "none", "quantile(eta_error_minutes, 0.5)",
    ),
    _delivered(
        "on_time_rate",
        "Share of delivered deliveries that took at most ten minutes more than promised, of those with both known.",
        "share", "up", "share(is_on_time)",
    ),
    _delivered(
        "click_to_door", "Mean minutes from placing the order to the food at the door.",
        "minutes", "down", "mean(minutes_between(order_timestamp, delivered_at))",
    ),
    _delivered(
        "ready_to_pickup",
        "Mean minutes that food waits for its driver: from the end of the expected preparation time to pickup;"
        " negative where it was ready sooner than expected.",
        "minutes", "down", "mean(minutes_between(add_minutes(order_timestamp, prep_minutes), picked_up_at))",
    ),
    # Platform: orders
    _order("total_order_volume", "Orders placed, whatever became of them.", "count", "up", "COUNT(*)"),
    _order(
        "order_fulfillment_rate", "Delivered orders over orders placed.",
        "share", "up", "share(is_delivered)",
    ),
    _order(
        "long_eta_cancellation_rate",
        "Share of orders placed that the customer cancelled because of a long ETA (cancelled, with a reason such as"
        " 'long_eta' or 'too long a wait').",
        "share", "down", "share(is_long_eta_cancelled)",
    ),
    _order(
        "pct_orders_batched",
        "Share of delivered orders that came batched; every delivered order counts as eligible.",
        "share", "up", "share(COALESCE(delivery_type = 'batched', FALSE))", where="is_delivered",
    ),
    # Batches: one value a completed batch
    _completed(
        "average_batch_size", "Mean orders (total_orders) of completed batches of any size.",
        "count", "up", "mean(total_orders)",
    ),
    _completed(
        "avg_batch_efficiency_score",
        "Mean batch_efficiency_score, one value a completed batch. The score is the algorithm's own: compare versions"
        " of one algorithm by it, and algorithms by deliveries_per_mile.",
        "score", "up", "mean(batch_efficiency_score)",
    ),
    _completed(
        "deliveries_per_mile",
        "Deliveries of completed batches over the miles they were driven: one definition of efficiency for all"
        " algorithms.",
        "ratio", "up",
        ratio_where_known("total_deliveries", "actual_total_distance_miles"),
    ),
    _completed(
        "avg_batch_duration", "Mean minutes from batch_started_at to batch_completed_at of completed batches.",
        "minutes", "down", "mean(duration_minutes)",
    ),
    _completed(
        "time_per_batch",
        "Mean minutes from a completed batch's first actual pickup to its last actual drop-off.",
        "minutes", "down", "mean(route_minutes)",
    ),
    _completed(
        "avg_batch_distance", "Mean miles driven (actual_total_distance_miles) of completed batches.",
        "miles", "down", "mean(actual_total_distance_miles)",
    ),
    _completed(
        "route_efficiency_ratio",
        "Miles driven over miles planned, summed over completed batches with a plan above 0; 1 is as planned.",
        "ratio", "down",
        "ratio(SUM(actual_total_distance_miles),"
        " SUM(CASE WHEN actual_total_distance_miles IS NOT NULL THEN planned_total_distance_miles END))",
        where="is_completed AND has_plan",
    ),
    _completed(
        "planned_vs_actual_batch_time",
        "Mean actual less planned minutes of completed batches; those without a planned time above 0 are left out.",
        "minutes", "down", "mean(actual_total_time_minutes - planned_total_time_minutes)",
        where="is_completed AND planned_total_time_minutes > 0",
    ),
    _completed(
        "batch_revenue",
        "Mean delivery fees plus tips of a completed batch; its parts are batch_delivery_fees and batch_tips.",
        "currency", "up", "mean(revenue_cents) / 100",
    ),
    _completed(
        "batch_delivery_fees", "Mean delivery fees of a completed batch.",
        "currency", "up", "mean(total_delivery_fees_cents) / 100",
    ),
    _completed("batch_tips", "Mean tips of a completed batch.", "currency", "up", "mean(total_tips_cents) / 100"),
    _batch(
        "batch_cancellation_rate", "Cancelled batches over all batches.", "share", "down", "share(is_cancelled)",
    ),
    Metric(
        "arrival_time_variance",
        "Mean signed minutes late (actual less estimated arrival) over stops with both times; a stop is a place in a"
        " batch's route and counts once however many orders it serves.",
        "minutes", "none", "mean(minutes_late)", source="route_stops", by=_OF_BATCHES,
    ),
    # Deliveries in batches
    _batched(
        "avg_batch_delay",
        "Mean minutes by which batched deliveries came later than the estimate for each alone (as recorded).",
        "minutes", "down", "mean(delay_minutes)",
    ),
    _batched(
        "avg_pickup_wait", "Mean recorded wait at the restaurant of batched deliveries.",
        "minutes", "down", "mean(pickup_wait_minutes)",
    ),
    _batched(
        "fast_batch_pickup_rate",
        "Share of batched deliveries picked up after a wait of at most 5 minutes, of those whose wait is known.",
        "share", "up", "share(pickup_wait_minutes <= 5)",
    ),
    _batched(
        "first_pickup_delay",
        "Mean actual less estimated pickup of batched deliveries at the first pickup of the route (pickup_sequence 1).",
        "minutes", "down", "mean(pickup_delay_minutes)", where="delivery_type = 'batched' AND pickup_sequence = 1",
    ),
    _batched(
        "subsequent_pickup_delay",
        "Mean actual less estimated pickup of batched deliveries at later pickups (pickup_sequence above 1).",
        "minutes", "down", "mean(pickup_delay_minutes)", where="delivery_type = 'batched' AND pickup_sequence > 1",
    ),
    _batched(
        "estimated_food_temperature_at_delivery",
        "Mean estimated food temperature at the door of batched deliveries, in the source's unit.",
        "degrees", "none", "mean(food_temperature)",
    ),
    _delivered(
        "batch_customer_satisfaction",
        "Mean customer_satisfaction_score (1 to 5) of batched delivered deliveries. Sliced by delivery_type, individual"
        " ones stand beside: they have a score where they went in a batch of one.",
        "score", "up",
        # The value is that of batched rows wherever there are any; a slice without any shows its own.
        "CASE WHEN COUNT(*) FILTER (WHERE delivery_type = 'batched') > 0"
        " THEN mean(CASE WHEN delivery_type = 'batched' THEN satisfaction_score END) ELSE mean(satisfaction_score) END",
    ),
    # Customers: what they report and answer
    _issue(
        "food_condition_complaint_rate",
        "Share of delivered orders with a complaint or refund request that cites cold food or poor food condition."
        " By issue_type the two causes stand apart; the two sources are food_condition_ticket_rate and"
        " food_condition_refund_rate.",
        sql=_share_of_orders("is_reported"), where=_FOOD,
    ),
    _issue(
        "food_condition_ticket_rate",
        "Share of delivered orders with a support ticket that cites cold food or poor condition.",
        sql=_share_of_orders("is_complained"), where=_FOOD,
    ),
    _issue(
        "food_condition_refund_rate",
        "Share of delivered orders with a refund request that cites cold food or poor condition.",
        sql=_share_of_orders("is_refund_requested"), where=_FOOD,
    ),
    _issue(
        "incorrect_order_rate",
        "Share of delivered orders reported (ticket or refund request) with a wrong or missing item, or as missing.",
        sql=_share_of_orders("is_reported"),
        where="issue_type IN ('wrong_item', 'missing_item', 'missing_order')",
    ),
    _answer(
        "food_quality_csat", "Mean score of customers' answers on food quality.", "score", "up", "mean(score)",
        where="topic = 'food_quality'", by=("delivery_type", *_OF_ORDERS, "frequent_batched_customer"),
    ),
    _answer(
        "overall_customer_csat", "Mean score of customers' answers on overall satisfaction.", "score", "up",
        "mean(score)", where="topic = 'overall'",
    ),
    _answer(
        "customer_nps",
        "Net promoter score of customers, -100 to 100: percent who answered 9 or 10 less percent who answered 0 to 6.",
        "score", "up", net_promoter_score("nps_score"),
    ),
    Metric(
        "batched_customer_retention_rate",
        "Share of customers with at least two batched orders in 28 days who order again in the following 28. Of each"
        " period, the last day whose following 28 days have passed. Sliced by frequent_batched_customer, all other"
        " customers of the window stand beside.",
        "share", "up", "ratio(SUM(returned), SUM(customers))", source="customer_windows",
        focus=("frequent_batched_customer", "segment = 'frequent'"), by=("frequent_batched_customer",),
        last=True, matures=28,
    ),
    Metric(
        "batched_customer_churn_rate",
        "Share of customers with at least two batched orders in 28 days who do not order in the following 28: one less"
        " batched_customer_retention_rate.",
        "share", "down", "1 - batched_customer_retention_rate", by=("frequent_batched_customer",),
    ),
    # Drivers: pay and work
    _part("driver_pay", "Pay of drivers.", "currency", sql="SUM(amount_cents) / 100.0", source="earnings"),
    _part("online_hours", "Hours that drivers were online.", "hours", sql="SUM(minutes) / 60", source="driver_time"),
    _part(
        "completed_deliveries", "Delivered deliveries, dated by delivery.", "count",
        sql="COUNT(*)", source="deliveries", where="is_delivered", time="delivered_at",
    ),
    _part(
        "completed_trips", "Trips with a delivered delivery: a batch or an individual delivery each.", "count",
        sql="COUNT(DISTINCT trip_id)", source="deliveries", where="is_delivered", time="delivered_at",
    ),
    _part(
        "driven_miles", "Miles driven for delivered deliveries, dated by delivery.", "miles",
        sql="SUM(driven_miles)", source="deliveries", where="is_delivered", time="delivered_at",
    ),
    Metric(
        "driver_earnings_per_hour",
        "Pay of drivers over their hours online. By delivery_type, hours are those spent on such deliveries; idle hours"
        " stand in a row without a type.",
        "currency", "up", "ratio(driver_pay, online_hours)", by=_OF_DRIVERS,
    ),
    Metric(
        "driver_earnings_per_trip",
        "Pay of drivers over trips; one trip is one batch or one individual delivery, delivered.",
        "currency", "up", "ratio(driver_pay, completed_trips)", by=_OF_DRIVERS,
    ),
    Metric(
        "deliveries_per_hour", "Delivered deliveries over drivers' hours online.",
        "ratio", "up", "ratio(completed_deliveries, online_hours)", by=_OF_DRIVERS,
    ),
    _delivered(
        "mileage_per_delivery",
        "Miles driven over delivered deliveries whose miles are known; a batch's miles count once.",
        "miles", "down", "mean(driven_miles)",
    ),
    Metric(
        "mileage_per_dollar_earned", "Miles driven for delivered deliveries over drivers' pay.",
        "ratio", "down", "ratio(driven_miles, driver_pay)", by=_OF_DRIVERS,
    ),
    _delivery(
        "driver_restaurant_wait_time", "Mean minutes from the driver's arrival at the restaurant to pickup.",
        "minutes", "down", "mean(restaurant_wait_minutes)",
    ),
    Metric(
        "driver_between_offers_idle_time",
        "Mean minutes that a driver waits online between finishing the last job at hand and the next batch offer or"
        " assignment in the same session.",
        "minutes", "down", "mean(idle_minutes)", source="driver_gaps",
        by=("driver", "vehicle_type", "time_of_day", "day_of_week"),
    ),
    Metric(
        "driver_idle_time",
        "Downtime of a driver in one cycle of work: mean wait at a restaurant plus mean wait for the next offer.",
        "minutes", "down", "driver_restaurant_wait_time + driver_between_offers_idle_time",
        by=("driver", "vehicle_type", "time_of_day", "day_of_week"),
    ),
    Metric(
        "driver_utilization_rate",
        "Share of drivers' time online with a delivery at hand (assignment to delivery); overlapping ones count once.",
        "share", "up", "ratio(SUM(CASE WHEN activity <> 'idle' THEN minutes END), SUM(minutes))", source="driver_time",
        by=("driver", "vehicle_type", "time_of_day", "day_of_week"),
    ),
    Metric(
        "batch_offer_acceptance_rate",
        "Batch offers accepted over batch offers made; an offer still open counts as made.",
        "share", "up", "share(is_accepted)", source="offers", by=_OF_BATCHES,
    ),
    _driver_answer(
        "driver_satisfaction_score", "Mean score of drivers' answers, all topics of the batching survey.",
    ),
    _driver_answer(
        "driver_instruction_clarity_score", "Mean score of drivers' answers on how clear batch instructions are.",
        where="topic = 'instruction_clarity'",
    ),
    _driver_answer(
        "driver_pay_fairness_score", "Mean score of drivers' answers on how fair batch pay is.",
        where="topic = 'pay_fairness'",
    ),
    _driver_answer(
        "driver_multi_order_ease_score", "Mean score of drivers' answers on how easy several orders at once are.",
        where="topic = 'multi_order_ease'",
    ),
    Metric(
        "frequent_batch_driver_churn_rate",
        "Share of drivers with mostly batched deliveries in 28 days who deliver nothing in the following 28. Of each"
        " period, the last day whose following 28 days have passed. Sliced by frequent_batch_driver, all other drivers"
        " of the window stand beside.",
        "share", "down", "1 - frequent_batch_driver_retention", by=("frequent_batch_driver",),
    ),
    _part(
        "frequent_batch_driver_retention", "The drivers who go on delivering.", "share",
        sql="ratio(SUM(returned), SUM(drivers))", source="driver_windows",
        focus=("frequent_batch_driver", "segment = 'frequent'"), last=True, matures=28,
    ),
    # Restaurants
    Metric(
        "restaurant_satisfaction_score", "Mean score of restaurants' answers on batched pickups.",
        "score", "up", "mean(score)", source="survey_answers", where="respondent = 'restaurant'",
        by=("restaurant_type", "restaurant", "time_of_day", "day_of_week"),
    ),
    Metric(
        "batched_pickup_issue_rate",
        "Share of batched pickups (visits of a batch to a restaurant) with a reported problem: drivers waiting, or"
        " congestion.",
        "share", "down",
        share_of_any_kind("is_reported", "batch_id * 1000 + pickup_sequence", "issue_number"),
        source="pickup_issues", by=("issue_type", "restaurant", *_OF_BATCHES),
    ),
    # Platform: cost and the algorithm at work
    _part("logistics_cost", "Logistics cost.", "currency", sql="SUM(amount_cents) / 100.0", source="cost_items"),
    _part("delivered_orders", "Delivered orders.", "count", sql="COUNT(*)", source="orders", where="is_delivered"),
    Metric(
        "logistics_cost_per_order",
        "Logistics cost over delivered orders, both dated by the order; cost of orders that failed is inside.",
        "currency", "down", "ratio(logistics_cost, delivered_orders)", by=("delivery_type", *_OF_ORDERS),
    ),
    Metric(
        "delivery_fee_reduction_potential",
        "Headroom to lower the delivery fee: logistics cost per delivered order under control less that under treatment"
        " of the batching test, at most the mean fee. Where nothing is assigned to the test, individual less batched"
        " orders (observational).",
        "currency", "up", f"CASE WHEN {_SAVING} > {_MEAN_FEE} THEN {_MEAN_FEE} ELSE {_SAVING} END",
        source="order_costs", by=_OF_ORDERS,
    ),
    Metric(
        "algorithm_computation_time", "Mean run time of a batching algorithm's runs.",
        "seconds", "down", "mean(seconds)", source="algorithm_runs", by=_OF_RUNS,
    ),
    Metric(
        "algorithm_computation_time_p95", "Run time that 95 of 100 runs stay within.",
        "seconds", "down", "quantile(seconds, 0.95)", source="algorithm_runs", by=_OF_RUNS,
    ),
    Metric(
        "algorithm_peak_scalability",
        "Mean run time at peak load: runs whose orders considered are in the top tenth of all runs. Computation time as"
        " a function of load is algorithm_computation_time by load_level.",
        "seconds", "down", "mean(seconds)", source="algorithm_runs", where="load_level = 'peak'", by=_OF_RUNS,
    ),
)

TREES = (
    MetricTree(
        "batch_revenue_tree", "What a batch brings in: its delivery fees and its tips.",
        "batch_revenue", "batch_delivery_fees + batch_tips",
    ),
)
