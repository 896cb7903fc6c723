"""Rows in any order: what is built load by load equals what is built at once, on random days of a few users."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.warehouse import Warehouse

MODELS = ("active_days", "feature_days", "session_facts", "user_month_active_days")
START = datetime(2024, 1, 29)
KINDS = ("app_open", "content_view", "like", "app_background", "session_end", "notification_sent")

pytestmark = pytest.mark.slow


def history(rng: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Rows of events, sessions and daily activity over six days around a month's end, dense enough to touch each other."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for n in range(60):
        at = START + timedelta(minutes=rng.randrange(6 * 24 * 12) * 5)
        rows.append(("user_events", {
            "event_id": str(n), "user_id": rng.choice("ab"), "session_id": rng.choice([None, None, f"s{at:%d}"]),
            "timestamp": at, "received_at": rng.choice([None, at + timedelta(seconds=5), at - timedelta(minutes=20)]),
            "event_type": rng.choice(KINDS), "device": rng.choice([None, "phone", "web"]),
            "feature_name": rng.choice([None, "feed"]), "event_date": at.date(),
        }))
    for n in range(3):
        at = START + timedelta(days=rng.randrange(6), hours=rng.randrange(24))
        rows.append(("sessions", {"user_id": rng.choice("abc"), "session_id": f"k{n}", "started_at": at,
                                  "ended_at": at + timedelta(minutes=10), "session_date": at.date()}))
    for user, day in {(rng.choice("abc"), rng.randrange(6)) for _ in range(3)}:
        rows.append(("daily_user_activity", {"user_id": user, "activity_date": (START + timedelta(days=day)).date(),
                                             "is_active": rng.choice([None, False]), "device": rng.choice([None, "phone"])}))
    return rows


def load(warehouse: Warehouse, rows: list[tuple[str, dict[str, Any]]]) -> None:
    for table in ("user_events", "sessions", "daily_user_activity"):
        found = [row for name, row in rows if name == table]
        if found:
            schema = None
            if table == "user_events":  # a load may hold no value of an optional column
                texts = ("event_id", "user_id", "session_id", "event_type", "device", "feature_name")
                moments = ("timestamp", "received_at")
                schema = pa.schema([*((n, pa.string()) for n in texts), *((n, pa.timestamp("us")) for n in moments),
                                    ("event_date", pa.date32())])
            elif table == "daily_user_activity":
                schema = pa.schema([("user_id", pa.string()), ("activity_date", pa.date32()), ("is_active", pa.bool_()),
                                    ("device", pa.string())])
            warehouse.ingest(pa.Table.from_pylist(found, schema=schema), table=f"stickiness.{table}")
    report = warehouse.build("stickiness", only=[f"stickiness.{name}" for name in MODELS])
    assert not [entry for entry in report if entry.mode in ("failed", "skipped")], str(report)


def held(warehouse: Warehouse) -> dict[str, list[str]]:
    return {name: sorted(map(repr, warehouse.show(f"stickiness.{name}", limit=None).rows)) for name in MODELS}


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_loads_gives_the_same_models(seed: int) -> None:
    rng = random.Random(seed)
    rows = history(rng)
    with prodsense.warehouse.open(":memory:") as warehouse:
        load(warehouse, rows)
        at_once = held(warehouse)
    rng.shuffle(rows)
    cuts = sorted(rng.sample(range(1, len(rows)), 2))
    with prodsense.warehouse.open(":memory:") as warehouse:
        for part in (rows[: cuts[0]], rows[cuts[0]: cuts[1]], rows[cuts[1]:]):
            load(warehouse, part)
        assert held(warehouse) == at_once
