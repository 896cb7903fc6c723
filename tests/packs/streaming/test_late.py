"""Events in any order: what is folded load by load equals what is folded at once, on random histories of a few sessions."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from pack_kit import check_any_order

from .little import load, made_of

MODELS = ("session_folds", "session_facts", "seeks", "agg_user_daily", "agg_content_daily", "agg_platform_daily", "binges")
KINDS = ("start", "progress", "pause", "resume", "seek", "complete", "stop", "error")
START = datetime(2024, 1, 30, 20)

pytestmark = pytest.mark.slow


def history(rng: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Events of sessions around some midnights, with and without an id, and sessions that the product tells itself."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for n in range(12):
        begin = START + timedelta(hours=rng.randrange(5 * 24))
        session = rng.choice([f"{n}", f"s{n}", None])
        for _ in range(rng.randrange(1, 7)):
            at = begin + timedelta(minutes=rng.randrange(0, 300, 10))
            kind = rng.choice(KINDS)
            rows.append(("playback_events", {
                "event_id": rng.choice([None, f"{n}-{at:%H%M}-{kind}"]), "user_id": rng.choice("12"),
                "content_id": rng.choice("78") if rng.random() < 0.2 else "7", "session_id": session, "device_id": "1",
                "event_type": f"playback_{kind}", "timestamp": at,
                "current_playback_position": float(rng.randrange(0, 3000, 100)),
                "seek_to_position": float(rng.randrange(0, 3000, 100)) if kind == "seek" else None, "event_date": at.date(),
            }))
        if rng.random() < 0.3:
            rows.append(("fact_viewing_sessions", {
                "session_id": n, "user_key": 1, "content_key": 7, "session_start_timestamp": begin,
                "session_date": begin.date(), "session_duration_seconds": rng.choice([None, 600]),
            }))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_any_order_gives_the_same(seed: int) -> None:
    rng = random.Random(seed)
    modes = check_any_order("streaming", history(rng), MODELS, rng)
    assert modes["streaming.session_folds"] == "incremental"


def test_a_session_that_is_resumed_two_days_later() -> None:
    def event(day: int, kind: str, position: float, session: str = "s") -> dict[str, Any]:
        at = START + timedelta(days=day)
        return {
            "session_id": session, "user_id": "1", "content_id": "7", "event_type": f"playback_{kind}", "timestamp": at,
            "current_playback_position": position, "event_date": at.date(),
        }

    begun = [event(0, "start", 0.0), event(0, "pause", 0.0), event(4, "stop", 9.0, "t")]
    with made_of({"playback_events": begun}, *MODELS) as wh:
        modes = load(wh, {"playback_events": [event(2, "resume", 0.0), event(2, "stop", 60.0)]}, *MODELS)
        (row,) = wh.show("streaming.session_folds", where="session_date = '2024-01-30'").rows
    assert modes["streaming.session_folds"] == "incremental"
    assert (row["paused_seconds"], row["has_end"]) == (2 * 86_400, True)
