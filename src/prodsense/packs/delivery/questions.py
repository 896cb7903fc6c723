"""What teams ask of the delivery pack, in our own words."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Question

QUESTIONS = (
    Question(
        "Q9.1.1",
        "Does the batching algorithm succeed for customers, drivers and the platform, within its guardrails and in a"
        " controlled test?",
        (
            "actual_delivery_time", "eta_error", "on_time_rate", "food_condition_complaint_rate", "food_quality_csat",
            "incorrect_order_rate", "overall_customer_csat", "customer_nps", "batched_customer_retention_rate",
            "batched_customer_churn_rate", "driver_earnings_per_hour", "driver_earnings_per_trip",
            "deliveries_per_hour", "mileage_per_delivery", "mileage_per_dollar_earned", "driver_restaurant_wait_time",
            "driver_between_offers_idle_time", "driver_idle_time", "batch_offer_acceptance_rate", "time_per_batch",
            "driver_satisfaction_score", "driver_instruction_clarity_score", "driver_pay_fairness_score",
            "driver_multi_order_ease_score", "frequent_batch_driver_churn_rate", "logistics_cost_per_order",
            "driver_utilization_rate", "average_batch_size", "pct_orders_batched", "algorithm_computation_time",
            "algorithm_peak_scalability", "order_fulfillment_rate", "long_eta_cancellation_rate",
            "restaurant_satisfaction_score", "batched_pickup_issue_rate", "total_order_volume",
            "delivery_fee_reduction_potential",
            "frequent_batched_customer", "delivery_type", "issue_type", "frequent_batch_driver", "time_of_day",
            "day_of_week", "geography", "restaurant_type",
            "batched_delivery_time_effect", "eta_reliability_comparison",
            "batching_algorithm_ab_test", "batching_transparency_test",
            "guardrail_delivery_time_increase", "guardrail_driver_earnings_drop", "guardrail_driver_earnings_floor",
            "guardrail_fulfillment_drop", "batching_success_scorecard",
        ),
        headline=(
            "actual_delivery_time", "overall_customer_csat", "driver_earnings_per_hour", "driver_utilization_rate",
            "logistics_cost_per_order", "pct_orders_batched", "order_fulfillment_rate",
        ),
        notes={
            "batching_iteration_loop": "Batching is never finished: launch a version to part of the traffic, measure"
            " all three sides, find the hours, areas and restaurants where it is strong or weak (the scorecard's last"
            " section), change the algorithm there, and start again with the new version beside the old.",
        },
    ),
    Question(
        "Q9.2.1",
        "How do batches, their routes and timings extend the delivery model, and what do algorithms do to delivery"
        " time?",
        (
            "fact_orders", "fact_deliveries", "dim_drivers", "dim_restaurants", "fact_delivery_batches",
            "fact_batch_deliveries", "fact_batch_waypoints", "dim_batching_algorithms", "fact_batch_state_changes",
            "dim_customers", "fact_batch_delivery_events", "vw_delivery_batch_context",
            "fact_orders_setup", "fact_deliveries_setup", "dim_drivers_setup", "dim_restaurants_setup",
            "dim_batching_algorithms_setup", "fact_delivery_batches_setup", "fact_batch_deliveries_setup",
            "fact_batch_waypoints_setup", "delivery_setup_script",
            "batched_vs_individual_performance", "algorithm_effectiveness", "route_optimization_analysis",
            "driver_batching_performance", "restaurant_batching_impact", "algorithm_performance_history",
            "on_time_rate", "avg_batch_delay", "avg_batch_efficiency_score", "avg_batch_duration", "avg_batch_distance",
            "batch_cancellation_rate", "avg_pickup_wait", "route_efficiency_ratio", "arrival_time_variance",
            "first_pickup_delay", "subsequent_pickup_delay", "fast_batch_pickup_rate", "batch_customer_satisfaction",
            "estimated_food_temperature_at_delivery", "batch_revenue", "planned_vs_actual_batch_time",
            "batch_adaptation_rating", "compare_algorithms", "dispatch_trial",
            "algorithm", "algorithm_version", "driver", "vehicle_type", "restaurant",
            "algorithm_traffic_split", "batch_operations_monitor", "route_feedback_loop",
            "core_first_design", "batch_optional_deliveries", "algorithm_agnostic_evaluation",
            "operational_and_historical_use", "model_relationships", "batch_constraint_parameters",
            "batching_integration_goals",
        ),
        headline=(
            "on_time_rate", "avg_batch_delay", "avg_batch_duration", "route_efficiency_ratio",
            "batch_cancellation_rate", "batch_revenue",
        ),
    ),
    Question(
        "Q9.3.1",
        "How long does each order take from pickup to drop-off, given drivers' actions and travel times?",
        ("calculate_delivery_times",),
    ),
)
