"""Pipelines of the streaming pack: the batch path, the near-real-time path, and what keeps both right."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Pipeline
from prodsense.packs.computed import PackFunction

_from = partial(PackFunction, __package__)
_daily = partial(Pipeline, fresh_hours=24, late_days=3)

_FOLD = ("session_folds", "session_facts", "viewing_sessions", "sessions")

PIPELINES = (
    Pipeline(
        "playback_event_ingestion",
        "Playback events, loaded from files, a database or a message log (prodsense stream), into both paths: the"
        " session stream and the fold. Rows read are accepted, duplicate or quarantined; run it after each load.",
        fresh_hours=1,
        run=_from("live", "ingestion"),
    ),
    Pipeline(
        "near_real_time_playback_aggregation",
        "Takes in the events received since the last run, once each, and tells who watches now, which titles, and how"
        " many sessions are open and closed. Run it every minute; nothing is built.",
        fresh_hours=0.1,
        run=_from("live", "aggregate"),
    ),
    Pipeline(
        "active_session_state_store",
        "Keeps the state of open sessions in a store until they end or go silent, and lists them.",
        fresh_hours=0.1,
        run=_from("live", "state_store"),
    ),
    _daily(
        "batch_playback_analytics",
        "All that metrics read, from playback events: sessions, binges, seeks, and the daily aggregates.",
        models=(*_FOLD, "binges", "seeks", "agg_platform_daily", "agg_user_daily", "agg_content_daily"),
    ),
    _daily(
        "user_content_session_rollup",
        "Rolls events up to one row a user, title and session, with watched time, status, start and end;"
        " milestones stay for retention curves.",
        models=(*_FOLD, "playback_sessions", "title_milestones"),
    ),
    Pipeline(
        "session_end_summary",
        "Sums up sessions as they end, one row each in fact_viewing_sessions: an end told again changes nothing, a late"
        " event restates.",
        fresh_hours=1,
        late_days=3,
        run=_from("upkeep", "session_end_summary"),
    ),
    Pipeline(
        "abandoned_session_timeout",
        "Closes sessions without an end after session_timeout_minutes (30) of silence: they"
        " end with their last event, as abandoned.",
        fresh_hours=1,
        late_days=3,
        run=_from("upkeep", "abandoned_session_timeout"),
    ),
    _daily(
        "late_arriving_playback_events",
        "Restates the sessions, aggregates and totals that late events touch, and tells how late they were.",
        run=_from("upkeep", "late_arriving_events"),
    ),
    _daily(
        "out_of_order_playback_events",
        "Events are ordered by the time they happened before anything is derived; tells how many came in another order"
        " and proves on some of them that it changed nothing.",
        run=_from("upkeep", "out_of_order_events"),
    ),
    _daily(
        "precomputed_engagement_aggregates",
        "Users, hours, views and completions by day, for the platform, each user and each title; dashboards read them.",
        models=("agg_platform_daily", "agg_user_daily", "agg_content_daily"),
    ),
    _daily(
        "content_metadata_integration",
        "Titles as the content system knows them (genre, cast, year, series and episode) beside what is watched of"
        " them; titles that it does not know show.",
        models=("titles", "session_facts", "content_engagement"),
    ),
    _daily(
        "profile_resolution",
        "Credits viewing to the profiles of each account; profiles that the account does not have show.",
        models=("session_facts", "profile_engagement"),
    ),
    _daily(
        "content_version_mapping",
        "Maps versions (cuts, dubs) to their titles: engagement by version, which adds up to the title's.",
        models=("session_facts", "version_engagement"),
    ),
    _daily(
        "library_utilization_tracking",
        "Each available title on each day, watched or not; popular and cold titles.",
        models=("session_facts", "library_days", "popular_vs_cold_titles"),
    ),
    Pipeline(
        "near_real_time_recommendation_feed",
        "What each profile just watched, and how far, into recommendation_features; behind by as much as the last run."
        " Nothing is built.",
        fresh_hours=0.1,
        run=_from("feeds", "near_real_time_feed"),
    ),
    Pipeline(
        "batch_recommendation_feed",
        "Each profile's tastes over four weeks, into recommendation_features; behind by as much as the last build.",
        fresh_hours=24,
        run=_from("feeds", "batch_feed"),
    ),
    Pipeline(
        "viewing_dimension_indexes",
        "Indexes on the stored sessions by user, title and day, for look-ups of single ones.",
        fresh_hours=24,
        run=_from("upkeep", "dimension_indexes"),
    ),
    Pipeline(
        "recent_sessions_partial_index",
        "The sessions of the newest 7 days apart in recent_viewing_sessions, for what is watched now.",
        fresh_hours=1,
        run=_from("upkeep", "recent_sessions"),
    ),
    Pipeline(
        "viewing_time_partitioning",
        "By what the facts are parted in time, and whether every row lies in its own day.",
        fresh_hours=24,
        run=_from("upkeep", "time_partitioning"),
    ),
)
