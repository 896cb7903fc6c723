"""What keeps sessions right and quick to read: ends, timeouts, late and disordered events, indexes, partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import NotBuiltError

from .common import PACK

if TYPE_CHECKING:
    from prodsense.build.report import BuildReport
    from prodsense.warehouse import Warehouse

FACTS = ("session_folds", "session_facts", "viewing_sessions")
#: Sessions whose events are looked at one by one, at most.
_SAMPLE = 50


def _built(warehouse: Warehouse, *names: str) -> BuildReport:
    """Bring models up to date; NotBuiltError where one fails."""
    report = warehouse.build(PACK, only=[f"{PACK}.{name}" for name in names or FACTS])
    if report.failed:
        raise NotBuiltError(f"{report.failed[0].model} could not be built: {report.failed[0].reason}")
    return report


# -- ends ------------------------------------------------------------------------------------------------

_ENDS = """
SELECT
    CASE WHEN v.is_open THEN 'open' WHEN f.has_end THEN 'ended by the player' ELSE 'ended by the timeout' END AS state,
    COUNT(*) AS sessions,
    COUNT(DISTINCT v.session_id) AS rows_in_fact,
    COUNT(CASE WHEN v.is_completed THEN 1 END) AS completed,
    MAX(f.ended_at) AS newest_event
FROM streaming.viewing_sessions AS v
JOIN streaming.session_facts AS f ON f.session_id = v.session_id
GROUP BY CASE WHEN v.is_open THEN 'open' WHEN f.has_end THEN 'ended by the player' ELSE 'ended by the timeout' END
ORDER BY state
"""


def session_end_summary(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Sum up the sessions that ended since the last run; one row a state of sessions.

    A session has one row in fact_viewing_sessions however often its end is told: rows_in_fact equals sessions. A late
    event restates the row.
    """
    _built(warehouse)
    return warehouse.engine.query(_ENDS).to_pylist()


_TIMEOUTS = """
SELECT
    v.session_date, COUNT(*) AS sessions_timed_out, COUNT(CASE WHEN v.is_completed THEN 1 END) AS completed_before,
    MIN(c.minutes) AS timeout_minutes
FROM streaming.viewing_sessions AS v
JOIN streaming.session_facts AS f ON f.session_id = v.session_id
CROSS JOIN (
    SELECT COALESCE(MAX(CASE WHEN setting = 'session_timeout_minutes' THEN value END), 30) AS minutes
    FROM streaming.settings
) AS c
WHERE NOT v.is_open AND NOT f.has_end
GROUP BY v.session_date
ORDER BY v.session_date
"""


def abandoned_session_timeout(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Close sessions whose app went away: each day's sessions that ended by the timeout and not by the player.

    They end with their last event and are abandoned, unless the title was completed by then. The timeout is the setting
    session_timeout_minutes (30), measured at the newest event of all, never at the clock.
    """
    warehouse.ready(PACK, ["settings"])
    _built(warehouse)
    return warehouse.engine.query(_TIMEOUTS).to_pylist()


# -- late and disordered events --------------------------------------------------------------------------

_LATE = """
SELECT date_of(timestamp) AS day, COUNT(*) AS late_events, COUNT(DISTINCT session_id) AS sessions,
    MAX(hours_between(timestamp, received_at)) AS latest_hours
FROM streaming.playback_events
WHERE hours_between(timestamp, received_at) > 1
GROUP BY date_of(timestamp)
ORDER BY day
"""


def late_arriving_events(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Restate what late events touch; by day, how many came over an hour late, and by model the days built.

    Rows of kind ``events`` are days of the data; rows of kind ``model`` say what this run restated.
    """
    warehouse.ready(PACK, ["playback_events"])
    report = _built(warehouse, *FACTS, "agg_user_daily", "agg_platform_daily", "agg_content_daily")
    rows = [
        {"kind": "model", "name": entry.model, "state": entry.mode, "restated": len(entry.partitions),
         "late": len(entry.late)}
        for entry in report if entry.mode != "view"
    ]  # fmt: skip
    return rows + [
        {"kind": "events", "name": str(row["day"]), "state": f"up to {row['latest_hours']:.1f} hours late",
         "restated": row["sessions"], "late": row["late_events"]}
        for row in warehouse.engine.query(_LATE).to_pylist()
    ]  # fmt: skip


_DISORDER = """
WITH placed AS (
    SELECT
        session_id, content_id, timestamp,
        MAX(timestamp) OVER (
            PARTITION BY session_id ORDER BY received_at, timestamp ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS seen_until
    FROM streaming.playback_events
    WHERE session_id IS NOT NULL AND received_at IS NOT NULL
)
SELECT session_id, COUNT(CASE WHEN timestamp < seen_until THEN 1 END) AS events, COUNT(DISTINCT content_id) AS titles
FROM placed
GROUP BY session_id
HAVING COUNT(CASE WHEN timestamp < seen_until THEN 1 END) > 0
ORDER BY session_id
"""


def out_of_order_events(warehouse: Warehouse) -> list[dict[str, Any]]:
    """How many sessions came in another order than they happened, and whether that changed any.

    Up to 50 of them are told again one event at a time, from the order of their arrival, and compared with the fold:
    ``sessions_that_differ`` is 0, or the fold is wrong.
    """
    from .timeline import measures, rebuild

    warehouse.ready(PACK, ["playback_events"])
    _built(warehouse)
    engine = warehouse.engine
    found = engine.query(_DISORDER).to_pylist()
    chosen = [row["session_id"] for row in found if row["titles"] == 1][:_SAMPLE]
    differ = 0
    for session in chosen:
        events = engine.query(
            "SELECT occurred_at, step, position, seek_to, quality, autoplay FROM streaming.playback_log"
            " WHERE session_key = :session ORDER BY position DESC, step DESC", {"session": session},
        ).to_pylist()
        told = measures(rebuild(events), events, {})
        folded = engine.query(
            "SELECT paused_seconds, pauses, rewinds, forwards, furthest_position FROM streaming.session_folds"
            " WHERE session_key = :session", {"session": session},
        ).to_pylist()[0]
        same = (
            told["total_pause_duration_seconds"], told["number_of_pauses"], told["number_of_rewinds"],
            told["number_of_forwards"], told["furthest_position_seconds"],
        ) == tuple(folded.values())
        differ += not same
    return [
        {"number": "sessions_out_of_order", "value": len(found)},
        {"number": "events_out_of_order", "value": sum(row["events"] for row in found)},
        {"number": "sessions_checked", "value": len(chosen)},
        {"number": "sessions_that_differ", "value": differ},
    ]


# -- reading quickly -------------------------------------------------------------------------------------

_INDEXED = ("user_key", "content_key", "date_key")
RECENT = "streaming.recent_viewing_sessions"


def dimension_indexes(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Index the stored sessions by user, title and day, for look-ups of single ones; run it again after a full build.

    Aggregates need none: they read columns by partition. On an engine without indexes (Spark) its partitions and the
    statistics of its files take their place, and the rows say so.
    """
    _built(warehouse)
    engine = warehouse.engine
    rows = []
    for column in _INDEXED:
        name = f"session_facts_{column}"
        if engine.name == "duckdb":
            engine.execute(f"DROP INDEX IF EXISTS streaming.{name}")
            engine.execute(f"CREATE INDEX {name} ON streaming.session_facts ({column})")
        rows.append({
            "relation": "streaming.session_facts", "column": column, "index": name if engine.name == "duckdb" else None,
            "state": "built" if engine.name == "duckdb" else "partitions by session_date and file statistics",
        })
    return rows


def recent_sessions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Keep the sessions of the newest 7 days apart, as a partial index would: a small table for what is watched now.

    An index over only some rows is not known to every engine; a table of just these rows is. It is replaced as a whole,
    and holds sessions of internal users as the fact does.
    """
    _built(warehouse)
    engine = warehouse.engine
    kept = engine.replace(
        RECENT,
        "SELECT v.* FROM streaming.viewing_sessions AS v"
        " JOIN (SELECT MAX(session_date) AS day FROM streaming.session_facts) AS n"
        " ON v.session_date > add_days(n.day, -7)",
    )
    whole = engine.query("SELECT COUNT(*) AS n FROM streaming.session_facts")["n"][0].as_py()
    return [{"relation": RECENT, "days": 7, "rows": kept, "of": whole}]


_PARTITIONED = (
    ("fact_viewing_sessions", "session_date", "session_start_timestamp"),
    ("fact_viewing_events", "event_date", "event_timestamp"),
    ("playback_events", "event_date", "timestamp"),
    ("session_folds", "session_date", "started_at"),
    ("session_facts", "session_date", "started_at"),
)


def time_partitioning(warehouse: Warehouse) -> list[dict[str, Any]]:
    """By what each fact is parted, into how many days, and whether each row lies in the day of its own moment.

    A build of one day reads and writes that day's rows alone. On a lake each day is a folder.
    """
    warehouse.ready(PACK, [name for name, _, _ in _PARTITIONED[:3]])
    _built(warehouse)
    rows = []
    for name, column, moment in _PARTITIONED:
        found = warehouse.engine.query(
            f"SELECT COUNT(*) AS rows_stored, COUNT(DISTINCT {column}) AS partitions, MIN({column}) AS first_day,"
            f" MAX({column}) AS last_day, COUNT(CASE WHEN {column} <> date_of({moment}) THEN 1 END) AS misplaced"
            f" FROM streaming.{name}"
        ).to_pylist()[0]
        rows.append({"relation": f"streaming.{name}", "partition": column, **found})
    return rows
