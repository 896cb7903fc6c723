"""Pipelines of the stickiness pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Pipeline
from prodsense.packs.computed import PackFunction

_from = partial(PackFunction, __package__)

PIPELINES = (
    Pipeline(
        "daily_user_activity_aggregation",
        "Each day, by user: who was active, with interactions, creations and features used; sessions; active days of"
        " the month; tiers; the summary. Platform metrics read it.",
        models=(
            "active_days", "feature_days", "session_facts", "members", "user_month_active_days", "user_tiers",
            "user_activity_summary",
        ),
        fresh_hours=24,
        late_days=1,
    ),
    Pipeline(
        "cohort_analysis_store",
        "Cohorts by day of signup, channel, campaign and device with their active users by day of life, so that"
        " retention over many slices is a sum over few rows.",
        models=("active_days", "members", "cohort_daily"),
        fresh_hours=24,
        late_days=1,
    ),
    Pipeline(
        "stream_activity_aggregation",
        "The near-real-time path: takes in the events received since the last run, once each, closes sessions as the"
        " watermark passes, and tells the newest day as it stands. Run it every minute; nothing is built.",
        fresh_hours=0.1,
        run=_from("streaming", "stream_activity"),
    ),
    Pipeline(
        "historical_recalculation",
        "When a setting, the active rule or a definition of the registry has changed, builds all models anew over the"
        " whole history and records the new version; else does nothing.",
        fresh_hours=24,
        run=_from("recalculation", "recalculate"),
    ),
    Pipeline(
        "engagement_data_validation",
        "Checks of the data behind the core metrics, to pass before they are published: gaps, repeats, clocks,"
        " unknown users, platforms gone quiet, quarantined rows, and whether events and daily activity agree.",
        fresh_hours=24,
        run=_from("validation", "validate"),
    ),
)
