"""Policies hold on sound data, and each reports what breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from prodsense.packs import load_pack
from prodsense.packs.streaming.registry import VIEW, registry_rows, thresholds
from prodsense.warehouse import Warehouse

from .little import at, load, made_of, session

PACK = load_pack("streaming")
TITLES = [
    {"content_key": 1, "content_type": "movie", "content_name": "One"},
    *(
        {"content_key": 20 + n, "content_type": "episode", "series_key": 2, "episode_number": n, "content_name": f"E{n}"}
        for n in (1, 2)
    ),
    {"content_key": 2, "content_type": "series", "content_name": "Show"},
]  # fmt: skip
USERS = [{"user_key": 1, "user_id": "u1", "account_id": "a1"}, {"user_key": 2, "user_id": "u2", "account_id": "a2"}]
PROFILES = [{"profile_id": "1", "account_id": "a1"}, {"profile_id": "2", "account_id": "a2"}]
SOUND = [
    session(1, 1, 1, at("01 10:00"), 600, profile_key=1), session(2, 1, 21, at("01 11:00"), 600, series_key=2),
    session(3, 2, 22, at("01 11:00"), 600, series_key=2, profile_key=2),
]  # fmt: skip


def found(warehouse: Warehouse, name: str) -> list[str]:
    return [row["violation"] for row in warehouse.policies(f"streaming.{name}")[0].violations.rows]


def platform(*rows: dict[str, Any], **tables: Any) -> Any:
    given = {"dim_users": USERS, "dim_content": TITLES, "profiles": PROFILES, "fact_viewing_sessions": [*SOUND, *rows]}
    return made_of(given | tables, "session_facts", "viewers", "viewing_sessions", "sessions")


@pytest.mark.slow
def test_sound_data_keep_every_rule() -> None:
    with platform(metric_registry=registry_rows()) as warehouse:
        results = warehouse.policies(pack="streaming")
        assert {r.name for r in results} == set(PACK.policies)
        assert [(r.name, r.violations.rows) for r in results if not r.holds] == []


BROKEN = [
    ("episode_and_series_linkage", session(11, 1, 21, at("02 10:00"), 600), "does not say its series"),
    ("episode_and_series_linkage", session(12, 1, 21, at("03 10:00"), 600, series_key=7), "another series"),
    ("episode_and_series_linkage", session(13, 1, 2, at("04 10:00"), 600, series_key=2), "instead of the episode"),
    ("view_attribution_rule", session(14, 1, 1, at("01 10:00"), 600, profile_key=1), "credited twice"),
    ("view_attribution_rule", session(15, 1, 1, at("05 10:00"), 600, series_key=2), "that its title is not of"),
    ("view_attribution_rule", session(16, 1, 21, at("06 10:00"), 600, series_key=7), "that its title is not of"),
    ("view_attribution_rule", session(17, 1, 1, at("07 10:00"), 600, profile_key=2), "of another account"),
    ("view_attribution_rule", session(18, 1, 1, at("08 10:00"), 600, profile_key=8), "that nobody has"),
]


@pytest.mark.slow
def test_broken_sessions_are_named() -> None:
    with platform(*(row for _, row, _ in BROKEN)) as warehouse:
        for name, row, says in BROKEN:
            rows = warehouse.policies(f"streaming.{name}")[0].violations.rows
            assert [r for r in rows if r["session_id"] == row["session_id"] and says in r["violation"]], (row, rows)
        # Of the sound ones only that which is told twice.
        assert not {1, 2, 3} & {r["session_id"] for r in rows}


@pytest.mark.slow
def test_what_is_no_view_is_not_credited_and_events_name_one_profile() -> None:
    short = session(9, 1, 1, at("01 10:00"), 20, profile_key=1)
    events = [
        {"session_id": "s", "user_id": "u1", "profile_id": profile, "content_id": "1", "timestamp": at("03 10:00"),
         "event_type": "playback_start"}
        for profile in ("1", "2")
    ]  # fmt: skip
    with platform(short) as warehouse:
        assert found(warehouse, "view_attribution_rule") == []
        load(warehouse, {"playback_events": events}, "session_facts")
        assert found(warehouse, "view_attribution_rule") == ["the events of a player session name several users or profiles"]


REGISTRY = [
    ("view_definition_consistency", {"metric_name": "unique_viewers", "definition": "more than 60 seconds"}, "another rule"),
    ("view_definition_consistency", {"metric_name": "total_views", "definition": "at least 1 minute"}, "another rule"),
    ("view_definition_consistency", {"metric_name": "total_views", "definition": " "}, "no registered definition"),
    ("single_metric_overoptimization_guard", {"metric_name": "total_streaming_hours", "counter_metrics": None}, "family"),
    ("single_metric_overoptimization_guard",
     {"metric_name": "total_streaming_hours", "counter_metrics": "platform_csat, hook_rate"}, "family"),
    ("single_metric_overoptimization_guard",
     {"metric_name": "total_streaming_hours", "counter_metrics": "csat_of_ours, hook_rate, subscriber_churn_rate"},
     "nowhere defined"),
    ("single_metric_overoptimization_guard", {"metric_name": "kids_hours", "definition": "x"}, "family"),
]  # fmt: skip


@pytest.mark.slow
def test_a_broken_registry() -> None:
    with made_of({}, "viewers") as warehouse:
        for number, (name, row, says) in enumerate(REGISTRY, 2):
            # A newer version of one metric beside all others.
            load(warehouse, {"metric_registry": [*registry_rows(), {"version": 10 * number, **row}]}, "viewers")
            rows = warehouse.policies(f"streaming.{name}")[0].violations.rows
            assert any(says in r["violation"] for r in rows), (row, rows)
            good = next((r for r in registry_rows() if r["metric_name"] == row["metric_name"]), None)
            mended = good or {"metric_name": row["metric_name"], "definition": "x",
                              "counter_metrics": "platform_nps,completion_percentage,subscriber_churn_rate"}  # fmt: skip
            load(warehouse, {"metric_registry": [{**mended, "version": 10 * number + 5}]}, "viewers")
            assert found(warehouse, name) == [], row


@pytest.mark.slow
def test_the_registered_rule_is_the_one_applied() -> None:
    with made_of({"metric_registry": registry_rows()}, "viewers") as warehouse:
        load(warehouse, {"settings": [{"setting": "view_seconds", "value": 10}]}, "viewers")
        assert found(warehouse, "view_definition_consistency") == [
            "views are counted by another rule than the registered one"
        ]
    trailers = {"metric_name": "trailer_views", "version": 1, "definition": "more than 5 s", "content_type": "Trailer"}
    with made_of({"metric_registry": [*registry_rows(), trailers]}, "viewers") as warehouse:
        assert len(found(warehouse, "view_definition_consistency")) == 1
        load(warehouse, {"view_rules": [{"content_type": "trailer", "min_seconds": 5}]}, "viewers")
        assert found(warehouse, "view_definition_consistency") == []


def test_thresholds_of_a_text() -> None:
    assert thresholds(VIEW) == [30]
    assert thresholds("over 1.5 minutes, or 90 s") == [90] and thresholds("a stream of a title") == []
