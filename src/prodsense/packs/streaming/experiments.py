"""Controlled tests of how titles are found. In the log an arm called control is the control, any other the treatment.

A log that names no experiment (a file with only users and arms) counts for any of them. Users are split once and keep
their arm; what they do counts from the assignment on. The split is checked before any effect.
"""

from __future__ import annotations

from prodsense.contracts.vocabulary import Experiment


def _log(name: str) -> str:
    return (
        "SELECT text_of(COALESCE(u.user_key, key_of(a.user_id))) AS unit,"
        " CASE WHEN LOWER(a.arm) = 'control' THEN 'control' WHEN a.arm IS NOT NULL THEN 'treatment' END AS arm,"
        " a.assigned_at, u.region, u.age_group"
        " FROM experiment_assignments AS a LEFT JOIN viewers AS u ON u.user_id = a.user_id"
        f" WHERE NOT COALESCE(u.is_internal, FALSE) AND COALESCE(a.experiment_id, '{name}') = '{name}'"
    )


def _test(name: str, says: str, primary: str, secondary: tuple[str, ...], plan: str) -> Experiment:
    return Experiment(
        name, says, unit="user", arms=("control", "treatment"), primary=(primary,), secondary=secondary,
        guardrails={"total_streaming_hours": "10%", "percentage_completion": "10%"},
        plan=f"{plan} Neither hours watched nor how much of a title is watched may fall by a tenth.", key="user_key",
        sql=_log(name),
    )  # fmt: skip


EXPERIMENTS = (
    _test(
        "browse_layout_test",
        "A new layout of the catalogue against the old one: do users find more to watch by browsing?",
        "browsed_views", ("recommendation_ctr", "total_views"),
        "Views reached by browsing, a user, decide; clicks on recommendations and all views are shown, so that browsing"
        " that only takes views from elsewhere is seen.",
    ),
    _test(
        "search_results_presentation_test",
        "A new way to show search results against the old one: do more searches end in a title?",
        "search_success_rate", ("total_views",),
        "The share of searches that end in a click decides; it is a ratio of sums"
        " over users, with its error from users.",
    ),
    _test(
        "recommendation_display_test",
        "A new way to show recommendations against the old one: are they clicked more?",
        "recommendation_ctr", ("recommended_views", "total_views"),
        "Clicks over impressions decide, a ratio of sums over users; views that follow are shown.",
    ),
)  # fmt: skip
