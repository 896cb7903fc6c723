"""Every pipeline runs, runs again without harm, and does what it says with late, doubled, open and disordered events."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .little import at, load

PACK = load_pack("streaming")
KINDS = ("playback_start", "playback_progress", "playback_pause", "playback_resume", "playback_stop")


def events(key: str, user: str, start: datetime, *, end: bool = True, content: str = "c1", late: int = 1) -> list[dict[str, Any]]:
    """A session: plays 60 s, pauses 30 s, plays 30 s; received `late` seconds after."""
    steps = ((0, 0, 0), (60, 1, 60), (60, 2, 60), (90, 3, 60), (120, 4, 90))
    return [
        {
            "event_id": f"{key}-{second}-{kind}", "session_id": key, "user_id": user, "profile_id": f"{user}-0",
            "content_id": content, "timestamp": start + timedelta(seconds=second),
            "received_at": start + timedelta(seconds=second + late), "event_type": KINDS[kind],
            "current_playback_position": float(position), "seek_to_position": None,
            "event_date": (start + timedelta(seconds=second)).date(),
        }
        for second, kind, position in steps[: 5 if end else 4]
    ]  # fmt: skip


BASE = {
    "dim_users": [{"user_key": 1, "user_id": "u1", "account_id": "a1"}, {"user_key": 2, "user_id": "u2"}],
    "dim_content": [
        {"content_key": 1, "content_id": "c1", "content_name": "One", "genre": "drama", "length_seconds": 100,
         "content_type": "movie"},
        {"content_key": 2, "content_id": "c2", "content_name": "Two", "genre": "comedy", "length_seconds": 100,
         "content_type": "movie"},
    ],
    "profiles": [{"profile_id": "u1-0", "account_id": "a1"}],
    "content_versions": [{"version_id": "c1-dub", "content_id": "c1", "version_type": "dub"}],
    "content_availability": [{"content_id": "c1"}, {"content_id": "c2"}],
    "playback_events": [
        *events("s1", "u1", at("01 20:00")), *events("s2", "u2", at("01 21:00"), end=False),
        *events("s3", "u1", at("02 20:00"), content="c1-dub"), *events("s4", "u2", at("02 20:05"), content="c9"),
        *events("s5", "u1", at("02 20:08"), content="c2", end=False)[:2],
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.duckdb"
    with prodsense.warehouse.open(path) as warehouse:
        load(warehouse, BASE, "session_facts", "viewers")
    return path


@pytest.fixture
def small(built: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the little platform that a test may change."""
    path = tmp_path / "small.duckdb"
    shutil.copy(built, path)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse


def run(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    return warehouse.run_pipeline(f"streaming.{name}").rows


def numbers(rows: list[dict[str, Any]], key: str = "number") -> dict[str, Any]:
    return {row[key]: row["value"] for row in rows}


@pytest.mark.slow
def test_every_pipeline_runs_twice(small: Warehouse) -> None:
    for name, pipeline in PACK.pipelines.items():
        for _ in range(2):
            result = small.run_pipeline(f"streaming.{name}")
            # The store may be empty: what came last waits for the watermark.
            assert result.ok if pipeline.run is None else result.rows or name == "active_session_state_store", name
        assert not set(pipeline.models) - set(PACK.models)


def test_both_paths_take_each_event_once(small: Warehouse) -> None:
    steps = {row["step"]: row["rows"] for row in run(small, "playback_event_ingestion")}
    total = len(BASE["playback_events"])
    assert (steps["rows read"], steps["rows accepted"], steps["events taken in"]) == (total, total, total)
    again = [*BASE["playback_events"], *events("s6", "u2", at("02 20:20"))]
    load(small, {"playback_events": again}, "session_facts")
    steps = {row["step"]: row["rows"] for row in run(small, "playback_event_ingestion")}
    assert steps["rows read"] == steps["rows accepted"] + steps["rows duplicate"] == 2 * total + 5
    assert steps["events taken in"] == 5


def test_the_newest_state(small: Warehouse) -> None:
    rows = run(small, "near_real_time_playback_aggregation")
    found = numbers(rows)
    assert found["viewers_now"] == 1 and found["events_too_late_for_the_stream"] == 0
    assert {row["title"]: row["value"] for row in rows if row["number"] == "viewers_of_title_now"} == {"c2": 1}
    # Two ended, one timed out; what came in the last minutes waits for the watermark.
    assert found["sessions_closed_so_far"] >= 2
    load(small, {"playback_events": events("s7", "u2", at("02 20:30"))}, "session_facts")
    open_now = {row["session_id"] for row in run(small, "active_session_state_store")}
    assert "s5" in open_now and not {"s1", "s2", "s3"} & open_now
    load(small, {"playback_events": events("s8", "u2", at("02 22:00"))}, "session_facts")
    assert "s5" not in {row["session_id"] for row in run(small, "active_session_state_store")}


@pytest.mark.slow
def test_ends_are_told_once_and_late_events_restate(small: Warehouse) -> None:
    def states() -> dict[str, int]:
        rows = run(small, "session_end_summary")
        assert all(row["rows_in_fact"] == row["sessions"] for row in rows)
        return {row["state"]: row["sessions"] for row in rows}

    assert states() == {"ended by the player": 3, "ended by the timeout": 1, "open": 1}
    twice = [{**events("s1", "u1", at("01 20:00"))[-1], "event_id": "again"}]
    load(small, {"playback_events": twice}, "session_facts")
    assert states() == {"ended by the player": 3, "ended by the timeout": 1, "open": 1}
    (row,) = small.show("streaming.fact_viewing_sessions", where="user_key = 1 AND session_date = '2024-01-01'").rows
    assert (row["session_duration_seconds"], row["total_pause_duration_seconds"], row["view_duration_seconds"]) == (120, 30, 90)
    # The end of s2 comes a day late, s1 turns out to have gone on.
    late = events("s2", "u2", at("01 21:00"), late=90_000)[-1:]
    later = {**late[0], "event_id": "x", "session_id": "s1", "user_id": "u1", "timestamp": at("01 20:03")}
    load(small, {"playback_events": [*late, later]})
    assert states() == {"ended by the player": 4, "open": 1}
    (row,) = small.show("streaming.fact_viewing_sessions", where="user_key = 1 AND session_date = '2024-01-01'").rows
    assert row["session_duration_seconds"] == 180
    rows = run(small, "late_arriving_playback_events")
    assert {(row["name"], row["late"]) for row in rows if row["kind"] == "events"} == {("2024-01-01", 2)}
    models = {row["name"]: row["state"] for row in rows if row["kind"] == "model"}
    assert models["streaming.session_facts"] == "unchanged" == models["streaming.agg_user_daily"]


@pytest.mark.slow
def test_silent_sessions_are_abandoned_with_their_last_event(small: Warehouse) -> None:
    (row,) = run(small, "abandoned_session_timeout")
    assert (row["session_date"], row["sessions_timed_out"], row["timeout_minutes"]) == (date(2024, 1, 1), 1, 30)
    (found,) = small.show("streaming.fact_viewing_sessions", where="user_key = 2 AND session_date = '2024-01-01'").rows
    assert found["session_end_timestamp"] == at("01 21:00") + timedelta(seconds=90)
    assert (found["completion_status_key"], found["session_duration_seconds"]) == (2, 90)
    # With a longer timeout it is open still, without an end.
    load(small, {"settings": [{"setting": "session_timeout_minutes", "value": 3 * 24 * 60}]})
    assert run(small, "abandoned_session_timeout") == []
    (found,) = small.show("streaming.fact_viewing_sessions", where="user_key = 2 AND session_date = '2024-01-01'").rows
    assert found["session_end_timestamp"] is None and found["session_duration_seconds"] is None


@pytest.mark.slow
def test_arrival_order_changes_nothing(small: Warehouse) -> None:
    assert numbers(run(small, "out_of_order_playback_events"))["sessions_out_of_order"] == 0
    before = {row["session_key"]: row for row in small.show("streaming.session_folds", limit=None).rows}
    backwards = [
        {**row, "received_at": at("09 12:00") - timedelta(seconds=n)} for n, row in enumerate(BASE["playback_events"])
    ]
    with prodsense.warehouse.open(":memory:") as other:
        load(other, {**BASE, "playback_events": backwards[::-1]}, "session_facts", "viewers")
        assert {row["session_key"]: row for row in other.show("streaming.session_folds", limit=None).rows} == before
        found = numbers(run(other, "out_of_order_playback_events"))
        assert found["sessions_out_of_order"] == 5 == found["sessions_checked"] and found["sessions_that_differ"] == 0


@pytest.mark.slow
def test_versions_profiles_metadata_and_library(small: Warehouse) -> None:
    for name in ("content_version_mapping", "profile_resolution", "content_metadata_integration",
                 "library_utilization_tracking", "precomputed_engagement_aggregates"):  # fmt: skip
        assert small.run_pipeline(f"streaming.{name}").ok
    versions = small.show("streaming.version_engagement", where="content_key = 1").rows
    assert {(r["version_id"], r["version_type"], r["sessions"]) for r in versions} == {
        ("c1", "original", 2), ("c1-dub", "dub", 1),
    }  # fmt: skip
    assert sum(r["views"] for r in versions) == 3
    profiles = {r["profile_id"]: (r["account_id"], r["is_known"]) for r in small.show("streaming.profile_engagement").rows}
    assert profiles == {"u1-0": ("a1", True), "u2-0": ("u2", False)}
    titles = {r["content_name"]: (r["has_metadata"], r["views"]) for r in small.show("streaming.content_engagement").rows}
    assert titles == {"One": (True, 3), "Two": (True, 0), None: (False, 1)}
    days = small.show("streaming.library_days", where="content_key = 2").rows
    assert [(r["day"], r["sessions"]) for r in sorted(days, key=lambda r: r["day"])] == [
        (date(2024, 1, 1), 0), (date(2024, 1, 2), 1),
    ]  # fmt: skip
    platform = {r["activity_date"]: r for r in small.show("streaming.agg_platform_daily").rows}
    hours = {r["period"]: r["total_streaming_hours"] for r in small.metric("streaming.total_streaming_hours", grain="day").rows}
    assert {day: row["watched_seconds"] / 3600 for day, row in platform.items()} == pytest.approx(hours)


@pytest.mark.slow
def test_recommendation_features_from_both_paths(small: Warehouse) -> None:
    (done,) = run(small, "batch_recommendation_feed")
    assert done["path"] == "batch"
    tastes = small.show("streaming.recommendation_features", where="kind = 'genre' AND user_id = 'u1'", limit=None).rows
    # On the newest day u1 watched drama for 90 s and comedy for 60; the day before drama for 90, which weighs a bit less.
    weight = 90 + 90 * 0.5 ** (1 / 14)
    assert {r["item"]: r["score"] for r in tastes} == pytest.approx({"drama": weight / (weight + 60), "comedy": 60 / (weight + 60)})
    assert run(small, "near_real_time_recommendation_feed")[0]["rows_written"] == 4

    def seen() -> dict[tuple[str, str], tuple[float | None, datetime]]:
        rows = small.show("streaming.recommendation_features", where="kind = 'title'", limit=None).rows
        return {(r["user_id"], r["item"]): (r["score"], r["seen_at"]) for r in rows}

    assert seen()["u1", "c1"] == (0.9, at("02 20:02")) and seen()["u2", "c9"][0] is None
    assert run(small, "near_real_time_recommendation_feed")[0]["rows_written"] == 0
    # A newer event moves the place on; one that is older and comes later does not move it back.
    new = {**events("s9", "u1", at("03 10:00"))[1], "received_at": at("03 10:05")}
    old = {**events("s0", "u1", at("01 10:00"))[1], "received_at": at("03 10:06")}
    load(small, {"playback_events": [new, old]}, "session_facts")
    run(small, "near_real_time_recommendation_feed")
    assert seen()["u1", "c1"] == (0.6, at("03 10:01"))
    run(small, "batch_recommendation_feed")
    assert len(small.show("streaming.recommendation_features", where="path = 'batch'", limit=None).rows) == 3


def test_indexes_recent_sessions_and_partitions(small: Warehouse) -> None:
    rows = run(small, "viewing_dimension_indexes")
    assert [row["column"] for row in rows] == ["user_key", "content_key", "date_key"]
    plan = small.engine.query("SELECT COUNT(*) AS n FROM streaming.session_facts WHERE user_key = 1")
    assert plan["n"][0].as_py() == 3
    # A build goes on over the indexes, and they are made again.
    load(small, {"playback_events": events("s9", "u1", at("12 10:00"))}, "session_facts")
    assert len(run(small, "viewing_dimension_indexes")) == 3
    (recent,) = run(small, "recent_sessions_partial_index")
    assert (recent["rows"], recent["of"]) == (1, 6)
    parts = {row["relation"]: row for row in run(small, "viewing_time_partitioning")}
    assert parts["streaming.session_facts"]["partitions"] == 3 and not any(row["misplaced"] for row in parts.values())
