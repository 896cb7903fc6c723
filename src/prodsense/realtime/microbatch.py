"""Sessions of a stream by micro-batch: the rules of `SessionBuffer` on whole Arrow batches.

Work is done per batch in arrays: strings become codes by Arrow's dictionaries, rows are sorted once by session
and time, and session boundaries are differences of neighbours. The cost of a batch is that of its rows plus
those that wait for the watermark.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodsense.errors import ContractError
from prodsense.realtime.buffers import SESSION_END
from prodsense.realtime.state import SessionState, moment, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of an event; event_id may be absent.
FIELDS = ("session_id", "user_id", "event_type", "timestamp", "event_id")

#: Columns of the rows of closed sessions, one row a session and event type.
OUTPUT = pa.schema(
    {
        "session_id": pa.string(),
        "started_at": pa.timestamp("us"),
        "ended_at": pa.timestamp("us"),
        "closed_by": pa.string(),
        "event_type": pa.string(),
        "events": pa.int64(),
    }
)

_PENDING = pa.schema(
    {
        "at": pa.int64(),
        "is_end": pa.bool_(),
        "id": pa.string(),
        "session": pa.string(),
        "kind": pa.string(),
        "is_test": pa.bool_(),
    }
)
_IDS = pa.schema({"id": pa.string(), "at": pa.int64()})
_OPEN = pa.schema({"session": pa.string(), "start": pa.int64(), "last": pa.int64()})
#: `row` is the session's row in the table of open sessions.
_COUNTS = pa.schema({"row": pa.int64(), "kind": pa.string(), "events": pa.int64()})

#: Before every time there is.
_NEVER = -(2**62)

#: The times that a datetime can say; Arrow knows others.
_FIRST, _LAST = moment(datetime.min), moment(datetime.max)


class MicroBatch:
    """As `SessionBuffer`, fed with batches. The same events in the same order leave the same state, however
    they are split into batches; late events are judged one by one inside a batch too."""

    def __init__(
        self,
        test_users: Iterable[Any] = (),
        *,
        timeout: timedelta = timedelta(minutes=30),
        lateness: timedelta = timedelta(minutes=5),
        state: SessionState | None = None,
    ):
        state = state or SessionState.fresh(timeout, lateness)
        self._test_users = pa.array(sorted({str(user) for user in test_users}), pa.string())
        self._pending = _table(_PENDING, list(zip(*state.pending, strict=True)))
        self._ids = _table(_IDS, [list(state.ids), list(state.ids.values())])
        self._open = _table(
            _OPEN, [list(state.open), [s.start for s in state.open.values()], [s.last for s in state.open.values()]]
        )
        held = [(row, *pair) for row, one in enumerate(state.open.values()) for pair in one.counts.items()]
        self._counts = _table(_COUNTS, list(zip(*held, strict=True)))
        # The large parts of the state live in the tables above.
        self._state = state
        state.pending, state.ids, state.open = [], OrderedDict(), OrderedDict()

    @property
    def totals(self) -> dict[str, int]:
        """Event type → number in closed sessions."""
        return self._state.totals

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `SessionState`."""
        return self._state.counts

    @property
    def lengths(self) -> tuple[timedelta, timedelta]:
        """Timeout and lateness."""
        return timedelta(microseconds=self._state.timeout), timedelta(microseconds=self._state.lateness)

    @property
    def pending(self) -> int:
        """Events that wait for the watermark."""
        return self._pending.num_rows

    @property
    def sessions(self) -> int:
        """Sessions that are open."""
        return self._open.num_rows

    def add(self, batch: pa.Table | pa.RecordBatch) -> pa.Table:
        """Take a batch in, in order of its rows; return the rows (`OUTPUT`) of the sessions that it closed.

        Columns are those of `FIELDS`, of any type that reads as text; `timestamp` is a timestamp (UTC where it
        has no zone) or ISO text. Raises ContractError, and changes nothing, where one is absent.
        """
        return self._take(_arrived(batch), batch.num_rows)

    def add_events(self, events: Iterable[Mapping[str, Any] | None]) -> pa.Table:
        """Take events in as mappings, like `SessionBuffer.add`."""
        rows = [event or {} for event in events]
        columns = {
            name: pa.array([text(row.get(name)) for row in rows], pa.string()) for name in FIELDS if name != "timestamp"
        }
        at = pa.array([moment(row.get("timestamp")) for row in rows], pa.int64())
        return self._take(pa.table({**columns, "at": at}), len(rows))

    def flush(self) -> pa.Table:
        """The stream is over: take in all that waits, close all sessions, return their rows."""
        if not self._state.finish():
            return OUTPUT.empty_table()
        return self._settle(flush=True)

    def to_json(self) -> str:
        """All but the test users; equal states give equal text, also of `SessionBuffer`."""
        opened = self._open.append_column("row", pa.array(np.arange(self._open.num_rows)))
        opened = _sorted(opened, ["last", "session"])
        rank = np.empty(opened.num_rows, dtype=np.int64)
        rank[_numpy(opened, "row")] = np.arange(opened.num_rows)
        held = self._counts.set_column(0, "row", pa.array(rank[_numpy(self._counts, "row")]))
        return self._state.write(
            _sorted(self._pending, _PENDING.names).to_pydict(),
            _sorted(self._ids, ["at", "id"]).to_pydict(),
            opened.drop_columns(["row"]).to_pydict(),
            _sorted(held, ["row", "kind"]).to_pydict(),
        )

    @classmethod
    def from_json(cls, saved: str, test_users: Iterable[Any] = ()) -> MicroBatch:
        """The stream that `to_json` of this class or of `SessionBuffer` wrote."""
        return cls(test_users, state=SessionState.from_json(saved))

    def _take(self, arrived: pa.Table, read: int) -> pa.Table:
        state = self._state
        known = _where(arrived, _all_valid(arrived, ("session_id", "user_id", "event_type", "at")))
        at = _numpy(known, "at")
        state.counts["read"] += read
        state.counts["ignored"] += read - len(at)
        if not len(at):
            return OUTPUT.empty_table()
        # The newest time before each event gives the watermark that it met.
        newest = np.maximum.accumulate(np.concatenate([[_NEVER if state.newest is None else state.newest], at]))
        mark = np.maximum(newest - state.lateness, _NEVER if state.watermark is None else state.watermark)
        in_time = at >= mark[:-1]
        state.counts["late"] += int((~in_time).sum())
        kept = _where(known, in_time)
        fresh = pa.table(
            [
                kept.column("at"),
                pc.equal(kept.column("event_type"), SESSION_END),
                pc.fill_null(kept.column("event_id"), ""),
                kept.column("session_id"),
                kept.column("event_type"),
                pc.is_in(kept.column("user_id"), value_set=self._test_users),
            ],
            schema=_PENDING,
        )
        self._pending = pa.concat_tables([self._pending, fresh])
        state.newest = int(newest[-1])
        if state.watermark is not None and mark[-1] <= state.watermark:
            return OUTPUT.empty_table()
        state.watermark = int(mark[-1])
        return self._settle()

    def _settle(self, flush: bool = False) -> pa.Table:
        """Take in what lies below the watermark and close what ended or timed out there (all, to flush)."""
        mark = self._state.watermark
        assert mark is not None
        ready = pc.less(self._pending.column("at"), mark)
        released = self._pending.filter(ready).combine_chunks()
        self._pending = self._pending.filter(pc.invert(ready)).combine_chunks()
        return self._sessions(self._first_of_each_id(released, mark), mark, flush)

    def _first_of_each_id(self, released: pa.Table, mark: int) -> pa.Table:
        """Drop repeats: an id whose occurrence before, counted or not, is at most `lateness` older."""
        at = _numpy(released, "at")
        named = np.flatnonzero(pc.not_equal(released.column("id"), "").to_numpy(zero_copy_only=False))
        old = self._ids.num_rows
        if not len(named) and not old:
            return released
        both = pa.chunked_array(
            [*self._ids.column("id").chunks, *released.column("id").take(pa.array(named)).chunks], pa.string()
        )
        codes, ids = _codes(both)
        times = np.concatenate([_numpy(self._ids, "at"), at[named]])
        keep = np.ones(len(at), dtype=bool)
        if len(ids) < len(codes):
            again = np.flatnonzero(np.bincount(codes, minlength=len(ids))[codes] > 1)
            # Few rows: those of ids that occur twice, in the exact order in which events are taken in.
            columns = ("at", "is_end", "id", "session", "kind", "is_test")
            rows = released.take(pa.array(named[again[again >= old] - old])).select(columns)
            order = sorted(
                [((int(times[i]),), int(codes[i]), -1) for i in again[again < old]]
                + [
                    (entry, int(codes[i]), int(named[i - old]))
                    for entry, i in zip(_rows(rows, *columns), again[again >= old], strict=True)
                ]
            )
            last: dict[int, int] = {}
            for entry, code, row in order:
                if row >= 0 and code in last and entry[0] - last[code] <= self._state.lateness:
                    keep[row] = False
                last[code] = entry[0]
            self._state.counts["duplicate"] += int((~keep).sum())
        latest = np.full(len(ids), _NEVER)
        np.maximum.at(latest, codes, times)
        alive = latest + self._state.lateness >= mark
        self._ids = pa.table([ids, pa.array(latest)], schema=_IDS).filter(pa.array(alive)).combine_chunks()
        return _where(released, keep).combine_chunks()

    def _sessions(self, rows: pa.Table, mark: int, flush: bool) -> pa.Table:
        state, held = self._state, self._open.num_rows
        codes, names = _codes(
            pa.chunked_array([*self._open.column("session").chunks, *rows.column("session").chunks], pa.string())
        )
        open_start, open_last = _numpy(self._open, "start"), _numpy(self._open, "last")
        order = np.lexsort((_numpy(rows, "is_end"), _numpy(rows, "at"), codes[held:]))
        session, at = codes[held:][order], _numpy(rows, "at")[order]
        is_end, is_test = _numpy(rows, "is_end")[order], _numpy(rows, "is_test")[order]

        # Where a session begins, or goes on from an earlier batch.
        first = np.ones(len(at), dtype=bool)
        first[1:] = session[1:] != session[:-1]
        before, after_end = np.full(len(at), _NEVER), np.zeros(len(at), dtype=bool)
        before[1:], after_end[1:] = at[:-1], is_end[:-1]
        was_open = first & (session < held)
        before[first] = _NEVER
        before[was_open] = open_last[session[was_open]]
        fresh = (at - before >= state.timeout) | (~first & after_end)
        goes_on = was_open & ~fresh
        begins = np.flatnonzero(fresh | goes_on)
        part = np.cumsum(fresh | goes_on) - 1
        ends = np.append(begins[1:], len(at)) - 1 if len(begins) else begins

        # One entry a session: those of these rows, then the open ones that none of these rows touched.
        ended, lone_end = is_end[ends], is_end[begins] & ~goes_on[begins]
        continued = session[begins[goes_on[begins]]]
        place = np.full(held, -1)
        place[continued] = np.flatnonzero(goes_on[begins])
        rest = np.flatnonzero(place < 0)
        place[rest] = len(begins) + np.arange(len(rest))
        start = at[begins].copy()
        start[goes_on[begins]] = open_start[continued]
        who = np.concatenate([session[begins], rest])
        start = np.concatenate([start, open_start[rest]])
        last = np.concatenate([at[ends], open_last[rest]])
        ended = np.concatenate([ended, np.zeros(len(rest), dtype=bool)])
        timed_out = ~ended & (last + state.timeout <= mark)
        closed = ended | timed_out | flush
        state.counts["end"] += int((is_end[ends] & ~lone_end).sum())
        state.counts["unmatched_end"] += int(lone_end.sum())
        state.counts["test"] += int((is_test & ~is_end).sum())

        # Counts by session and type: those held so far and those of these rows.
        counted = np.flatnonzero(~is_end & ~is_test)
        kinds_now = rows.column("kind").take(pa.array(order[counted]))
        kinds, kind_names = _codes(
            pa.chunked_array([*self._counts.column("kind").chunks, *kinds_now.chunks], pa.string())
        )
        owner = np.concatenate([place[_numpy(self._counts, "row")], part[counted]])
        weight = np.concatenate([_numpy(self._counts, "events"), np.ones(len(counted), dtype=np.int64)])
        key, events = _sums(owner * max(len(kind_names), 1) + kinds, weight)
        owner, kinds = np.divmod(key, max(len(kind_names), 1))

        done = closed[owner]
        sums = np.bincount(kinds[done], events[done], len(kind_names)).astype(np.int64)
        for kind, number in zip(kind_names.to_pylist(), sums.tolist(), strict=True):
            if number:
                state.totals[kind] = state.totals.get(kind, 0) + number
        left = np.flatnonzero(~closed)
        row = np.cumsum(~closed) - 1
        self._open = pa.table(
            [names.take(pa.array(who[left])), pa.array(start[left]), pa.array(last[left])], schema=_OPEN
        )
        self._counts = pa.table(
            [pa.array(row[owner[~done]]), kind_names.take(pa.array(kinds[~done])), pa.array(events[~done])],
            schema=_COUNTS,
        )
        reason = pa.array(["end", "timeout", "flush"]).take(
            pa.array(np.where(ended, 0, np.where(timed_out, 1, 2))[owner[done]])
        )
        return pa.table(
            [
                names.take(pa.array(who[owner[done]])),
                pa.array(start[owner[done]]).cast(pa.timestamp("us")),
                pa.array(last[owner[done]]).cast(pa.timestamp("us")),
                reason,
                kind_names.take(pa.array(kinds[done])),
                pa.array(events[done]),
            ],
            schema=OUTPUT,
        )


def _arrived(batch: pa.Table | pa.RecordBatch) -> pa.Table:
    """The columns of `FIELDS` as text, empty text as null, and the time as `at`, in microseconds."""
    absent = [name for name in FIELDS[:4] if name not in batch.schema.names]
    if absent:
        raise ContractError(f"the batch has no column {', '.join(absent)}; rename its columns to {', '.join(FIELDS)}")
    at = _micros(batch.column("timestamp"))
    inside = pc.and_(pc.greater_equal(at, _FIRST), pc.less_equal(at, _LAST))
    columns: dict[str, Any] = {"at": pc.if_else(inside, at, pa.scalar(None, pa.int64()))}
    for name in ("session_id", "user_id", "event_type", "event_id"):
        if name in batch.schema.names:
            column = batch.column(name).cast(pa.string())
            empty = pc.equal(column, "")
            if pc.any(empty).as_py():
                column = pc.if_else(empty, pa.scalar(None, pa.string()), column)
            columns[name] = column
        else:
            columns[name] = pa.nulls(batch.num_rows, pa.string())
    return pa.table(columns)


def _micros(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Times as microseconds since 1970, null where there is none."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        for zone in ("UTC", None):  # the fast way knows columns where all texts have a zone, or none
            try:
                return column.cast(pa.timestamp("us", zone)).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
        return pa.array([moment(value) for value in column.to_pylist()], pa.int64())
    return pa.nulls(len(column), pa.int64())


def _where(table: pa.Table, kept: NDArray[np.bool_]) -> pa.Table:
    """The rows that are kept; nothing is copied where all are."""
    return table if kept.all() else table.filter(pa.array(kept))


def _all_valid(table: pa.Table, names: Iterable[str]) -> NDArray[np.bool_]:
    valid = np.ones(table.num_rows, dtype=bool)
    for name in names:
        valid &= table.column(name).is_valid().to_numpy()
    return valid


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.Array]:
    """Dictionary codes in order of first occurrence, and what they stand for."""
    if not len(column):
        return np.empty(0, dtype=np.int64), pa.array([], pa.string())
    found = pa.concat_arrays(column.chunks).dictionary_encode()
    return found.indices.to_numpy().astype(np.int64), found.dictionary


def _numpy(table: pa.Table, name: str) -> NDArray[Any]:
    return table.column(name).to_numpy()


def _sums(key: NDArray[np.int64], weight: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys in order, and the sum of the weights of each; weights are 1 or more."""
    if not len(key):
        return key, weight
    if key.max() < 8 * len(key) + 1024:  # counting in place of sorting, while the places are few
        sums = np.bincount(key, weight).astype(np.int64)  # exact below 2^53
        found = np.flatnonzero(sums)
        return found, sums[found]
    found, inverse = np.unique(key, return_inverse=True)
    return found, np.bincount(inverse, weight).astype(np.int64)


def _sorted(table: pa.Table, names: list[str]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in names])


def _rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def _table(schema: pa.Schema, columns: list[Any]) -> pa.Table:
    if not columns:
        return schema.empty_table()
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
