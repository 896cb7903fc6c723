"""Streams that live in a warehouse: output, state and offset move in one transaction, or not at all.

`prodsense.streams` holds one row a stream. A crash before the commit leaves the warehouse as it was: the source
is read again from the stored offset. A crash after it leaves all of it done.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from prodsense.engines.base import SYSTEM_SCHEMA
from prodsense.errors import ProdsenseError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine
    from prodsense.realtime.fixedbatch import FixedBatch
    from prodsense.realtime.microbatch import MicroBatch

STREAMS = f"{SYSTEM_SCHEMA}.streams"

RECORD_COLUMNS = {"stream": "VARCHAR", "output": "VARCHAR", "seq": "BIGINT", "position": "VARCHAR", "state": "VARCHAR"}

#: Columns of the output of sessions; see `prodsense.realtime.microbatch.OUTPUT`.
OUTPUT_COLUMNS = {
    "session_id": "VARCHAR",
    "started_at": "TIMESTAMP",
    "ended_at": "TIMESTAMP",
    "closed_by": "VARCHAR",
    "event_type": "VARCHAR",
    "events": "BIGINT",
}

#: Columns of the output of a fixed-size buffer: what the commit `seq` displaced; see `fixedbatch.FIXED_OUTPUT`.
FIXED_COLUMNS = {
    "seq": "BIGINT",
    "post_id": "VARCHAR",
    "event_type": "VARCHAR",
    "events": "BIGINT",
    "view_seconds": "DOUBLE",
}


class Buffer(Protocol):
    """What a stream holds between two commits: `MicroBatch` or `FixedBatch`."""

    @property
    def totals(self) -> Mapping[str, float]: ...

    @property
    def counts(self) -> dict[str, int]: ...

    def add(self, batch: pa.Table) -> pa.Table: ...

    def add_events(self, events: Iterable[Mapping[str, Any] | None]) -> pa.Table: ...

    def flush(self) -> pa.Table: ...

    def to_json(self) -> str: ...


def check_output(relation: str) -> None:
    """Raise UsageError where a stream cannot write to a relation of this name."""
    if relation.count(".") != 1 or not all(relation.split(".")) or relation.startswith(SYSTEM_SCHEMA + "."):
        raise UsageError(f"a stream's output should be a relation like shop.sessions, not {relation}")


def record_rows(stream: str, output: str, seq: int, position: Any, state: str) -> pa.Table:
    """A stream's row of `STREAMS`."""
    import pyarrow as pa

    text = pa.string()
    schema = pa.schema({"stream": text, "output": text, "seq": pa.int64(), "position": text, "state": text})
    values = (stream, output, seq, json.dumps(position), state)
    return pa.Table.from_pylist([dict(zip(schema.names, values, strict=True))], schema=schema)


class Checkpointed(ABC):
    """A stream by `name` whose results are appended to the relation `output`. It goes on where it stopped.

    Every `push` is one transaction, whose state is written whole: its cost grows with what the buffer holds, so
    push thousands of events at a time. Calls from several threads wait for each other. Raises UsageError
    where the stream was begun with another output or other settings.
    """

    #: Columns of the output.
    columns: ClassVar[Mapping[str, str]]

    def __init__(self, engine: Engine, name: str, output: str):
        check_output(output)
        if not name:
            raise UsageError("a stream needs a name by which it is found again")
        self.name, self.output = name, output
        self._engine = engine
        self._lock = threading.RLock()
        self._buffer: Buffer | None = None
        self._seq = 0
        self._position: Any = None
        with engine.transaction():
            engine.create_table(STREAMS, RECORD_COLUMNS)
            self._load()
            lacking = set(self.columns) - set(engine.columns(output) or self.columns)
            if lacking:
                raise UsageError(f"{output} has no column {', '.join(sorted(lacking))}; name a table that is not there")
            engine.create_table(output, self.columns)

    @abstractmethod
    def _fresh(self) -> Buffer:
        """A buffer before the first event."""

    @abstractmethod
    def _resumed(self, state: str) -> Buffer:
        """The buffer of a stored state. Raises UsageError where it is of another kind or settings."""

    @abstractmethod
    def _rows(self, closed: pa.Table) -> pa.Table:
        """What a buffer gave, as rows of the output."""

    @property
    def position(self) -> Any:
        """How far the source has been read, as its last `push` said; None before the first."""
        with self._lock:
            self._loaded()
            return self._position

    @property
    def totals(self) -> dict[str, Any]:
        """All that the output holds of this stream, summed: event type → number in closed sessions, or
        ``engagements`` and ``view_seconds`` of a fixed-size buffer."""
        with self._lock:
            return dict(self._loaded().totals)

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `SessionState` and `FixedState` of `prodsense.realtime.state`."""
        with self._lock:
            return dict(self._loaded().counts)

    @property
    def waiting(self) -> dict[str, int]:
        """What is held and not counted yet: ``events``, and ``sessions`` that are open (of sessions only)."""
        with self._lock:
            return self._waiting(self._loaded())

    @abstractmethod
    def _waiting(self, buffer: Any) -> dict[str, int]: ...

    def push(self, events: pa.Table | Iterable[Mapping[str, Any] | None], position: Any = None) -> pa.Table:
        """Take events in and commit; return the rows that were appended to the output.

        `events` is an Arrow table or mappings (see `MicroBatch`, `FixedBatch`). `position` (anything that JSON can
        say) is where the source stands behind them; None leaves the stored one. On any error nothing has
        happened: push them again.
        """
        import pyarrow as pa

        if isinstance(events, pa.Table):
            table = events
            return self._commit(lambda buffer: buffer.add(table), position)
        rows = list(events)
        return self._commit(lambda buffer: buffer.add_events(rows), position)

    def flush(self) -> pa.Table:
        """The stream is over: count all that waits, commit; return the appended rows."""
        return self._commit(lambda buffer: buffer.flush(), None)

    def _commit(self, step: Callable[[Buffer], pa.Table], position: Any) -> pa.Table:
        with self._lock:
            buffer = self._loaded()
            try:
                rows = self._rows(step(buffer))
                where = self._position if position is None else position
                self._write(rows, buffer, where)
            except BaseException:
                # The buffer may be ahead of the warehouse: the next use reads the stored state.
                self._buffer = None
                raise
            self._seq += 1
            self._position = where
            return rows

    def _write(self, rows: pa.Table, buffer: Buffer, position: Any) -> None:
        record = record_rows(self.name, self.output, self._seq + 1, position, buffer.to_json())
        with self._engine.transaction():
            stored = self._stored("seq")
            if (stored["seq"] if stored else 0) != self._seq:
                raise ProdsenseError(
                    f"stream {self.name} was moved on by someone else meanwhile; nothing was written: push again"
                )
            if rows.num_rows:
                self._engine.append(self.output, rows)
            self._engine.delete(STREAMS, "stream = :stream", {"stream": self.name})
            self._engine.append(STREAMS, record)

    def _loaded(self) -> Buffer:
        if self._buffer is None:
            self._load()
        assert self._buffer is not None
        return self._buffer

    def _load(self) -> None:
        stored = self._stored("output, seq, position, state")
        if stored is None:
            self._buffer, self._seq, self._position = self._fresh(), 0, None
            return
        if stored["output"] != self.output:
            raise UsageError(f"stream {self.name} writes to {stored['output']}, not {self.output}; use another name")
        self._buffer = self._resumed(stored["state"])
        self._seq, self._position = stored["seq"], json.loads(stored["position"])

    def _another(self, begun: str) -> UsageError:
        return UsageError(f"stream {self.name} was begun {begun}; open it with that or use another name")

    def _stored(self, columns: str) -> dict[str, Any] | None:
        found = self._engine.query(f"SELECT {columns} FROM {STREAMS} WHERE stream = :stream", {"stream": self.name})
        return found.to_pylist()[0] if found.num_rows else None


class Stream(Checkpointed):
    """A stream of sessions: those that closed are appended to `output`, one row a session and event type.

    It keeps the `timeout` and `lateness` that it began with. See `MicroBatch` for the rules.
    """

    columns = OUTPUT_COLUMNS

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
        self._test_users = frozenset(test_users)
        self._timeout, self._lateness = timeout, lateness
        super().__init__(engine, name, output)

    def _fresh(self) -> MicroBatch:
        from prodsense.realtime.microbatch import MicroBatch

        return MicroBatch(self._test_users, timeout=self._timeout, lateness=self._lateness)

    def _resumed(self, state: str) -> MicroBatch:
        from prodsense.realtime.microbatch import MicroBatch

        begun = json.loads(state)
        if "pending" not in begun:
            raise self._another("with its state in tables" if "tables" in begun else "with a fixed-size buffer")
        buffer, asked = MicroBatch.from_json(state, self._test_users), self._fresh()
        if buffer.lengths != asked.lengths:
            raise self._another("with timeout {} and lateness {}".format(*buffer.lengths))
        return buffer

    def _rows(self, closed: pa.Table) -> pa.Table:
        return closed

    def _waiting(self, buffer: MicroBatch) -> dict[str, int]:
        return {"events": buffer.pending, "sessions": buffer.sessions}


class FixedStream(Checkpointed):
    """A stream through a buffer of `size` events: what leaves it is appended to `output`, by post and event type.

    Rows are increments, to be summed; `seq` numbers the commits. See `FixedBatch` for the rules.
    """

    columns = FIXED_COLUMNS

    def __init__(
        self, engine: Engine, name: str, output: str, test_users: Iterable[Any] = (), *, size: int = 1000,
        remember: int = 10_000,
    ):  # fmt: skip
        self._test_users = frozenset(test_users)
        self._size, self._remember = size, remember
        super().__init__(engine, name, output)

    def _fresh(self) -> FixedBatch:
        from prodsense.realtime.fixedbatch import FixedBatch

        return FixedBatch(self._size, self._test_users, remember=self._remember)

    def _resumed(self, state: str) -> FixedBatch:
        from prodsense.realtime.fixedbatch import FixedBatch

        begun = json.loads(state)
        if "size" not in begun:
            raise self._another("with sessions")
        if (begun["size"], begun["remember"]) != (self._size, self._remember):
            raise self._another(f"with a buffer of {begun['size']} that remembers {begun['remember']} ids")
        return FixedBatch.from_json(state, self._test_users)

    def _rows(self, closed: pa.Table) -> pa.Table:
        import pyarrow as pa

        return closed.add_column(0, "seq", pa.array([self._seq + 1] * closed.num_rows, pa.int64()))

    def _waiting(self, buffer: FixedBatch) -> dict[str, int]:
        return {"events": len(buffer)}
