"""Controlled tests of stickiness. In the log an arm called control is the control, any other name the treatment.

A log that names no experiment (a file with only users and arms) counts for either.
"""

from __future__ import annotations

from prodsense.contracts.vocabulary import Experiment


def _log(name: str) -> str:
    return (
        "SELECT a.user_id AS unit, CASE WHEN LOWER(a.variant) = 'control' THEN 'control' ELSE 'treatment' END AS arm,"
        " a.assigned_at, m.acquisition_source FROM experiment_assignments AS a"
        " LEFT JOIN members AS m ON m.user_id = a.user_id"
        f" WHERE NOT COALESCE(m.is_internal, FALSE) AND COALESCE(a.experiment, '{name}') = '{name}'"
    )


EXPERIMENTS = (
    Experiment(
        "onboarding_flow_test",
        "A new onboarding flow against the old one: do more new users come back on day 7?",
        unit="new user",
        arms=("control", "treatment"),
        primary=("d7_retention",),
        secondary=("d1_retention", "d30_retention"),
        guardrails={"average_social_interactions_per_user_per_day": "10%"},
        plan="New users are split at signup. Only users whose day 7 has passed count, in both arms alike. The split is"
        " checked before any effect. Day 1 and day 30 are shown and decide nothing; the new flow may not bring in"
        " users who turn to others a tenth less.",
        key="user_id",
        sql=_log("onboarding_flow_test"),
        # A cohort is dated by midnight of its signup day, which may lie before the moment of assignment.
        since_assignment=False,
    ),
    Experiment(
        "notification_strategy_test",
        "A new notification strategy against the old one: do users come back for more sessions?",
        unit="user",
        arms=("control", "treatment"),
        primary=("session_frequency_per_user",),
        secondary=("time_spent_per_active_user_per_day",),
        guardrails={"average_social_interactions_per_user_per_day": "10%", "dau_creating_content_pct": "10%"},
        plan="Users are split once and keep their arm; sessions count from the assignment on, and those of the four"
        " weeks before explain variance away. The split is checked before any effect. More sessions may not come at the"
        " cost of what users do in them: interactions and creation are guardrails.",
        key="user_id",
        sql=_log("notification_strategy_test"),
        before_days=28,
    ),
)
