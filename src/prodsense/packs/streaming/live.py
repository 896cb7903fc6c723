"""The near-real-time path of playback: events received since the last run go through a session stream, exactly once.

Its state (events that wait for the watermark, ids seen, open sessions) lives in tables beside its output and is written
in one transaction with its place, so that a run that dies has done nothing. What comes later than the stream waits is
left to the batch path, which restates the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .common import PACK

if TYPE_CHECKING:
    from prodsense.realtime.tablestream import TableStream
    from prodsense.warehouse import Warehouse

#: Closed sessions by event type, as the stream appends them; open ones stand in OPEN.
OUTPUT = "streaming.stream_sessions"
OPEN = f"{OUTPUT}_open"
STREAM = "streaming.playback"

_ARRIVED = """
SELECT
    session_id, user_id,
    CASE WHEN event_type IN ('playback_stop', 'stop', 'end', 'session_end') THEN 'session_end' ELSE event_type END
        AS event_type,
    timestamp, event_id, COALESCE(received_at, timestamp) AS arrived
FROM streaming.playback_events
WHERE session_id IS NOT NULL
    AND (CAST(:since AS TIMESTAMP) IS NULL OR COALESCE(received_at, timestamp) > CAST(:since AS TIMESTAMP))
"""
#: Users with an event within 15 minutes before the newest one, whose last event is no end; by title.
_NOW = """
WITH newest AS (
    SELECT MAX(timestamp) AS moment FROM streaming.playback_events
),
recent AS (
    SELECT e.user_id, e.content_id, e.event_type, n.moment
    FROM streaming.playback_events AS e
    JOIN newest AS n ON e.timestamp > add_minutes(n.moment, -15)
    LEFT JOIN streaming.viewers AS u ON u.user_id = e.user_id
    WHERE e.user_id IS NOT NULL AND NOT COALESCE(u.is_internal, FALSE)
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY e.user_id, e.session_id ORDER BY e.timestamp DESC, e.event_type DESC, e.event_id
    ) = 1
),
playing AS (
    SELECT DISTINCT user_id, content_id, moment
    FROM recent
    WHERE event_type NOT IN ('playback_stop', 'playback_complete', 'stop', 'complete', 'end', 'session_end')
)
SELECT 'viewers_now' AS number, NULL AS title, COUNT(DISTINCT user_id) AS value FROM playing
UNION ALL
SELECT 'viewers_of_title_now', content_id, COUNT(DISTINCT user_id) FROM playing GROUP BY content_id
ORDER BY number, value DESC, title
LIMIT 11
"""


@dataclass(frozen=True)
class Pushed:
    """What one run took in."""

    stream: TableStream
    events: int
    newest: datetime | None


def push(warehouse: Warehouse) -> Pushed:
    """Take in what was received since the last run, once."""
    from prodsense.realtime.tablestream import TableStream

    warehouse.ready(PACK, ["playback_events", "viewers"])
    engine = warehouse.engine
    internal = engine.query("SELECT user_id FROM streaming.viewers WHERE is_internal ORDER BY user_id")["user_id"]
    stream = TableStream(engine, STREAM, OUTPUT, internal.to_pylist())
    return Pushed(stream, *stream.push_since(_ARRIVED))


def aggregate(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Pipeline near_real_time_playback_aggregation: the newest state as numbers, the most watched titles first."""
    pushed = push(warehouse)
    counts = pushed.stream.counts
    rows: list[dict[str, Any]] = [
        {"number": "events_taken_in", "title": None, "value": pushed.events},
        {"number": "events_too_late_for_the_stream", "title": None, "value": counts.get("late", 0)},
        {"number": "sessions_closed_so_far", "title": None, "value": pushed.stream.closed},
        {"number": "sessions_open", "title": None, "value": len(open_sessions(warehouse))},
    ]
    return rows + warehouse.engine.query(_NOW).to_pylist()


def open_sessions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The sessions that the state store holds open, newest first."""
    return warehouse.engine.query(
        "SELECT session AS session_id, MIN(started_at) AS started_at, MAX(ended_at) AS last_event_at,"
        f" CAST(SUM(events) AS BIGINT) AS events FROM {OPEN} WHERE closed_by IS NULL"
        " GROUP BY session ORDER BY last_event_at DESC, session_id"
    ).to_pylist()


def state_store(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Pipeline active_session_state_store: takes in what came and returns the sessions that are open."""
    push(warehouse)
    return open_sessions(warehouse)


def ingestion(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Pipeline playback_event_ingestion: what loads took in, and both paths fed with it.

    One row a step: rows read, accepted, duplicate and quarantined over all loads of playback_events (they add up), then
    the stream, then each model of the batch path.
    """
    warehouse.ready(PACK, ["playback_events"])
    told = warehouse.engine.query(
        "SELECT CAST(SUM(read) AS BIGINT) AS read, CAST(SUM(accepted) AS BIGINT) AS accepted,"
        " CAST(SUM(duplicate) AS BIGINT) AS duplicate, CAST(SUM(quarantined) AS BIGINT) AS quarantined"
        " FROM prodsense.loads WHERE relation = 'streaming.playback_events'"
    ).to_pylist()[0] if "prodsense.loads" in warehouse.engine.relations("prodsense") else {}  # fmt: skip
    rows = [
        {"step": f"rows {name}", "path": "ingest", "rows": told.get(name) or 0, "state": "done"}
        for name in ("read", "accepted", "duplicate", "quarantined")
    ]
    pushed = push(warehouse)
    rows.append({"step": "events taken in", "path": "stream", "rows": pushed.events, "state": "done"})
    report = warehouse.build("streaming", only=["streaming.session_folds", "streaming.session_facts"])
    return rows + [
        {"step": entry.model, "path": "batch", "rows": entry.rows, "state": entry.mode} for entry in report
        if entry.mode != "view"
    ]
