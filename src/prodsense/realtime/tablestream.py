"""A stream of sessions whose state lives in tables of its engine and which SQL carries on, a batch at a time.

The rules are those of `MicroBatch`; nothing but counts leaves the engine, so that on Spark the work is the cluster's.
A batch has no order inside: an event is late where it lies below the watermark of the batches before.
State, output and place in the source are written in one transaction. Three tables lie beside the output:
``…_pending`` (events that wait for the watermark), ``…_ids`` (event ids seen within the lateness) and ``…_open``
(the sessions of the last batch by event type; `closed_by` is null for those that are open).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import quoted
from prodsense.errors import ProdsenseError, UsageError
from prodsense.realtime.buffers import SESSION_END
from prodsense.realtime.checkpoint import OUTPUT_COLUMNS, RECORD_COLUMNS, STREAMS, check_output, record_rows
from prodsense.realtime.state import COUNTS, read_state, write_state

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

_MICROSECOND = timedelta(microseconds=1)

#: Before every time there is.
_NEVER = datetime(1, 1, 1)

_EVENT = {
    "at": "TIMESTAMP", "is_end": "INTEGER", "id": "VARCHAR", "session": "VARCHAR", "kind": "VARCHAR",
    "is_test": "INTEGER",
}  # fmt: skip
_STATE = {
    "pending": _EVENT,
    "ids": {"id": "VARCHAR", "at": "TIMESTAMP"},
    "open": {
        "session": "VARCHAR", "started_at": "TIMESTAMP", "ended_at": "TIMESTAMP", "kind": "VARCHAR",
        "events": "BIGINT", "closed_by": "VARCHAR",
    },
}  # fmt: skip

_FIELDS = ", ".join(_EVENT)


class TableStream:
    """A stream by `name` on any engine, with the `timeout` and `lateness` that it began with.

    Raises UsageError where it was begun with another output or other lengths, or by another kind of stream.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        output: str,
        test_users: Iterable[Any] = (),
        *,
        timeout: timedelta = timedelta(minutes=30),
        lateness: timedelta = timedelta(minutes=5),
    ):
        self._seq = 0
        self._position: Any = None
        self._newest: datetime | None = None
        self._watermark: datetime | None = None
        self._floor = _NEVER
        self._totals: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        check_output(output)
        if timeout <= timedelta(0) or lateness < timedelta(0):
            raise UsageError(f"timeout should be above 0 and lateness 0 or more, not {timeout} and {lateness}")
        self.name, self.output = name, output
        self._engine = engine
        self._test_users = sorted({str(user) for user in test_users})
        self._timeout, self._lateness = timeout, lateness
        with engine.transaction():
            engine.create_table(STREAMS, RECORD_COLUMNS)
            self._load()
            engine.create_table(output, OUTPUT_COLUMNS)
            for part, columns in _STATE.items():
                engine.create_table(self._state_table(part), columns)

    @property
    def position(self) -> Any:
        """How far the source has been read; None before the first batch."""
        return self._position

    @property
    def totals(self) -> dict[str, int]:
        """Event type → number in closed sessions."""
        return dict(self._totals)

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `SessionState`."""
        return dict(self._counts)

    @property
    def closed(self) -> int:
        """Sessions closed so far."""
        found = self._engine.query(
            f"SELECT COUNT(DISTINCT session_id || ' ' || text_of(started_at)) AS n FROM {quoted(self.output)}"
        )
        return int(found["n"][0].as_py())

    def push(self, relation: str, position: Any = None) -> None:
        """Take in a relation with session_id, user_id, event_type, timestamp (UTC) and event_id; commit.

        On any error nothing has happened: push it again.
        """
        self._step(_arrived(relation), self._position if position is None else position, flush=False)

    def push_since(self, select: str) -> tuple[int, datetime | None]:
        """Take in what was received since the last time, once: how many rows, and up to which moment.

        `select` gives the columns of `push` and ``arrived``, the moment of receipt, for rows after ``:since`` (all
        where that is null). The moment is the place in the source, and is committed with what it brought.
        """
        import pyarrow.compute as pc

        since = datetime.fromisoformat(self.position) if self.position else None
        batch = self._engine.query(select, {"since": since})
        if not batch.num_rows:
            return 0, since
        until = pc.max(batch["arrived"]).as_py()
        with self._engine.temporary(batch.drop_columns(["arrived"])) as relation:
            self.push(relation, until.isoformat())
        return batch.num_rows, until

    def flush(self) -> None:
        """The stream is over: take in all that waits, close all sessions, commit."""
        self._step(None, self._position, flush=True)

    def _step(self, arrived: str | None, position: Any, flush: bool) -> None:
        try:
            with self._engine.transaction():
                self._check_owner()
                self._advance(arrived, flush)
                self._position = position
                self._write()
        except BaseException:
            self._load()  # what was reckoned ahead is forgotten with what was written
            raise

    def _advance(self, arrived: str | None, flush: bool) -> None:
        import pyarrow as pa

        users = pa.table({"test_user": pa.array(self._test_users, pa.string())})
        with self._engine.temporary(users) as test_users:
            fresh = f"SELECT {_FIELDS} FROM {quoted(self._state_table('pending'))} WHERE 1 = 0"
            if arrived is not None:
                fresh = self._arrivals(arrived, test_users)
            if flush and self._newest is not None:
                self._watermark = self._newest + _MICROSECOND
            if self._watermark is not None:
                self._settle(fresh, flush)

    def _arrivals(self, arrived: str, test_users: str) -> str:
        """Count what came and move time on; the SELECT of what is in time."""
        floor = self._watermark or _NEVER
        known = "session IS NOT NULL AND user_id IS NOT NULL AND kind IS NOT NULL AND at IS NOT NULL"
        found = self._engine.query(
            f"WITH arrived AS ({arrived}) SELECT COUNT(*) AS all_rows, COUNT(CASE WHEN {known} THEN 1 END) AS known,"
            f" COUNT(CASE WHEN {known} AND at < :floor THEN 1 END) AS late,"
            f" MAX(CASE WHEN {known} THEN at END) AS newest FROM arrived",
            {"floor": floor},
        ).to_pylist()[0]
        self._counts["read"] += found["all_rows"]
        self._counts["ignored"] += found["all_rows"] - found["known"]
        self._counts["late"] += found["late"]
        self._floor = floor
        if found["newest"] is not None and (self._newest is None or found["newest"] > self._newest):
            self._newest = found["newest"]
            mark = _before(self._newest, self._lateness)
            self._watermark = mark if self._watermark is None else max(mark, self._watermark)
        return (
            f"SELECT a.at, CASE WHEN a.kind = :session_end THEN 1 ELSE 0 END AS is_end, COALESCE(a.id, '') AS id,"
            f" a.session, a.kind, CASE WHEN t.test_user IS NULL THEN 0 ELSE 1 END AS is_test FROM ({arrived}) AS a"
            f" LEFT JOIN {test_users} AS t ON t.test_user = a.user_id WHERE a.session IS NOT NULL"
            " AND a.user_id IS NOT NULL AND a.kind IS NOT NULL AND a.at IS NOT NULL AND a.at >= :floor"
        )

    def _settle(self, fresh: str, flush: bool) -> None:
        """Take in what lies below the watermark, close what ended or timed out there (all, to flush)."""
        engine, mark = self._engine, self._watermark
        assert mark is not None
        params = {
            "mark": mark, "floor": self._floor, "session_end": SESSION_END, "alive": _before(mark, self._lateness),
            "dead": _before(mark, self._timeout), "timeout": self._timeout.total_seconds(),
            "lateness": self._lateness.total_seconds(), "left_open": "flush" if flush else None,
        }  # fmt: skip
        pending, ids, opened = (self._state_table(part) for part in _STATE)
        held = f"SELECT {_FIELDS} FROM {quoted(pending)} UNION ALL {fresh}"
        kept = _KEPT.format(held=held, ids=quoted(ids))
        counted = engine.query(f"{kept} {_COUNTED}", params).to_pylist()[0]
        engine.replace(opened, f"{kept} {_SESSIONS.format(open=quoted(opened))}", params)
        engine.insert(
            self.output,
            "SELECT session AS session_id, started_at, ended_at, closed_by, kind AS event_type, events"
            f" FROM {quoted(opened)} WHERE closed_by IS NOT NULL AND kind IS NOT NULL",
        )
        engine.replace(ids, f"{kept} {_ALIVE}", params)
        engine.replace(pending, f"SELECT {_FIELDS} FROM ({held}) AS held WHERE at >= :mark", params)
        closed = engine.query(_CLOSED.format(open=quoted(opened))).to_pylist()
        ended = sum(row["sessions"] for row in closed)
        self._counts["duplicate"] += counted["duplicate"]
        self._counts["test"] += counted["test"]
        self._counts["end"] += ended
        self._counts["unmatched_end"] += counted["ends"] - ended
        for row in closed:
            if row["kind"] is not None:
                self._totals[row["kind"]] = self._totals.get(row["kind"], 0) + row["events"]

    # -- the record ----------------------------------------------------------------------------------

    def _state_table(self, part: str) -> str:
        return f"{self.output}_{part}"

    def _stored(self, columns: str, where: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._engine.query(f"SELECT {columns} FROM {STREAMS} WHERE {where}", params).to_pylist()

    def _check_owner(self) -> None:
        stored = self._stored("seq", "stream = :stream", {"stream": self.name})
        if (stored[0]["seq"] if stored else 0) != self._seq:
            raise ProdsenseError(
                f"stream {self.name} was moved on by someone else meanwhile; nothing was written: push again"
            )

    def _load(self) -> None:
        self._seq, self._position = 0, None
        self._newest, self._watermark, self._floor = None, None, _NEVER
        self._totals, self._counts = {}, dict.fromkeys(COUNTS, 0)
        own = {"output": self.output, "stream": self.name}
        sharing = self._stored("stream", "output = :output AND stream <> :stream", own)
        if sharing:
            raise UsageError(f"{self.output} is the output of stream {sharing[0]['stream']}; name another one")
        stored = self._stored("output, seq, position, state", "stream = :stream", {"stream": self.name})
        if not stored:
            return
        if stored[0]["output"] != self.output:
            raise UsageError(f"stream {self.name} writes to {stored[0]['output']}, not {self.output}; use another name")
        state = read_state(stored[0]["state"])
        if "tables" not in state:
            raise UsageError(f"stream {self.name} keeps its state in a record, not in tables; use another name")
        lengths = (self._timeout // _MICROSECOND, self._lateness // _MICROSECOND)
        if (state["timeout"], state["lateness"]) != lengths:
            begun = [timedelta(microseconds=state[name]) for name in ("timeout", "lateness")]
            raise UsageError(
                f"stream {self.name} was begun with timeout {begun[0]} and lateness {begun[1]};"
                " open it with that or use another name"
            )
        self._seq, self._position = stored[0]["seq"], json.loads(stored[0]["position"])
        self._newest, self._watermark = (_read(state[name]) for name in ("newest", "watermark"))
        self._totals, self._counts = state["totals"], state["counts"]

    def _write(self) -> None:
        state = write_state(
            {
                "tables": list(_STATE), "timeout": self._timeout // _MICROSECOND,
                "lateness": self._lateness // _MICROSECOND,
                "newest": self._newest.isoformat() if self._newest else None,
                "watermark": self._watermark.isoformat() if self._watermark else None,
                "totals": dict(sorted(self._totals.items())), "counts": self._counts,
            }
        )  # fmt: skip
        self._engine.delete(STREAMS, "stream = :stream", {"stream": self.name})
        self._engine.append(STREAMS, record_rows(self.name, self.output, self._seq + 1, self._position, state))
        self._seq += 1


def _before(moment: datetime, length: timedelta) -> datetime:
    """`length` before a moment, or the first moment there is."""
    return moment - length if moment - _NEVER > length else _NEVER


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _arrived(relation: str) -> str:
    """SELECT of a relation's events with ids as text and empty text as null."""
    names = {"event_id": "id", "session_id": "session", "user_id": "user_id", "event_type": "kind"}
    texts = ", ".join(f"NULLIF(text_of({column}), '') AS {name}" for column, name in names.items())
    return f'SELECT CAST("timestamp" AS TIMESTAMP) AS at, {texts} FROM {quoted(relation)}'


#: Events that are taken in: `released`, and of these `kept`, those whose id did not occur within the lateness before.
_KEPT = """
WITH held AS ({held}),
released AS (SELECT at, is_end, id, session, kind, is_test FROM held WHERE at < :mark),
named AS (
    SELECT at, is_end, id, session, kind, is_test, 0 AS known FROM released WHERE id <> ''
    UNION ALL
    SELECT at, 0 AS is_end, id, '' AS session, '' AS kind, 0 AS is_test, 1 AS known FROM {ids}
),
followed AS (
    SELECT *, LAG(at) OVER (PARTITION BY id ORDER BY at, known DESC, is_end, session, kind, is_test) AS earlier
    FROM named
),
judged AS (
    SELECT at, is_end, id, session, kind, is_test, 1 AS is_first FROM released WHERE id = ''
    UNION ALL
    SELECT at, is_end, id, session, kind, is_test,
        CASE WHEN earlier IS NULL OR seconds_between(earlier, at) > :lateness THEN 1 ELSE 0 END AS is_first
    FROM followed WHERE known = 0
),
kept AS (SELECT at, is_end, id, session, kind, is_test FROM judged WHERE is_first = 1)
"""

_COUNTED = """
SELECT COUNT(CASE WHEN is_first = 0 THEN 1 END) AS duplicate,
    COUNT(CASE WHEN is_first = 1 AND is_test = 1 AND is_end = 0 THEN 1 END) AS test,
    COUNT(CASE WHEN is_first = 1 AND is_end = 1 THEN 1 END) AS ends
FROM judged
"""

_ALIVE = "SELECT id, MAX(at) AS at FROM named GROUP BY id HAVING MAX(at) >= :alive"

#: Sessions of what is kept and what was open, cut at ends and gaps; a lone end is none. An open session goes before
#: its new events as one row at its last event.
_SESSIONS = """,
before AS (SELECT session, started_at, ended_at, kind, events FROM {open} WHERE closed_by IS NULL),
lines AS (
    SELECT session, at, is_end, kind, CASE WHEN is_end = 0 AND is_test = 0 THEN 1 ELSE 0 END AS counts, at AS begun
    FROM kept
    UNION ALL
    SELECT DISTINCT session, ended_at AS at, 0 AS is_end, '' AS kind, 0 AS counts, started_at AS begun FROM before
),
lagged AS (
    SELECT *, LAG(at) OVER (PARTITION BY session ORDER BY at, is_end) AS earlier,
        LAG(is_end) OVER (PARTITION BY session ORDER BY at, is_end) AS was_end
    FROM lines
),
cut AS (
    SELECT *, CASE WHEN earlier IS NULL OR was_end = 1 OR seconds_between(earlier, at) >= :timeout THEN 1 ELSE 0 END
        AS begins
    FROM lagged
),
numbered AS (
    SELECT *, SUM(begins) OVER (
        PARTITION BY session ORDER BY at, is_end, begins DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS number
    FROM cut
),
found AS (
    SELECT session, number, MIN(begun) AS started_at, MAX(at) AS ended_at, MAX(is_end) AS ended
    FROM numbered GROUP BY session, number HAVING MIN(is_end) = 0
),
counted AS (
    SELECT session, number, kind, SUM(events) AS events
    FROM (
        SELECT session, number, kind, counts AS events FROM numbered WHERE counts = 1
        UNION ALL
        SELECT session, 1 AS number, kind, events FROM before WHERE kind IS NOT NULL
    ) AS both_parts
    GROUP BY session, number, kind
)
SELECT f.session, f.started_at, f.ended_at, c.kind, CAST(c.events AS BIGINT) AS events,
    CASE WHEN f.ended = 1 THEN 'end' WHEN f.ended_at <= :dead THEN 'timeout' ELSE CAST(:left_open AS VARCHAR) END
        AS closed_by
FROM found AS f
LEFT JOIN counted AS c ON c.session = f.session AND c.number = f.number
"""

#: Totals of the sessions that closed, by event type, and the number of those that a session_end closed.
_CLOSED = """
SELECT kind, CAST(SUM(events) AS BIGINT) AS events, 0 AS sessions FROM {open}
WHERE closed_by IS NOT NULL AND kind IS NOT NULL GROUP BY kind
UNION ALL
SELECT NULL AS kind, 0 AS events, COUNT(*) AS sessions
FROM (SELECT DISTINCT session, started_at FROM {open} WHERE closed_by = 'end') AS ended
"""
