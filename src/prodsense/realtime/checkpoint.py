"""Streams that live in a warehouse: output, state and offset move in one transaction, or not at all.

`prodsense.streams` holds one row a stream. A crash before the commit leaves the warehouse as it was: the source
is read again from the stored offset. A crash after it leaves all of it done.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import SYSTEM_SCHEMA
from prodsense.errors import ProdsenseError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine
    from prodsense.realtime.microbatch import MicroBatch

STREAMS = f"{SYSTEM_SCHEMA}.streams"

_COLUMNS = {"stream": "VARCHAR", "output": "VARCHAR", "seq": "BIGINT", "position": "VARCHAR", "state": "VARCHAR"}

#: Columns of the output relation; see `prodsense.realtime.microbatch.OUTPUT`.
OUTPUT_COLUMNS = {
    "session_id": "VARCHAR",
    "started_at": "TIMESTAMP",
    "ended_at": "TIMESTAMP",
    "closed_by": "VARCHAR",
    "event_type": "VARCHAR",
    "events": "BIGINT",
}


class Stream:
    """A stream of sessions by `name`, whose closed sessions are appended to the relation `output`.

    It goes on where it stopped, with the `timeout` and `lateness` that it began with. Every `push` is one
    transaction, whose state is written whole: its cost grows with the events within `lateness` and the open
    sessions, so push thousands of events at a time. Calls from several threads wait for each other. Raises
    UsageError where the stream was begun with another output, timeout or lateness.
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
        if "." not in output or output.startswith(SYSTEM_SCHEMA + "."):
            raise UsageError(f"a stream's output should be a relation like shop.sessions, not {output}")
        self.name, self.output = name, output
        self._engine = engine
        self._test_users = frozenset(test_users)
        self._timeout, self._lateness = timeout, lateness
        self._lock = threading.RLock()
        self._buffer: MicroBatch | None = None
        self._seq = 0
        self._position: Any = None
        with engine.transaction():
            engine.create_table(STREAMS, _COLUMNS)
            engine.create_table(output, OUTPUT_COLUMNS)
        self._load()

    @property
    def position(self) -> Any:
        """How far the source has been read, as its last `push` said; None before the first."""
        with self._lock:
            self._loaded()
            return self._position

    @property
    def totals(self) -> dict[str, int]:
        """Event type → number in closed sessions."""
        with self._lock:
            return dict(self._loaded().totals)

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `prodsense.realtime.state.SessionState`."""
        with self._lock:
            return dict(self._loaded().counts)

    def push(self, events: pa.Table | Iterable[Mapping[str, Any] | None], position: Any = None) -> pa.Table:
        """Take events in and commit; return the rows that were appended to the output.

        `events` is an Arrow table or mappings (see `MicroBatch`). `position` (anything that JSON can say) is where
        the source stands behind them; None leaves the stored one. On any error nothing has happened: push them again.
        """
        import pyarrow as pa

        if isinstance(events, pa.Table):
            table = events
            return self._commit(lambda buffer: buffer.add(table), position)
        rows = list(events)
        return self._commit(lambda buffer: buffer.add_events(rows), position)

    def flush(self) -> pa.Table:
        """The stream is over: take in all that waits, close all sessions, commit; return the appended rows."""
        return self._commit(lambda buffer: buffer.flush(), None)

    def _commit(self, step: Callable[[MicroBatch], pa.Table], position: Any) -> pa.Table:
        with self._lock:
            buffer = self._loaded()
            try:
                rows = step(buffer)
                where = self._position if position is None else position
                self._write(rows, buffer, where)
            except BaseException:
                # The buffer may be ahead of the warehouse: the next use reads the stored state.
                self._buffer = None
                raise
            self._seq += 1
            self._position = where
            return rows

    def _write(self, rows: pa.Table, buffer: MicroBatch, position: Any) -> None:
        import pyarrow as pa

        text = pa.string()
        schema = pa.schema({"stream": text, "output": text, "seq": pa.int64(), "position": text, "state": text})
        record = {
            "stream": self.name, "output": self.output, "seq": self._seq + 1,
            "position": json.dumps(position), "state": buffer.to_json(),
        }  # fmt: skip
        with self._engine.transaction():
            stored = self._stored("seq")
            if (stored["seq"] if stored else 0) != self._seq:
                raise ProdsenseError(
                    f"stream {self.name} was moved on by someone else meanwhile; nothing was written: push again"
                )
            if rows.num_rows:
                self._engine.append(self.output, rows)
            self._engine.delete(STREAMS, "stream = :stream", {"stream": self.name})
            self._engine.append(STREAMS, pa.Table.from_pylist([record], schema=schema))

    def _loaded(self) -> MicroBatch:
        if self._buffer is None:
            self._load()
        assert self._buffer is not None
        return self._buffer

    def _load(self) -> None:
        from prodsense.realtime.microbatch import MicroBatch

        fresh = MicroBatch(self._test_users, timeout=self._timeout, lateness=self._lateness)
        stored = self._stored("output, seq, position, state")
        if stored is None:
            self._buffer, self._seq, self._position = fresh, 0, None
            return
        if stored["output"] != self.output:
            raise UsageError(f"stream {self.name} writes to {stored['output']}, not {self.output}; use another name")
        buffer = MicroBatch.from_json(stored["state"], self._test_users)
        begun, asked = buffer.snapshot(), fresh.snapshot()
        if (begun.timeout, begun.lateness) != (asked.timeout, asked.lateness):
            lengths = [timedelta(microseconds=length) for length in (begun.timeout, begun.lateness)]
            raise UsageError(
                f"stream {self.name} was begun with timeout {lengths[0]} and lateness {lengths[1]};"
                " open it with those or use another name"
            )
        self._buffer, self._seq, self._position = buffer, stored["seq"], json.loads(stored["position"])

    def _stored(self, columns: str) -> dict[str, Any] | None:
        found = self._engine.query(f"SELECT {columns} FROM {STREAMS} WHERE stream = :stream", {"stream": self.name})
        return found.to_pylist()[0] if found.num_rows else None
