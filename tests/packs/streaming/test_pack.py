"""The pack as a whole, beside what holds of every pack: what may be absent, and the fact as it was asked for."""

from __future__ import annotations

from pack_kit import required_columns

from prodsense.packs import load_pack

PACK = load_pack("streaming")


def test_columns_that_a_team_may_lack_are_nullable() -> None:
    required = required_columns(PACK)
    assert required["fact_viewing_sessions"] == {"session_id"}
    assert required["playback_events"] == {"timestamp", "event_type"}
    assert required["dim_users"] == {"user_key"}
    assert required["dim_content"] == {"content_key"}
    assert required["subscriptions"] == set()
    assert required["survey_responses"] == set()


def test_the_fact_has_the_columns_of_its_design() -> None:
    wanted = {
        "session_id", "user_key", "content_key", "device_key", "date_key", "time_key", "session_start_timestamp",
        "session_end_timestamp", "session_duration_seconds", "completion_status_key", "playback_position_seconds",
        "total_content_length_seconds", "total_pause_duration_seconds", "number_of_pauses", "number_of_rewinds",
        "number_of_forwards", "max_playback_quality", "completion_percentage", "watched_credits",
        "autoplay_enabled", "session_metadata",
    }  # fmt: skip
    assert wanted <= set(PACK.tables["fact_viewing_sessions"].columns)
    assert wanted <= set(PACK.models["viewing_sessions"].columns)
    assert PACK.completing("fact_viewing_sessions") == "viewing_sessions"
