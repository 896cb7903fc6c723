"""The registry of metrics as rows of `metric_registry` (see `packs.registry`): what is declared here, said once."""

from __future__ import annotations

from typing import Any

from prodsense.packs.registry import rows_of

from .metrics import METRICS

#: The one written rule of what counts as active; `active_days` applies it.
ACTIVE = (
    "At least one qualifying event on the day (every event but session_end, app_background and those only received,"
    " unless active_event_types says otherwise) or a session begun; of days in daily_user_activity, its rows."
)
#: Metrics that look good without meaning value: they never lead a report.
VANITY = frozenset({
    "app_review_volume", "l7_open_rate_literal", "average_posts_viewed_per_user", "average_posts_viewed_per_session",
})
#: Metrics of which more may be worse, each with what to show beside it.
COUNTER = {
    "time_spent_per_active_user_per_day": "survey_csat,dau_social_interaction_pct",
    "feed_scroll_depth": "dau_social_interaction_pct",
    "session_frequency_per_user": "survey_csat",
    "average_posts_viewed_per_user": "dau_social_interaction_pct",
    "average_posts_viewed_per_session": "dau_social_interaction_pct",
    "average_videos_viewed_per_user": "video_completion_rate",
    "average_videos_viewed_per_session": "video_completion_rate",
}
NEAR_REAL_TIME = frozenset({"daily_active_users", "session_frequency_per_user"})


def family(name: str) -> str:
    """Creation, consumption or interaction: families are read together."""
    if "creat" in name:
        return "creation"
    if "viewed" in name or "completion" in name or name in ("feed_scroll_depth", "time_spent_per_active_user_per_day"):
        return "consumption"
    if "interaction" in name or "connection" in name or "network" in name:
        return "interaction"
    return "other"


def registry_rows() -> list[dict[str, Any]]:
    """One row a visible metric, version 1."""
    return rows_of(METRICS, lambda metric: {
        "active_definition": ACTIVE,
        "is_vanity": metric.name in VANITY,
        "counter_metrics": COUNTER.get(metric.name),
        "freshness": "near_real_time" if metric.name in NEAR_REAL_TIME else "daily_batch",
        "family": family(metric.name),
    })
