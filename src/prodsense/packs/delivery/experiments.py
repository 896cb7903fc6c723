"""Controlled tests of batching.

Deliveries compete for the same drivers, so that what one arm does changes the other: units are whole areas or windows
of time, not single users, wherever the treatment touches dispatch.
"""

from __future__ import annotations

from prodsense.contracts.vocabulary import Experiment

EXPERIMENTS = (
    Experiment(
        "batching_algorithm_ab_test",
        "The new batching algorithm against the old one, or against no or simpler batching: does it win for customers,"
        " drivers and the platform at once?",
        unit="area and window of two hours; each order takes the arm of its own (experiment_assignments by order)",
        arms=("control", "treatment"),
        primary=(
            "actual_delivery_time", "on_time_rate", "overall_customer_csat", "food_condition_complaint_rate",
            "driver_earnings_per_hour", "batch_offer_acceptance_rate", "logistics_cost_per_order", "total_order_volume",
        ),
        guardrails={
            # X minutes more, Y and Z as shares less than control: our defaults, the requirement names none.
            "actual_delivery_time": 2.0,
            "driver_earnings_per_hour": 0.05,
            "order_fulfillment_rate": 0.01,
        },
        design="switchback",
        plan="Switch arms by area in windows of at least two hours and drop the first half hour of each. Check the"
        " split before any effect; intervals clustered by area and day; guardrails are non-inferiority tests at the"
        " margins above, and bind: one breach stops the launch.",
    ),
    Experiment(
        "batching_transparency_test",
        "How much should customers and drivers be told that an order is batched? Outcomes are satisfaction and"
        " behaviour of both.",
        unit="customer",
        arms=("control", "badge", "reason", "live_route"),
        primary=(
            "overall_customer_csat", "customer_nps", "batched_customer_retention_rate", "driver_satisfaction_score",
            "batch_offer_acceptance_rate",
        ),
        guardrails={"long_eta_cancellation_rate": 0.01, "order_fulfillment_rate": 0.01},
        plan="control says nothing, badge says that the order shares a trip, reason adds why and what it saves,"
        " live_route shows the stops before one's own. Dispatch is the same in all arms. Drivers are assigned apart"
        " (unit_type driver) to the same levels. Compare each level with control, intervals adjusted for three"
        " comparisons.",
    ),
    Experiment(
        "algorithm_traffic_split",
        "Algorithms compared on live traffic, split by traffic_percentage among those live at the time, with"
        " no_batching as the holdout. The query algorithm_traffic_shares sets planned beside observed shares.",
        unit="area and window of two hours",
        arms=("nearest_neighbor v1.0", "genetic_algorithm v2.1", "ml_optimized v1.5", "no_batching v1.0"),
        primary=("on_time_rate", "avg_batch_delay", "route_efficiency_ratio", "logistics_cost_per_order"),
        guardrails={"actual_delivery_time": 2.0, "driver_earnings_per_hour": 0.05, "order_fulfillment_rate": 0.01},
        design="switchback",
        plan="Compare versions over the time in which both are live only. Slice by algorithm and algorithm_version;"
        " deliveries of no_batching are the control. A share far from its plan is looked into before any effect.",
    ),
)
