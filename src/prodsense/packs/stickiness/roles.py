"""Who may see what of a platform's users: personal columns, people behind the numbers, how a user is forgotten."""

from __future__ import annotations

from prodsense.contracts.vocabulary import ALL, Role, Subject

#: Personal beyond what its name says: free attributes may hold anything.
PERSONAL = ("user_events.attributes",)

#: Relation → an aggregate that counts people, where no column names them; elsewhere user_id does. What is said in
#: public is about nobody.
PEOPLE = {"network_pairs": "COUNT(DISTINCT pair)", "store_reviews": (), "mentions": ()}

ROLES = (
    Role(
        "executive",
        "Sees the whole, in groups of five people or more; no single row.",
        rows=None,
        may={
            **dict.fromkeys(("metrics", "dashboards", "questions", "experiments", "policies"), ALL),
            "queries": ("active_days_shares", "activity_levels", "retention_by_week", "tier_sizes"),
        },
        k=5,
        counts={
            "active_days_shares": ("users", "month", "active_days"),
            "activity_levels": ("users", "month", "active_days"),
            "retention_by_week": ("users", "signup_week", "day_n"),
            "tier_sizes": ("users", "period", "tier"),
        },
    ),
)

SUBJECTS = (
    Subject(
        "user",
        "Who has an account, or acts without one.",
        "users.user_id",
        columns={
            **dict.fromkeys(
                (
                    "user_events", "sessions", "daily_user_activity", "survey_responses", "user_ltv",
                    "user_engagement_tiers", "experiment_assignments",
                ),
                ("user_id",),
            ),
            "connections": ("user_id", "connected_user_id"),
        },
    ),
)  # fmt: skip
