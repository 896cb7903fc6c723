"""What teams ask of the stickiness pack, in our own words."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Question

QUESTIONS = (
    Question(
        "Q5.1.1",
        "Beyond DAU over MAU: how sticky is the platform, who drives it, and can the numbers be trusted?",
        (
            "daily_active_users", "monthly_active_users", "dau_mau_ratio", "weekly_active_users",
            "three_day_active_users", "active_days_distribution", "active_days_histogram",
            "session_frequency_per_user", "inter_session_interval", "l7_open_rate",
            "time_spent_per_active_user_per_day", "time_spent_quality_guard", "average_posts_viewed_per_user",
            "average_videos_viewed_per_user", "average_stories_viewed_per_user", "feed_scroll_depth",
            "video_completion_rate", "story_completion_rate", "dau_creating_content_pct", "mau_creating_content_pct",
            "creation_type", "average_creations_per_creating_user", "dau_social_interaction_pct",
            "mau_social_interaction_pct", "interaction_type", "average_social_interactions_per_user_per_day",
            "network_density", "connection_growth_rate", "private_to_public_interaction_ratio", "feed_adoption_pct",
            "stories_adoption_pct", "messaging_adoption_pct", "groups_adoption_pct", "activity_base",
            "distinct_features_used_per_user", "feature_adopter_retention_lift", "d1_retention", "d7_retention",
            "d30_retention", "rolling_retention", "resurrection_rate", "engagement_tiers",
            "engagement_tier_transitions", "power_user_curve", "survey_csat", "survey_nps", "app_store_rating",
            "app_review_sentiment", "social_media_sentiment", "demographics", "acquisition_source", "tenure", "device",
            "engagement_ltv_correlation", "vanity_metric_guard", "ecosystem_balance_rule", "sessionization",
            "sessionization_edge_cases", "daily_user_activity_aggregation", "stream_activity_aggregation",
            "user_activity_summary", "active_user_definition", "historical_recalculation", "retention_cohort_analysis",
            "feature_impact_on_stickiness", "churn_leading_indicators", "session_frequency_drop_detector",
            "content_creation_drop_detector", "onboarding_flow_test", "notification_strategy_test",
            "session_pattern_quality_analysis", "creation_vs_consumption_stickiness", "user_month_active_days",
            "metric_freshness_tiers", "cohort_analysis_store", "engagement_data_validation", "dau_anomaly_detector",
            "l7_open_rate_literal", "l7_active_days", "l7_share", "inter_session_interval_mean",
            "average_posts_viewed_per_session", "average_videos_viewed_per_session",
            "average_stories_viewed_per_session", "network_density_directed", "app_review_volume", "tier_sizes",
            "ecosystem_balance", "app_open", "content_view", "like", "comment", "share", "post_creation",
            "feature_usage", "session_start", "session_end",
        ),
        headline=(
            "dau_mau_ratio", "d7_retention", "session_frequency_per_user", "l7_active_days",
            "dau_social_interaction_pct", "dau_creating_content_pct", "survey_csat",
        ),
        notes={
            "usability_testing_feedback": "Numbers say that people leave, tests of usability say where they stumble."
            " Keep a short list of findings, each with the screen, how many of the tested had it, and the metric that"
            " should move when it is mended; read it beside the weekly numbers, and look there first when one falls.",
        },
    ),
)
