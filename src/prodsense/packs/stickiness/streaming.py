"""Near-real-time activity: events received since the last run go through the session stream, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .people import PACK

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: Closed sessions by event type, as the stream appends them.
OUTPUT = "stickiness.stream_sessions"
STREAM = "stickiness.stream_activity"


def stream_activity(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Take in what was received since the last run; the newest day as it stands, one row a number.

    The place in the stream is the moment of receipt (the event's own time where none is known), which is kept with the
    stream's state in one transaction. Events without a session of the client count for users, not for closed sessions.
    """
    from prodsense.realtime.tablestream import TableStream

    warehouse.ready(PACK, ["user_events", "users", "active_event_types", "event_log"])
    engine = warehouse.engine
    internal = engine.query("SELECT user_id FROM stickiness.users WHERE is_internal ORDER BY user_id")["user_id"]
    stream = TableStream(engine, STREAM, OUTPUT, internal.to_pylist())
    arrival = "COALESCE(received_at, timestamp)"
    taken, _ = stream.push_since(
        "SELECT session_id, user_id, LOWER(event_type) AS event_type, LEAST(timestamp, received_at) AS timestamp,"
        f" event_id, {arrival} AS arrived FROM stickiness.user_events"
        " WHERE session_id IS NOT NULL"
        f" AND (CAST(:since AS TIMESTAMP) IS NULL OR {arrival} > CAST(:since AS TIMESTAMP))"
    )
    today = engine.query(
        "WITH newest AS (SELECT MAX(event_date) AS day FROM stickiness.event_log)"
        " SELECT n.day, COUNT(DISTINCT CASE WHEN e.is_qualifying THEN e.user_id END) AS users, COUNT(*) AS events,"
        " COUNT(DISTINCT e.user_id || ' ' || e.session_id) AS sessions, MAX(e.occurred_at) AS as_of"
        " FROM newest AS n JOIN stickiness.event_log AS e ON e.event_date = n.day"
        " LEFT JOIN stickiness.users AS u ON u.user_id = e.user_id WHERE NOT COALESCE(u.is_internal, FALSE)"
        " GROUP BY n.day"
    ).to_pylist()
    rows = [{"number": "events_taken_in", "day": None, "value": taken},
            {"number": "sessions_closed_so_far", "day": None, "value": stream.closed}]
    for row in today:
        rows += [
            {"number": "active_users_so_far", "day": row["day"], "value": row["users"]},
            {"number": "sessions_so_far", "day": row["day"], "value": row["sessions"]},
            {"number": "events_so_far", "day": row["day"], "value": row["events"]},
        ]
    return rows
