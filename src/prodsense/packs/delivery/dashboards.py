"""Charts and pages of the delivery pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Chart, Dashboard, Section

_weekly = partial(Chart, grain="week", question="Q9.1.1")
_whole = partial(Chart, grain="all", form="bar", question="Q9.1.1")

CHARTS = (
    _weekly(
        "delivery_time_by_type", "Mean delivery minutes, batched beside individual.",
        metrics=("actual_delivery_time",), by=("delivery_type",),
    ),
    _whole(
        "delivery_time_by_hour", "Mean delivery minutes by hour of the order, batched beside individual.",
        metrics=("actual_delivery_time",), by=("time_of_day", "delivery_type"), form="line",
    ),
    _whole(
        "food_issues_by_type", "Complaints and refund requests about food condition, by cause and delivery type.",
        metrics=("food_condition_complaint_rate",), by=("issue_type", "delivery_type"),
    ),
    _weekly("satisfaction_of_customers", "Overall satisfaction by customer segment.",
            metrics=("overall_customer_csat",), by=("frequent_batched_customer",)),
    _weekly("earnings_per_hour", "Drivers' earnings per hour online.", metrics=("driver_earnings_per_hour",)),
    _weekly("utilization", "Share of online time with a delivery at hand.", metrics=("driver_utilization_rate",)),
    _weekly("cost_per_order", "Logistics cost per delivered order, batched beside individual.",
            metrics=("logistics_cost_per_order",), by=("delivery_type",)),
    _weekly("orders_batched", "Share of delivered orders that came batched.", metrics=("pct_orders_batched",)),
    _whole("on_time_by_restaurant_type", "On-time rate by restaurant type, batched beside individual.",
           metrics=("on_time_rate",), by=("restaurant_type", "delivery_type")),
    _whole("on_time_by_hour_and_weekday", "On-time rate by hour and weekday.",
           metrics=("on_time_rate",), by=("time_of_day", "day_of_week"), form="heatmap"),
    Chart("batches_by_state", "Batches of the last 24 hours by current state.", query="batch_state_counts", form="bar",
          x="current_state", y="batches", question="Q9.2.1"),
    Chart("batches_under_way", "Open batches, the longest without a change first.", query="open_batches", form="table",
          question="Q9.2.1"),
    Chart("routes_by_algorithm", "Routes driven beside planned, by algorithm.", query="route_feedback_by_algorithm",
          form="table", question="Q9.2.1"),
    Chart("batch_delay_by_day", "Mean delay of batched deliveries by day.", metrics=("avg_batch_delay",),
          question="Q9.2.1"),
    Chart("pickup_wait_by_day", "Mean wait at restaurants of batched deliveries by day.", metrics=("avg_pickup_wait",)),
)

DASHBOARDS = (
    Dashboard(
        "batching_success_scorecard",
        "Does the batching algorithm win on all three sides? Each metric, its guardrails, and where it excels or falls"
        " short.",
        (
            Section(
                "Customer: experience and satisfaction",
                ("actual_delivery_time", "eta_error", "on_time_rate", "food_condition_complaint_rate",
                 "food_quality_csat", "incorrect_order_rate", "overall_customer_csat", "customer_nps",
                 "batched_customer_retention_rate"),
                ("delivery_time_by_type", "delivery_time_by_hour", "food_issues_by_type", "satisfaction_of_customers"),
                ("guardrail_delivery_time_increase",),
            ),
            Section(
                "Driver: earnings and efficiency",
                ("driver_earnings_per_hour", "driver_earnings_per_trip", "deliveries_per_hour", "mileage_per_delivery",
                 "driver_idle_time", "driver_utilization_rate", "batch_offer_acceptance_rate", "time_per_batch",
                 "driver_satisfaction_score"),
                ("earnings_per_hour", "utilization"),
                ("guardrail_driver_earnings_drop", "guardrail_driver_earnings_floor"),
            ),
            Section(
                "Platform: economics and marketplace health",
                ("logistics_cost_per_order", "average_batch_size", "pct_orders_batched", "order_fulfillment_rate",
                 "long_eta_cancellation_rate", "total_order_volume", "algorithm_computation_time",
                 "algorithm_peak_scalability", "restaurant_satisfaction_score", "batched_pickup_issue_rate",
                 "delivery_fee_reduction_potential"),
                ("cost_per_order", "orders_batched"),
                ("guardrail_fulfillment_drop",),
            ),
            Section(
                "Where it excels and where it falls short",
                charts=("on_time_by_restaurant_type", "on_time_by_hour_and_weekday"),
            ),
        ),
        role="product",
        by=("time_of_day", "day_of_week", "geography", "restaurant_type"),
    ),
    Dashboard(
        "batch_operations_monitor",
        "Batches as they run: current state, last change and trigger, driver and position; with what drivers,"
        " restaurants and customers feel of it.",
        (
            Section("Now", charts=("batches_by_state", "batches_under_way"),
                    policies=("operational_and_historical_use",)),
            Section("Drivers", ("driver_utilization_rate", "driver_between_offers_idle_time", "batch_cancellation_rate",
                                "avg_batch_duration"), ("routes_by_algorithm",)),
            Section("Restaurants", ("avg_pickup_wait", "fast_batch_pickup_rate", "batched_pickup_issue_rate"),
                    ("pickup_wait_by_day",)),
            Section("Customers", ("avg_batch_delay", "on_time_rate", "batch_customer_satisfaction"),
                    ("batch_delay_by_day",)),
        ),
        role="operations",
        by=("geography", "restaurant_type"),
    ),
)
