"""The fold of playback events into sessions, by hand and against the oracle."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from prodsense.warehouse import Warehouse

from .oracle import Platform, key_of

ORACLE = Platform()


def session(platform: Warehouse, session_id: int) -> dict[str, Any]:
    (row,) = platform.show("streaming.fact_viewing_sessions", where=f"session_id = {session_id}").rows
    return row


def test_pauses_seeks_and_repeats_across_midnight(platform: Warehouse) -> None:
    row = session(platform, key_of("sA"))
    # 23:30 to 0:30; paused 23:50 to 0:10; a beat, the first seek and the start came twice, which changes nothing.
    assert row["session_start_timestamp"] == datetime(2024, 1, 20, 23, 30)
    assert row["session_end_timestamp"] == datetime(2024, 1, 21, 0, 30)
    assert (row["session_date"], row["date_key"], row["time_key"]) == (date(2024, 1, 20), 20240120, 23 * 60 + 30)
    assert (row["session_duration_seconds"], row["total_pause_duration_seconds"]) == (3600, 1200)
    assert row["view_duration_seconds"] == 2400
    assert (row["number_of_pauses"], row["number_of_rewinds"], row["number_of_forwards"]) == (1, 1, 1)
    # Furthest 2710 of 5400, although it stopped at 1590: a rewind before leaving takes nothing away.
    assert (row["playback_position_seconds"], row["furthest_position_seconds"]) == (1590, 2710)
    assert row["completion_percentage"] == pytest.approx(100 * 2710 / 5400)
    assert (row["max_playback_quality"], row["autoplay_enabled"], row["view_source"]) == (2160, True, "search")
    assert (row["user_key"], row["profile_id"], row["account_id"], row["completion_status_key"]) == (1, "p1", "a1", 6)


def test_a_seek_to_the_end_completes_nothing(platform: Warehouse) -> None:
    row = session(platform, key_of("sC"))
    assert (row["furthest_position_seconds"], row["is_completed"]) == (300, False)
    assert row["completion_percentage"] == pytest.approx(100 * 300 / 3600)


def test_a_session_of_two_titles_is_two_and_silence_is_abandoned(platform: Warehouse) -> None:
    first = session(platform, key_of("sB"))
    second = session(platform, key_of("sB/c22"))
    assert (first["content_key"], first["completion_percentage"], first["completion_status_key"]) == (21, 100, 5)
    assert (second["content_key"], second["completion_status_key"]) == (22, 6)
    # No end came: it ended with its last event.
    assert second["session_end_timestamp"] == datetime(2024, 1, 22, 20, 40)


def test_an_open_session_has_no_end(platform: Warehouse) -> None:
    row = session(platform, key_of("sD"))
    assert row["is_open"]
    assert (row["session_end_timestamp"], row["session_duration_seconds"], row["completion_status_key"]) == (None,) * 3
    assert row["view_duration_seconds"] == 1200  # so far


def test_events_without_a_session_are_cut_by_silence(platform: Warehouse) -> None:
    rows = platform.show("streaming.session_folds", where="user_id = '5'").rows
    # Half an hour of silence from 10:20 to 10:50 is long enough.
    assert sorted(row["started_at"].strftime("%H:%M") for row in rows) == ["10:00", "10:50"]


def test_a_version_is_its_title(platform: Warehouse) -> None:
    row = session(platform, key_of("sH"))
    assert (row["content_key"], row["version_id"], row["user_key"]) == (10, "c10-dub", key_of("u9"))
    # Played into the credits at 3400 and half of their 200 s: completed, and the credits watched.
    assert (row["completion_status_key"], row["watched_credits"]) == (5, True)


def test_a_told_session_wins_and_events_fill_what_it_leaves_open(platform: Warehouse) -> None:
    row = session(platform, 2001)
    assert (row["number_of_forwards"], row["number_of_pauses"], row["completion_status_key"]) == (3, 1, 6)
    assert (row["total_pause_duration_seconds"], row["view_source"]) == (60, "recommendation")
    row = session(platform, 1019)  # its events are those of fact_viewing_events
    assert (row["session_duration_seconds"], row["total_pause_duration_seconds"]) == (540, 120)
    assert (row["number_of_rewinds"], row["max_playback_quality"], row["content_key"]) == (1, 480, 31)


def test_a_resumed_session_gets_no_credit_for_what_came_before(platform: Warehouse) -> None:
    row = session(platform, key_of("sJ"))
    assert (row["start_position_seconds"], row["view_duration_seconds"], row["is_view"]) == (1400, 20, False)


def test_a_seek_to_nowhere_has_no_direction(platform: Warehouse) -> None:
    row = session(platform, key_of("sK"))
    assert (row["number_of_rewinds"], row["number_of_forwards"], row["furthest_position_seconds"]) == (0, 0, 300)


def test_a_day_by_its_key_alone(platform: Warehouse) -> None:
    row = session(platform, 1004)
    assert (row["session_date"], row["date_key"], row["time_key"]) == (date(2024, 1, 5), 7, None)
    assert row["view_duration_seconds"] == 0  # longer paused than there


def test_every_session_is_that_of_the_oracle(platform: Warehouse) -> None:
    def told(values: list[dict[str, Any]]) -> list[tuple[str, ...]]:
        return sorted(tuple("" if v is None else f"{v:.6f}" if isinstance(v, float) else str(v) for v in row.values())
                      for row in values)

    names = {
        "user_key": "user_key", "content_key": "content_key", "device_key": "device_key", "session_start_timestamp": "start",
        "total_pause_duration_seconds": "paused", "number_of_pauses": "pauses", "number_of_rewinds": "rewinds",
        "number_of_forwards": "forwards", "max_playback_quality": "quality", "watched_credits": "watched_credits",
        "autoplay_enabled": "autoplay", "furthest_position_seconds": "furthest", "completion_percentage": "completion",
        "view_duration_seconds": "watched", "is_open": "is_open", "is_view": "is_view", "is_completed": "is_completed",
        "account_id": "account", "view_source": "view_source", "completion_status_key": "completion_status_key",
        "date_key": "date_key", "time_key": "time_key", "series_key": "series_key", "reached_credits": "reached_credits",
    }
    floats = {"paused", "pauses", "rewinds", "forwards", "quality", "furthest", "completion", "watched"}

    def plain(name: str, value: Any) -> Any:
        return float(value) if name in floats and value is not None else value

    rows = platform.show("streaming.viewing_sessions", limit=None).rows
    found = told([{n: plain(n, row[column]) for column, n in names.items()} for row in rows])
    wanted = told([{n: plain(n, s[n]) for n in names.values()} for s in ORACLE.sessions])
    for a, b in zip(found, wanted, strict=True):
        assert a == b


def test_tables_that_models_complete_show_both_kinds(platform: Warehouse) -> None:
    assert len(platform.show("streaming.fact_viewing_sessions", limit=None)) == len(ORACLE.sessions)
    told = platform.show("streaming.fact_viewing_events", limit=None).rows
    assert {"seek", "pause", "complete"} <= {row["event_type"] for row in told}
    assert sum(row["event_id"] is not None for row in told) == 7
    reached = platform.show("streaming.playback_milestones_reached", limit=None, where="session_id = 1008").rows
    assert sorted(row["milestone_pct"] for row in reached) == [1, 5, 25]  # 600 of 1500 seconds are 40 percent
