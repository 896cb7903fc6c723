"""Pipelines: aggregation, the cohort store, the stream, recalculation with its versions, validation and what stops it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .oracle import Platform

PACK = load_pack("stickiness")


def test_the_models_of_a_pipeline_exist_and_build(own_platform: Warehouse) -> None:
    for name, pipeline in PACK.pipelines.items():
        assert set(pipeline.models) <= set(PACK.models)
        if pipeline.models:
            report = own_platform.run_pipeline(f"stickiness.{name}")
            assert all(entry.mode not in ("failed", "skipped") for entry in report)


def test_aggregation_holds_what_each_user_did(own_platform: Warehouse) -> None:
    own_platform.run_pipeline("stickiness.daily_user_activity_aggregation")
    oracle = Platform()
    for row in own_platform.show("stickiness.user_activity_summary", limit=None).rows:
        days = [d for d in oracle.days_of(row["user_id"]) if 0 <= (oracle.newest - d).days < 28]
        assert row["active_days_last_28d"] == len(days), row["user_id"]


def test_cohort_store_gives_retention(own_platform: Warehouse) -> None:
    own_platform.run_pipeline("stickiness.cohort_analysis_store")
    rows = own_platform.show("stickiness.cohort_daily", limit=None, where="day_n = 1").rows
    answer = own_platform.analyze("retention_cohort_analysis", by=None, grain="all").rows[0]
    assert sum(row["active_users"] for row in rows) == pytest.approx(answer["d1"] * answer["d1_users"])


def numbers(rows: Any) -> dict[str, Any]:
    return {row["number"]: row["value"] for row in rows.rows}


def batch(start: int, minutes: list[int], user: str = "a", session: str = "s1") -> pa.Table:
    """Events of one session, received as they happen."""
    moments = [datetime(2024, 5, 1, 12) + timedelta(minutes=m) for m in minutes]
    return pa.table({
        "event_id": [f"e{start + i}" for i in range(len(minutes))], "user_id": [user] * len(minutes),
        "session_id": [session] * len(minutes), "timestamp": moments, "received_at": moments,
        "event_type": ["like"] * len(minutes),
    })


def test_the_stream_takes_each_event_in_once() -> None:
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(batch(0, [0, 5, 10]), table="stickiness.user_events")
        first = numbers(warehouse.run_pipeline("stickiness.stream_activity_aggregation"))
        assert first == {"events_taken_in": 3, "sessions_closed_so_far": 0, "active_users_so_far": 1, "sessions_so_far": 1,
                         "events_so_far": 3}  # fmt: skip
        assert numbers(warehouse.run_pipeline("stickiness.stream_activity_aggregation"))["events_taken_in"] == 0
        # An hour on, another user: the first session is over by the watermark.
        warehouse.ingest(batch(10, [75, 80], "b", "s2"), table="stickiness.user_events")
        then = numbers(warehouse.run_pipeline("stickiness.stream_activity_aggregation"))
        assert (then["events_taken_in"], then["sessions_closed_so_far"], then["active_users_so_far"]) == (2, 1, 2)
        closed = warehouse.engine.query("SELECT session_id, events FROM stickiness.stream_sessions").to_pylist()
        assert closed == [{"session_id": "s1", "events": 3}]


@pytest.mark.slow
def test_recalculation_when_a_definition_changes(own_platform: Warehouse) -> None:
    run = lambda: own_platform.run_pipeline("stickiness.historical_recalculation").rows[0]  # noqa: E731
    first = run()
    assert (first["version"], first["state"]) == (1, "recalculated")
    assert run() == {"version": 1, "changed": "nothing", "models_built": 0, "state": "up to date"}
    sessions = len(own_platform.show("stickiness.session_facts", limit=None).rows)
    own_platform.ingest(pa.table({"setting": ["session_gap_minutes"], "value": [120.0]}), table="stickiness.settings")
    second = run()
    assert (second["version"], second["changed"]) == (2, "settings")
    assert len(own_platform.show("stickiness.session_facts", limit=None).rows) < sessions
    # The rule of what is active, too: nothing that only likes counts any more.
    own_platform.ingest(pa.table({"event_type": ["like"], "qualifies": [False]}), table="stickiness.active_event_types")
    assert run()["changed"] == "active_event_types"
    kept = own_platform.engine.query("SELECT version FROM stickiness.definition_versions ORDER BY version").to_pylist()
    assert [row["version"] for row in kept] == [1, 2, 3]
    assert own_platform.policies("stickiness.active_user_definition")[0].holds


def checks(warehouse: Warehouse) -> dict[str, tuple[str, int]]:
    rows = warehouse.run_pipeline("stickiness.engagement_data_validation").rows
    return {row["check"]: (row["state"], row["found"]) for row in rows}


def crowd(**changes: Any) -> pa.Table:
    """30 users on each of two platforms for ten days, one event a day; `changes` act on the list of rows."""
    rows = [
        {"event_id": f"{p}{d}-{i}", "user_id": f"{p}{i}", "timestamp": datetime(2024, 5, 1 + d, 9, i), "event_type": "like",
         "platform": p, "received_at": datetime(2024, 5, 1 + d, 9, i, 2)}
        for d in range(10) for p in ("ios", "web") for i in range(30)
    ]  # fmt: skip
    change = changes.get("change")
    return pa.Table.from_pylist(change(rows) if change else rows)


def validated(table: pa.Table, **others: pa.Table) -> dict[str, tuple[str, int]]:
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(table, table="stickiness.user_events")
        for name, rows in others.items():
            warehouse.ingest(rows, table=f"stickiness.{name}")
        warehouse.build("stickiness")
        return checks(warehouse)


@pytest.mark.slow
def test_sound_data_pass() -> None:
    assert {state for state, _ in validated(crowd()).values()} == {"ok"}


DAY_5 = datetime(2024, 5, 5).date()
FAULTS: dict[str, tuple[Any, int]] = {
    "days_without_events": (lambda rows: [r for r in rows if r["timestamp"].date() != DAY_5], 1),
    "repeated_events": (lambda rows: rows + [{**r, "event_id": f"again{r['event_id']}"} for r in rows[:40]], 40),
    "platform_days_gone_quiet": (
        lambda rows: [r for r in rows if r["platform"] != "web" or r["timestamp"].date() != DAY_5], 1),
    "clocks_far_ahead": (
        lambda rows: [{**rows[0], "timestamp": rows[0]["timestamp"] + timedelta(days=2)}, *rows[1:]], 1),
    "events_received_late": (
        lambda rows: [{**rows[0], "received_at": rows[0]["received_at"] + timedelta(days=5)}, *rows[1:]], 1),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str) -> None:
    change, many = FAULTS[name]
    found = validated(crowd(change=change))
    state, number = found.pop(name)
    assert number == many and state != "ok"
    publication = found.pop("publication")
    assert publication[0] == ("stop" if state == "stop" else "ok")
    assert {state for state, _ in found.values()} == {"ok"}


@pytest.mark.slow
def test_events_and_daily_activity_have_to_agree() -> None:
    listed = pa.table({"user_id": [f"ios{i}" for i in range(30)] + ["nobody"], "activity_date": [DAY_5] * 31})
    found = validated(crowd(), daily_user_activity=listed)
    assert found["daily_activity_without_events"] == ("stop", 1)
    assert found["events_missing_from_daily_activity"] == ("stop", 30)
    assert found["publication"] == ("stop", 2)


@pytest.mark.slow
def test_unknown_users_and_activity_before_signup() -> None:
    users = pa.table({"user_id": [f"ios{i}" for i in range(30)], "signup_date": [DAY_5] * 30})
    found = validated(crowd(), users=users)
    assert found["events_of_unknown_users"] == ("look", 30)
    assert found["activity_before_signup"] == ("look", 30)
