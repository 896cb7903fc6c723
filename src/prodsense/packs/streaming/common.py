"""What the pack's analyses share: its name, the moment they look from, a title by its key."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

PACK = "streaming"


def moment_of(warehouse: Warehouse, as_of: datetime | None = None) -> datetime:
    """`as_of`, or the newest start of a session; UsageError where nobody ever watched."""
    if as_of is not None:
        return as_of
    warehouse.ready(PACK, ["sessions"])
    found = warehouse.engine.query("SELECT MAX(started_at) AS newest FROM streaming.sessions")["newest"][0].as_py()
    if found is None:
        raise UsageError(
            "nobody ever watched here: load playback_events or fact_viewing_sessions, then prodsense build"
        )
    return found


def clock(seconds: float) -> str:
    """A position as players show it: 1:02:05."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
