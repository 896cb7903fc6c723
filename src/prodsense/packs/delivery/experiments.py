"""Controlled tests of batching.

Deliveries compete for the same drivers, so that what one arm does changes the other: units are whole areas or windows
of time, not single users, wherever the treatment touches dispatch. The assignment log names that block; intervals
are those of whole blocks.
"""

from __future__ import annotations

from prodsense.contracts.vocabulary import Experiment

EXPERIMENTS = (
    Experiment(
        "batching_algorithm_ab_test",
        "The new batching algorithm against the old one, or against no or simpler batching: does it win for customers,"
        " drivers and the platform at once?",
        unit="order, in blocks of area and window of at least two hours",
        arms=("control", "treatment"),
        primary=(
            "actual_delivery_time", "on_time_rate", "overall_customer_csat", "food_condition_complaint_rate",
            "driver_earnings_per_trip", "logistics_cost_per_order",
        ),
        secondary=("click_to_door", "eta_error", "avg_batch_delay", "incorrect_order_rate", "customer_nps"),
        guardrails={
            # X minutes more, Y and Z as shares less than control: our defaults, the requirement names none.
            "actual_delivery_time": 2.0,
            "driver_earnings_per_trip": "5%",
            "order_fulfillment_rate": 0.01,
        },
        design="switchback",
        plan="Switch arms by area in windows of at least two hours and drop the first half hour of each. Check the"
        " split before any effect; intervals are those of whole blocks; guardrails are non-inferiority tests at the"
        " margins above, and bind: one breach stops the launch. Pay an hour online and offers accepted belong to"
        " drivers, who serve both arms of a day: they are watched, by the metrics driver_earnings_per_hour and"
        " batch_offer_acceptance_rate, and cannot be split by the arm of an order.",
        key="order_id",
        sql="SELECT text_of(a.order_id) AS unit, a.arm, o.order_timestamp AS assigned_at, a.block, o.delivery_type"
        " FROM order_arms AS a JOIN orders AS o ON o.order_id = a.order_id",
        cluster="block",
        since_assignment=False,
    ),
    Experiment(
        "batching_transparency_test",
        "How much should customers and drivers be told that an order is batched? Outcomes are satisfaction and"
        " behaviour of both.",
        unit="customer",
        arms=("control", "brief", "detailed"),
        primary=("overall_customer_csat", "customer_nps"),
        secondary=("food_quality_csat", "total_order_volume"),
        guardrails={"long_eta_cancellation_rate": 0.01, "order_fulfillment_rate": 0.01},
        plan="control says nothing, brief says that the order shares a trip, detailed adds why, what it saves and the"
        " stops before one's own. Dispatch is the same in all arms. Drivers are assigned apart (unit_type driver) to"
        " the same levels. Compare each level with control; the error is shared among all comparisons.",
        key="customer_id",
        sql="SELECT unit_id AS unit, variant AS arm, assigned_at FROM experiment_assignments"
        " WHERE experiment = 'batching_transparency_test' AND unit_type = 'customer'",
    ),
    Experiment(
        "algorithm_traffic_split",
        "Algorithms compared on live traffic, split by traffic_percentage among those live at the time, with"
        " no_batching as the holdout. The query algorithm_traffic_shares sets planned beside observed shares.",
        unit="order, in blocks of area and window of at least two hours",
        arms=("no_batching v1.0", "nearest_neighbor v1.0", "genetic_algorithm v2.1", "ml_optimized v1.5"),
        primary=("on_time_rate", "actual_delivery_time", "logistics_cost_per_order"),
        secondary=("route_efficiency_ratio", "avg_batch_delay"),
        guardrails={"actual_delivery_time": 2.0, "driver_earnings_per_trip": "5%", "order_fulfillment_rate": 0.01},
        design="switchback",
        plan="Orders count from the day on which the last of the arms went live, so that all had the same days."
        " Slice by algorithm and algorithm_version; no_batching is the control. A share far from its traffic_percentage"
        " is looked into before any effect.",
        key="order_id",
        sql="WITH arms AS ("
        " SELECT algorithm_name || ' ' || algorithm_version AS arm, traffic_percentage, deployed_at, deprecated_at"
        " FROM dim_batching_algorithms"
        "), open_since AS (SELECT MAX(deployed_at) AS moment FROM arms WHERE deprecated_at IS NULL)"
        " SELECT a.unit_id AS unit, a.variant AS arm, a.assigned_at, COALESCE(a.block, a.unit_id) AS block,"
        " CAST(m.traffic_percentage AS DOUBLE) AS planned"
        " FROM experiment_assignments AS a JOIN arms AS m ON m.arm = a.variant"
        " CROSS JOIN open_since AS s WHERE a.experiment = 'algorithm_traffic_split' AND a.assigned_at >= s.moment",
        cluster="block",
        since_assignment=False,
    ),
)
