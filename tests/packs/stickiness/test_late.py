"""Rows in any order: what is built load by load equals what is built at once, on random days of a few users."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from pack_kit import check_any_order

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


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_loads_gives_the_same_models(seed: int) -> None:
    rng = random.Random(seed)
    check_any_order("stickiness", history(rng), MODELS, rng)
