"""Charts and pages of the streaming pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Chart, Dashboard, Section

_daily = partial(Chart, question="Q3.1.1")
_weekly = partial(Chart, grain="week", question="Q3.1.1")
_monthly = partial(Chart, grain="month", question="Q3.1.1")
_whole = partial(Chart, grain="all", form="bar", question="Q3.1.1")

CHARTS = (
    Chart(
        "audience_retention_chart",
        "Percent of viewers still watching at each point of the title with most viewers; dots where far"
        " more leave than around. Any title, slice or second: prodsense analyze"
        " audience_retention_curve --param content_key=4 --chart FILE.",
        query="audience_retention", form="line", x="percent_of_title", y="percent_watching", by=("line",),
        question="Q3.1.1",
    ),
    _daily("viewers_by_day", "Users who watch on a day.", metrics=("daily_active_users",)),
    _daily(
        "streaming_hours_by_day", "Hours watched; read them beside satisfaction.", metrics=("total_streaming_hours",)
    ),
    _daily("stickiness_by_day", "DAU over the users of 28 days.", metrics=("dau_mau_ratio",)),
    _weekly(
        "hours_by_genre", "Hours watched by main genre.", metrics=("total_streaming_hours",), by=("genre",), form="area"
    ),
    _weekly(
        "views_by_source", "Views by how the title was reached.", metrics=("total_views",), by=("view_source",),
        form="area",
    ),
    _monthly(
        "subscribers_by_month", "Subscriptions begun and ended.", metrics=("new_subscribers", "churned_subscribers")
    ),
    _whole("watch_time_by_tier", "Minutes a viewer, by tier.", metrics=("average_watch_time_per_user",),
           by=("subscription_tier",)),
    _whole(
        "reasons_of_churn", "Share of ended subscriptions by the reason captured.", metrics=("churn_reason_breakdown",),
        by=("churn_reason",),
    ),
    _whole(
        "hook_by_series", "Share of those who start a series' first episode that finish it.", metrics=("hook_rate",),
        by=("series_key",),
    ),
    _whole("completion_by_kind", "Movies and series finished over those started.",
           metrics=("user_title_completion_rate",), by=("content_type",)),
    _weekly("binges_by_week", "Binge sessions an active user.", metrics=("binge_session_frequency",)),
    _weekly(
        "adoption_of_features", "Share of active users who use each feature.",
        metrics=("profiles_adoption_rate", "downloads_adoption_rate", "watchlist_adoption_rate",
                 "parental_controls_adoption_rate"),
    ),
    _weekly("satisfaction_by_week", "Share of satisfied answers.", metrics=("platform_csat",)),
    Chart(
        "popular_and_cold_titles", "Titles that could be watched in the newest 28 days, by whether they were.",
        query="titles_by_popularity", form="bar", x="popularity", y="titles", question="Q3.1.1",
    ),
    Chart(
        "titles_by_completion", "Titles by how far their viewers get.", query="content_popularity_by_completion",
        form="table", params={"min_sessions": 20}, question="Q3.2.1",
    ),
    Chart(
        "unique_viewers_of_shows", "Viewers of each show, counted once; not the sum of its episodes.",
        query="shows_by_unique_viewers", form="table", question="Q3.1.1",
    ),
    _daily(
        "session_measures_by_day", "Mean seconds of a session: elapsed, and paused.",
        metrics=("session_duration_seconds", "total_pause_duration_seconds"), question="Q3.2.1",
    ),
)  # fmt: skip

DASHBOARDS = (
    Dashboard(
        "streaming_overview",
        "Who watches, how much and how they like it: no number of hours alone.",
        (
            Section(
                "The platform",
                ("total_streaming_hours", "daily_active_users", "monthly_active_users", "dau_mau_ratio",
                 "percentage_completion", "platform_csat", "subscriber_churn_rate"),
                ("streaming_hours_by_day", "viewers_by_day", "hours_by_genre", "stickiness_by_day",
                 "satisfaction_by_week"),
                ("single_metric_overoptimization_guard", "view_definition_consistency"),
            ),
            Section(
                "Subscriptions",
                ("new_subscribers", "churned_subscribers", "subscription_growth_rate", "trial_to_paid_conversion_rate"),
                ("subscribers_by_month", "reasons_of_churn"),
            ),
            Section(
                "People",
                ("average_watch_time_per_user", "sessions_per_user", "unique_genres_watched_per_user",
                 "binge_session_frequency", "days_since_last_active"),
                ("watch_time_by_tier", "binges_by_week", "adoption_of_features"),
            ),
        ),
        role="product",
        by=("age_group", "region", "subscription_tier"),
    ),
    Dashboard(
        "title_performance",
        "What titles do: how they are found, how far they are watched, who comes back.",
        (
            Section(
                "Found and watched",
                ("total_views", "unique_viewers", "recommendation_ctr", "content_library_utilization_rate"),
                ("views_by_source", "hours_by_genre", "popular_and_cold_titles", "unique_viewers_of_shows"),
            ),
            Section(
                "To the end",
                ("percentage_completion", "hook_rate", "rewatch_rate", "intro_skip_rate", "credits_skip_rate",
                 "title_likes", "subscriber_churn_rate"),
                ("audience_retention_chart", "hook_by_series", "completion_by_kind", "titles_by_completion"),
                ("episode_and_series_linkage", "view_attribution_rule"),
            ),
        ),
        role="content",
        by=("genre", "content_age", "production_type"),
    ),
)  # fmt: skip
