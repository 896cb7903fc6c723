"""What the delivery pack measures, and what it can be sliced by.

Unless a definition says otherwise: orders of internal customers are left out; a delivery is dated by its order,
a batch by its creation, work and pay of drivers by when they happened; money is in major units; shares are 0 to 1.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric

# The slices that deliveries, orders and whatever points to them reach.
_OF_ORDERS = ("time_of_day", "day_of_week", "geography", "restaurant_type")
_OF_DELIVERIES = ("delivery_type", *_OF_ORDERS, "algorithm", "algorithm_version", "driver", "vehicle_type", "restaurant")
_OF_BATCHES = ("algorithm", "algorithm_version", "driver", "vehicle_type", *_OF_ORDERS)

_delivery = partial(Metric, source="deliveries", by=_OF_DELIVERIES)
_delivered = partial(_delivery, where="is_delivered")
_batched = partial(_delivery, where="delivery_type = 'batched'")
_order = partial(Metric, source="orders", by=("delivery_type", *_OF_ORDERS))
_batch = partial(Metric, source="batches", by=_OF_BATCHES)
_completed = partial(_batch, where="is_completed")
_part = partial(Metric, hidden=True, better="none")

DIMENSIONS = (
    Dimension(
        "delivery_type",
        "'batched' (in a batch of two or more deliveries that is not cancelled) or 'individual'.",
        {"orders": "delivery_type", "deliveries": "delivery_type"},
        "Delivery type",
    ),
    Dimension(
        "time_of_day",
        "Hour of the day, 0 to 23: of the order, of the batch's creation, or of the driver's time.",
        {"orders": "hour_of(order_timestamp)", "deliveries": "hour_of(order_timestamp)",
         "batches": "hour_of(batch_created_at)"},
        "Hour",
    ),
    Dimension(
        "day_of_week",
        "Weekday, 1 (Monday) to 7 (Sunday): of the order, of the batch's creation, or of the driver's time.",
        {"orders": "iso_weekday(order_timestamp)", "deliveries": "iso_weekday(order_timestamp)",
         "batches": "iso_weekday(batch_created_at)"},
        "Weekday",
    ),
    Dimension(
        "geography",
        "Area of the drop-off: 'latitude,longitude' of the south-west corner of a cell of 0.02 degrees;"
        " of a batch, that of its first drop-off.",
        {"orders": "area", "deliveries": "area"},
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
        "ratio(SUM(CASE WHEN actual_total_distance_miles IS NOT NULL THEN total_deliveries END),"
        " SUM(actual_total_distance_miles))",
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
        "Mean minutes that completed batches took beyond the plan; batches without a planned time above 0 are left out.",
        "minutes", "down",
        "mean(CASE WHEN planned_total_time_minutes > 0 THEN actual_total_time_minutes - planned_total_time_minutes END)",
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
)
