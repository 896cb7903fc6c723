"""One session told event by event: by hand, and equal to the fold in windows of every session of the tiny platform."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.packs.streaming.timeline import measures, quality_level, rebuild
from prodsense.warehouse import Warehouse

NOON = datetime(2024, 1, 1, 12)
START, PROGRESS, SEEK, QUALITY, PAUSE, RESUME, COMPLETE = 1, 2, 3, 5, 7, 8, 9


def event(second: int, step: int, position: float | None, seek_to: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "occurred_at": NOON + timedelta(seconds=second), "step": step, "position": position, "seek_to": seek_to,
        "quality": None, "autoplay": None, **more,
    }  # fmt: skip


#: Plays to 60, pauses for 40 s, plays to 120, jumps to 300, plays to 330, goes back to 90, plays to 110, pauses at the end.
EVENTS = [
    event(0, START, 0, quality="HD", autoplay=True), event(60, PAUSE, 60), event(100, RESUME, 60),
    event(160, SEEK, 120, 300), event(190, PROGRESS, 330, quality="4K"), event(190, SEEK, 330, 90),
    event(210, PAUSE, 110), event(240, 4, 110),
]  # fmt: skip


def test_a_session_by_hand() -> None:
    line = rebuild(EVENTS)
    told = [(row["what"], row["seconds"], row["from_position"], row["to_position"]) for row in line.rows]
    assert told == [
        ("quality", 0, 0, 0), ("played", 60, 0, 60), ("paused", 40, 60, 60), ("played", 60, 60, 120),
        ("forward", 0, 120, 300), ("played", 30, 300, 330), ("quality", 0, 330, 330), ("rewind", 0, 330, 90),
        ("played", 20, 90, 110), ("paused", 30, 110, 110),
    ]  # fmt: skip
    found = measures(line, EVENTS, {"length_seconds": 400, "credits_start_seconds": 320, "content_name": "One"})
    assert {
        "session_duration_seconds": 240, "total_pause_duration_seconds": 70, "view_duration_seconds": 170,
        "number_of_pauses": 2, "number_of_rewinds": 1, "number_of_forwards": 1, "playback_position_seconds": 110,
        "furthest_position_seconds": 330, "completion_percentage": 82.5, "watched_credits": True,
        "max_playback_quality": 2160, "autoplay_enabled": True, "has_end": False,
    }.items() <= found.items()  # fmt: skip


def test_order_of_arrival_and_events_told_twice_change_nothing() -> None:
    wanted = measures(rebuild(EVENTS), EVENTS, {})
    mixed = [*EVENTS, EVENTS[3], EVENTS[1], EVENTS[5]]
    for seed in range(5):
        random.Random(seed).shuffle(mixed)
        assert measures(rebuild(mixed), mixed, {}) == wanted


def test_a_jump_to_the_end_is_not_watched() -> None:
    events = [event(0, START, 0), event(10, SEEK, 10, 3590), event(10, COMPLETE, 3590)]
    assert rebuild(events).furthest == 10


def test_quality_levels() -> None:
    assert [quality_level(q) for q in ("sd", "720p", "4K", "Full HD", "best", None)] == [480, 720, 2160, 1080, None, None]


def test_every_session_equals_the_fold(platform: Warehouse) -> None:
    folds = platform.show("streaming.session_folds", limit=None).rows
    assert len(folds) > 5
    for fold in folds:
        events = platform.engine.query(
            "SELECT occurred_at, step, position, seek_to, quality, autoplay FROM streaming.playback_log"
            " WHERE session_key = :key AND COALESCE(content_id, '') = :title",
            {"key": fold["session_key"], "title": fold["content_id"]},
        ).to_pylist()
        line = rebuild(events)
        found = measures(line, events, {})
        assert (
            found["session_start_timestamp"], found["session_end_timestamp"], found["total_pause_duration_seconds"],
            line.pauses, line.rewinds, line.forwards, line.furthest, line.quality, line.autoplay, found["has_end"],
        ) == (
            fold["started_at"], fold["last_event_at"], fold["paused_seconds"], fold["pauses"], fold["rewinds"],
            fold["forwards"], fold["furthest_position"], fold["max_quality"], fold["autoplay"], fold["has_end"],
        ), fold["session_key"]  # fmt: skip


def test_the_function_reads_either_table_and_refuses_what_is_not_there(platform: Warehouse) -> None:
    answer = platform.analyze("streaming.reconstruct_viewing_session", session_id="1019")
    assert answer.extras["number_of_rewinds"] == 1 and answer.extras["max_playback_quality"] == 480
    assert [row["what"] for row in answer.rows][:2] == ["played", "rewind"]
    with pytest.raises(UsageError, match="no playback event of session nobody"):
        platform.analyze("streaming.reconstruct_viewing_session", session_id="nobody")
