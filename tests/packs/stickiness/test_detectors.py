"""Detectors fire on what is planted, name the users and the cause, and are silent where nothing is planted."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pack_kit import clean_products

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

START = date(2024, 1, 1)
USERS = ("session_frequency_drop_detector", "content_creation_drop_detector")


def subjects(warehouse: Warehouse, name: str, **given: Any) -> set[str]:
    return {row["subject"].removeprefix("user_id=") for row in warehouse.detect(f"stickiness.{name}", **given).rows}


def steady(days: int, lost: dict[int, tuple[str, ...]]) -> Warehouse:
    """60 users on each of three platforms, all there every day, each with two events; `lost`: day → platforms without any."""
    user, moment, platform = [], [], []
    for day in range(days):
        for name in ("android", "ios", "web"):
            for i in range(0 if name in lost.get(day, ()) else 55 + (day * 7 + len(name)) % 5):
                for hour in (9, 23):
                    user.append(f"{name}{i}")
                    moment.append(datetime(2024, 1, 1, hour, i) + timedelta(days=day))
                    platform.append(name)
    table = pa.table({"user_id": user, "timestamp": moment, "platform": platform, "event_type": ["like"] * len(user)})
    warehouse = prodsense.warehouse.open(":memory:")
    warehouse.ingest(table, table="stickiness.user_events")
    warehouse.build("stickiness")
    return warehouse


@pytest.mark.slow
def test_a_fall_on_one_platform_is_suspected_to_be_tracking() -> None:
    with steady(50, {49: ("android",)}) as warehouse:
        (finding,) = warehouse.detect("stickiness.dau_anomaly_detector").rows
    assert finding["suspected_cause"] == "tracking" and finding["severity"] == "critical"
    assert "android -100%" in finding["reason"] and finding["metric"] == "daily_active_users"
    assert finding["period"] == (START + timedelta(49)).isoformat()
    assert "client" in finding["action"]


@pytest.mark.slow
def test_a_fall_on_all_platforms_is_not() -> None:
    """Two thirds of the people of every platform stay away: no tracking of one client explains that."""
    with steady(49, {}) as warehouse:
        rows = [
            {"user_id": f"{name}{i}", "timestamp": datetime(2024, 2, 19, hour, i), "platform": name, "event_type": "like"}
            for name in ("android", "ios", "web") for i in range(18) for hour in (9, 23)
        ]  # fmt: skip
        warehouse.ingest(pa.Table.from_pylist(rows), table="stickiness.user_events")
        warehouse.build("stickiness")
        (finding,) = warehouse.detect("stickiness.dau_anomaly_detector").rows
    assert finding["suspected_cause"] == "real or all platforms"


@pytest.mark.slow
def test_a_steady_platform_is_silent_and_too_short_a_one_refuses() -> None:
    with steady(50, {}) as warehouse:
        assert warehouse.detect("stickiness.dau_anomaly_detector").rows == []
        # A fall in the past is not one of today.
        assert warehouse.detect("stickiness.dau_anomaly_detector", as_of="2024-02-10").rows == []
    with steady(6, {}) as warehouse:
        answer = warehouse.detect("stickiness.dau_anomaly_detector")
        assert (answer.rows, answer.extras["checked"][0]["state"]) == ([], "refused")


@pytest.mark.slow
def test_a_day_that_has_only_begun_is_no_fall() -> None:
    with steady(49, {}) as warehouse:
        rows = [
            {"user_id": f"ios{i}", "timestamp": datetime(2024, 2, 19, 9, i), "platform": "ios", "event_type": "like"}
            for i in range(18)
        ]
        warehouse.ingest(pa.Table.from_pylist(rows), table="stickiness.user_events")
        warehouse.build("stickiness")
        assert warehouse.detect("stickiness.dau_anomaly_detector").rows == []
        # Told that the day is over, it is one.
        assert len(warehouse.detect("stickiness.dau_anomaly_detector", as_of="2024-02-19").rows) >= 1


def test_without_events_the_tracking_is_unknown() -> None:
    days = [(f"u{i}", START + timedelta(day)) for day in range(50) for i in range(100 + day % 3 if day < 49 else 30)]
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(
            pa.table(dict(zip(("user_id", "activity_date"), zip(*days, strict=True), strict=True))),
            table="stickiness.daily_user_activity",
        )
        warehouse.build("stickiness")
        (finding,) = warehouse.detect("stickiness.dau_anomaly_detector").rows
    assert finding["suspected_cause"] == "unknown" and finding["value"] == 30


@pytest.mark.slow
def test_one_user_who_falls_by_hand() -> None:
    """Four sessions a day for eight weeks, then one: found; a user of two a week who stops: too quiet to say."""
    rows = []
    for day in range(63):
        rows += [("often", day, 8 + 3 * i) for i in range(4 if day < 56 else 1)]
        rows.append(("steady", day, 23))
        if day % 4 == 0 and day < 56:
            rows.append(("seldom", day, 9))
    table = pa.Table.from_pylist([
        {"session_id": f"{u}{d}{h}", "user_id": u, "started_at": datetime(2024, 1, 1, h) + timedelta(days=d), "duration_seconds": 60.0}
        for u, d, h in rows
    ])
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(table, table="stickiness.sessions")
        warehouse.build("stickiness")
        (finding,) = warehouse.detect("stickiness.session_frequency_drop_detector").rows
        assert (finding["subject"], finding["value"], finding["expected"]) == ("user_id=often", 7, 28)
        assert warehouse.detect("stickiness.session_frequency_drop_detector", as_of="2024-02-25").rows == []
        assert warehouse.detect("stickiness.session_frequency_drop_detector", min_level=40).rows == []


@pytest.mark.slow
def test_planted_users_are_found_a_week_after(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    for name, kind in zip(USERS, ("session_drop", "creation_drop"), strict=True):
        users = set(truth[kind]["users"])
        week_later = date.fromisoformat(truth[kind]["from"]) + timedelta(6)
        found = subjects(warehouse, name, as_of=week_later)
        assert len(found & users) >= 0.8 * len(users), (name, sorted(users - found))
        # Of the 1,600 others, of whom some leave, hardly anybody.
        assert len(found - users) <= 2, name
        before = date.fromisoformat(truth[kind]["from"]) - timedelta(1)
        assert not subjects(warehouse, name, as_of=before) & users


@pytest.mark.slow
def test_planted_tracking_loss(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    first = date.fromisoformat(truth["tracking_loss"]["days"][0])
    rows = warehouse.detect("stickiness.dau_anomaly_detector", as_of=first).rows
    assert rows and all(row["suspected_cause"] == "tracking" and "android" in row["reason"] + row["subject"] for row in rows)
    assert warehouse.detect("stickiness.dau_anomaly_detector", as_of=first - timedelta(1)).rows == []


@pytest.mark.slow
def test_silent_on_clean_platforms() -> None:
    """By seed: users, on a day when a month and a week lie behind; daily activity on three days of each."""
    false: list[Any] = []
    tables, models = ("users", "user_events"), ("active_days", "session_facts", "members")
    for seed, warehouse in clean_products("stickiness", 300, tables=tables, models=models, days=49, scale=0.1):
        for name in USERS:
            false += [(seed, row["subject"]) for row in warehouse.detect(f"stickiness.{name}").rows]
        for day in (42, 45, 48):
            answer = warehouse.detect("stickiness.dau_anomaly_detector", as_of=START + timedelta(day))
            false += [(seed, row["period"], row["reason"]) for row in answer.rows if row["severity"] != "info"]
    assert len(false) <= 1, false


def test_unknown_parameters_are_refused(platform: Warehouse) -> None:
    with pytest.raises(UsageError, match="no detector asked has a parameter"):
        platform.detect("stickiness.dau_anomaly_detector", colour=1)
