"""Warehouses made of a few rows, for what a test works out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pack_kit


def at(text: str) -> datetime:
    """A moment as in ``03 20:15``: day of January 2024 and time."""
    return datetime.strptime(f"2024-01-{text}", "%Y-%m-%d %H:%M")


def session(number: int, user: int, title: int, start: datetime, seconds: int | None, **more: Any) -> dict[str, Any]:
    """A row of fact_viewing_sessions that is over, or open where `seconds` is None."""
    end = None if seconds is None else start + timedelta(seconds=seconds)
    return {
        "session_id": number, "user_key": user, "content_key": title, "session_start_timestamp": start,
        "session_end_timestamp": end, "session_duration_seconds": seconds, "total_pause_duration_seconds": 0, **more,
    }  # fmt: skip


load, made_of = partial(pack_kit.load_rows, "streaming"), partial(pack_kit.made_of, "streaming")
