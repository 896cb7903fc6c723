"""Charts and pages of the stickiness pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Chart, Dashboard, Section

_daily = partial(Chart, question="Q5.1.1")
_weekly = partial(Chart, grain="week", question="Q5.1.1")
_whole = partial(Chart, grain="all", form="bar", question="Q5.1.1")

CHARTS = (
    Chart(
        "active_days_histogram",
        "Percent of the newest month's users by the days they were active: from casual to power users. By slice:"
        " prodsense analyze active_days_distribution --param by=device --chart FILE.",
        query="active_days_shares",
        form="histogram",
        x="active_days",
        y="percent_of_users",
        question="Q5.1.1",
    ),
    Chart(
        "power_user_curve",
        "Percent of users by active days in the two newest months that are over,"
        " with the tiers that so many days make.",
        query="activity_levels",
        form="line",
        x="active_days",
        y="percent_of_users",
        by=("month_and_tier",),
        question="Q5.1.1",
    ),
    _daily(
        "active_users_by_day",
        "Users active on a day, in its last 7 and its last 28 days.",
        metrics=("daily_active_users", "weekly_active_users", "monthly_active_users"),
    ),
    _daily("stickiness_by_day", "DAU over MAU.", metrics=("dau_mau_ratio",)),
    _daily(
        "active_users_by_device", "Users active on a day, by device.", metrics=("daily_active_users",), by=("device",)
    ),
    _weekly("sessions_per_user", "Sessions an active user and week.", metrics=("session_frequency_per_user",)),
    Chart(
        "retention_by_cohort",
        "Percent of new users who are there on day 1, 7 and 30, by week of signup.",
        query="retention_by_week",
        form="line",
        x="signup_week",
        y="percent_retained",
        by=("day",),
        question="Q5.1.1",
    ),
    _whole(
        "day_7_by_channel",
        "Share of new users who are there on day 7, by channel.",
        metrics=("d7_retention",),
        by=("acquisition_source",),
    ),
    _weekly(
        "creation_by_type",
        "Share of daily active users who create, by what.",
        metrics=("dau_creating_content_pct",),
        by=("creation_type",),
    ),
    _weekly(
        "interaction_by_type",
        "Share of daily active users who turn to others, by how.",
        metrics=("dau_social_interaction_pct",),
        by=("interaction_type",),
    ),
    _weekly(
        "views_per_user",
        "Posts, videos and stories viewed an active user and day.",
        metrics=("average_posts_viewed_per_user", "average_videos_viewed_per_user", "average_stories_viewed_per_user"),
    ),
    _weekly(
        "time_spent",
        "Minutes an active user and day; read it beside satisfaction.",
        metrics=("time_spent_per_active_user_per_day",),
    ),
    _weekly(
        "adoption_of_features",
        "Share of daily active users who use each feature.",
        metrics=("feed_adoption_pct", "stories_adoption_pct", "messaging_adoption_pct", "groups_adoption_pct"),
    ),
    Chart(
        "balance_of_the_ecosystem",
        "Creation, interaction and consumption a day, four weeks beside the four before.",
        query="ecosystem_balance",
        form="table",
        question="Q5.1.1",
    ),
    Chart(
        "users_by_tier",
        "Percent of users in each tier, by month.",
        query="tier_sizes",
        form="bar",
        x="period",
        y="percent_of_users",
        by=("tier",),
        question="Q5.1.1",
    ),
)

DASHBOARDS = (
    Dashboard(
        "stickiness_overview",
        "How often people come back, what they do when they are there, and who is about to leave.",
        (
            Section(
                "Who is there",
                ("dau_mau_ratio", "daily_active_users", "monthly_active_users", "l7_active_days"),
                ("stickiness_by_day", "active_users_by_day", "active_days_histogram", "power_user_curve"),
                ("active_user_definition",),
            ),
            Section(
                "Who comes back",
                ("d1_retention", "d7_retention", "d30_retention", "rolling_retention", "resurrection_rate"),
                ("retention_by_cohort", "day_7_by_channel", "users_by_tier"),
            ),
            Section(
                "How often, how long",
                (
                    "session_frequency_per_user",
                    "inter_session_interval",
                    "time_spent_per_active_user_per_day",
                    "survey_csat",
                ),
                ("sessions_per_user", "time_spent"),
                ("time_spent_quality_guard",),
            ),
        ),
        role="product",
        by=("age_group", "region", "acquisition_source", "device"),
    ),
    Dashboard(
        "ecosystem_balance",
        "Creation, interaction and consumption together: a fall in one can be fine if a more valuable one rises.",
        (
            Section(
                "Creation", ("dau_creating_content_pct", "average_creations_per_creating_user"), ("creation_by_type",)
            ),
            Section(
                "Interaction",
                (
                    "dau_social_interaction_pct",
                    "average_social_interactions_per_user_per_day",
                    "private_to_public_interaction_ratio",
                    "connection_growth_rate",
                ),
                ("interaction_by_type",),
            ),
            Section(
                "Consumption",
                ("video_completion_rate", "story_completion_rate", "feed_scroll_depth"),
                ("views_per_user",),
            ),
            Section(
                "Together",
                charts=("balance_of_the_ecosystem", "adoption_of_features"),
                policies=("ecosystem_balance_rule", "vanity_metric_guard"),
            ),
        ),
        role="product",
        by=("age_group", "region", "acquisition_source", "device"),
    ),
)
