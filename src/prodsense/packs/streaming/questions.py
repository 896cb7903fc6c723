"""What teams ask of the streaming pack, in our own words."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Question

QUESTIONS = (
    Question(
        "Q3.1.1",
        "How engaged are viewers with the platform, as people and by title, and"
        " which data and analyses stand behind it?",
        (
            "daily_active_users", "monthly_active_users", "dau_mau_ratio", "total_streaming_hours",
            "streaming_hours_concentration", "average_session_duration", "sessions_per_user",
            "content_library_utilization_rate", "popular_vs_cold_titles", "new_subscribers", "churned_subscribers",
            "subscription_growth_rate", "subscriber_churn_rate", "churn_reason_breakdown",
            "trial_to_paid_conversion_rate", "profiles_adoption_rate", "downloads_adoption_rate",
            "watchlist_adoption_rate", "parental_controls_adoption_rate", "platform_csat", "platform_nps",
            "average_watch_time_per_user", "unique_shows_watched_per_user", "unique_movies_watched_per_user",
            "unique_genres_watched_per_user", "viewing_breadth_classification", "binge_session_identification",
            "binge_session_frequency", "average_binge_length", "user_title_completion_rate",
            "user_series_completion_rate", "watchlist_items_added", "watchlist_to_view_conversion_rate",
            "stale_watchlist_items", "content_discovery_mix", "recommendation_ctr", "rating_activity_frequency",
            "review_activity_frequency", "active_profiles_per_account", "last_active_date",
            "days_since_last_active", "primary_streaming_device", "total_views", "unique_viewers",
            "average_view_duration", "percentage_completion", "audience_retention_curve",
            "audience_retention_chart", "rewatch_rate", "intro_skip_rate", "credits_skip_rate", "scene_seek_rate",
            "title_likes", "title_dislikes", "title_shares", "watchlist_adds_from_content_page",
            "inter_episode_viewing_gap", "hook_rate", "trailer_to_full_view_conversion_rate", "view_source_mix",
            "genre", "content_age", "production_type", "age_group", "region", "subscription_tier", "time_period",
            "view_source", "experiment_arm", "trend_and_seasonality_analysis", "view_definition_consistency",
            "view_attribution_rule", "promotion_sustained_engagement_ratio",
            "single_metric_overoptimization_guard", "playback_start", "playback_pause", "playback_resume",
            "playback_progress", "playback_seek", "playback_complete", "playback_error",
            "playback_event_ingestion", "near_real_time_playback_aggregation", "concurrent_viewers",
            "batch_playback_analytics", "user_content_session_rollup", "playback_sessions",
            "playback_milestones_reached", "content_metadata_integration", "profile_resolution",
            "precomputed_engagement_aggregates", "content_engagement_score", "retention_dropoff_detector",
            "binge_driver_analysis", "binge_retention_impact", "recommended_viewing_watch_time_lift",
            "recommended_viewing_satisfaction_lift", "content_roi_model", "content_gap_analysis",
            "subscriber_churn_prediction", "churn_prevention_targeting", "browse_layout_test",
            "search_results_presentation_test", "recommendation_display_test", "late_arriving_playback_events",
            "out_of_order_playback_events", "show_unique_viewers_dedup", "near_real_time_recommendation_feed",
            "batch_recommendation_feed", "content_version_mapping", "library_utilization_tracking",
            "audience_retention", "titles_by_popularity", "shows_by_unique_viewers", "browsed_views",
            "recommended_views", "search_success_rate",
        ),
        headline=(
            "total_streaming_hours", "daily_active_users", "dau_mau_ratio", "total_views", "percentage_completion",
            "platform_csat", "subscriber_churn_rate", "content_library_utilization_rate",
        ),
    ),
    Question(
        "Q3.2.1",
        "What is a viewing session: its measures and keys, the events behind it, and each user's time in total?",
        (
            "fact_viewing_sessions", "fact_viewing_events", "dim_users", "dim_content", "dim_devices", "dim_date",
            "dim_time", "dim_completion_status", "session_duration_seconds", "total_content_length_seconds",
            "playback_position_seconds", "completion_percentage", "total_pause_duration_seconds",
            "number_of_pauses", "number_of_rewinds", "number_of_forwards", "watched_credits",
            "max_playback_quality", "autoplay_enabled", "reconstruct_viewing_session", "series_completion_rate",
            "episode_and_series_linkage", "viewing_dimension_indexes", "recent_sessions_partial_index",
            "viewing_time_partitioning", "active_session_state_store", "session_end_summary",
            "abandoned_session_timeout", "content_popularity_by_completion", "user_cumulative_snapshot",
            "user_cumulative_snapshot_daily_upsert", "user_cumulative_snapshot_merge",
        ),
        headline=(
            "session_duration_seconds", "total_pause_duration_seconds", "number_of_pauses", "number_of_rewinds",
            "number_of_forwards", "completion_percentage", "watched_credits",
        ),
        notes={
            "viewing_model_alternatives": "Events alone, with every measure reckoned when asked, need no fold and cost"
            " a window over all events each time. Wider rows, with title and user beside the session, save joins and go"
            " stale when a title is renamed. A store for time series holds the newest events best, with sums of ended"
            " sessions in the warehouse. Here events are kept, folded once a day and day by day, and restated when"
            " late: the fold is the only place where a pause or a seek is defined.",
        },
    ),
)
