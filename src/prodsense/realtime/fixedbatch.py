"""A buffer of fixed size by micro-batch: the rules of `FixedBuffer` on whole Arrow batches.

What a batch displaces is the head of buffer and batch put one after the other: no row is looked at by itself
but those whose event id occurs again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodsense.errors import ContractError
from prodsense.realtime.buffers import DURATION, VIEW, view_seconds
from prodsense.realtime.state import FixedState, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of an event; the length of a view and event_id may be absent.
FIXED_FIELDS = ("user_id", "event_type", "post_id", DURATION, "event_id")

#: What left the buffer by post and type; `view_seconds` is null for types that have no length.
FIXED_OUTPUT = pa.schema(
    {"post_id": pa.string(), "event_type": pa.string(), "events": pa.int64(), "view_seconds": pa.float64()}
)

_ITEMS = pa.schema({"post": pa.string(), "kind": pa.string(), "seconds": pa.float64(), "is_test": pa.bool_()})


class FixedBatch:
    """As `FixedBuffer`, fed with batches. The same events in the same order leave the same state, however they are
    split into batches."""

    def __init__(
        self, size: int = 1000, test_users: Iterable[Any] = (), *, remember: int = 10_000,
        state: FixedState | None = None,
    ):  # fmt: skip
        self._state = state or FixedState.fresh(size, remember)
        self._test_users = pa.array(sorted({str(user) for user in test_users}), pa.string())
        columns = list(zip(*self._state.items, strict=True)) or [()] * len(_ITEMS)
        self._items = pa.table([pa.array(c, f.type) for c, f in zip(columns, _ITEMS, strict=True)], schema=_ITEMS)
        self._state.items = []  # they live in the table above

    def __len__(self) -> int:
        return self._items.num_rows

    @property
    def totals(self) -> dict[str, float]:
        """``engagements`` and ``view_seconds`` of the events that left the buffer."""
        return self._state.totals

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `FixedState`."""
        return self._state.counts

    def add(self, batch: pa.Table | pa.RecordBatch) -> pa.Table:
        """Take a batch in, in order of its rows; return what it displaced by post and type (`FIXED_OUTPUT`).

        Columns are those of `FIXED_FIELDS`, ids of any type that reads as text, the length a number. Raises
        ContractError, and changes nothing, where user_id, event_type or post_id is absent.
        """
        absent = [name for name in FIXED_FIELDS[:3] if name not in batch.schema.names]
        if absent:
            raise ContractError(
                f"the batch has no column {', '.join(absent)}; rename its columns to {', '.join(FIXED_FIELDS)}"
            )
        columns = {name: _text(batch, name) for name in FIXED_FIELDS if name != DURATION}
        return self._take(pa.table({**columns, "seconds": _seconds(batch, columns["event_type"])}))

    def add_events(self, events: Iterable[Mapping[str, Any] | None]) -> pa.Table:
        """Take events in as mappings, like `FixedBuffer.add`."""
        rows = [event or {} for event in events]
        columns = {
            name: pa.array([text(row.get(name)) for row in rows], pa.string())
            for name in FIXED_FIELDS
            if name != DURATION
        }
        seconds = [view_seconds(text(row.get("event_type")), row.get(DURATION)) for row in rows]
        return self._take(pa.table({**columns, "seconds": pa.array(seconds, pa.float64())}))

    def flush(self) -> pa.Table:
        """Count and drop all events; return them by post and type."""
        return self._displace(self._items.num_rows)

    def snapshot(self) -> FixedState:
        """The whole state, to be read by `FixedBuffer` or written down."""
        state = self._state
        items = list(zip(*(self._items.column(n).to_pylist() for n in _ITEMS.names), strict=True))
        return FixedState(
            state.size, state.remember, items, state.ids.copy(), state.engagements, state.view_seconds,
            dict(state.counts),
        )  # fmt: skip

    def to_json(self) -> str:
        """All but the test users."""
        return self.snapshot().to_json()

    @classmethod
    def from_json(cls, saved: str, test_users: Iterable[Any] = ()) -> FixedBatch:
        """The buffer that `to_json` of this class or of `FixedBuffer` wrote."""
        return cls(test_users=test_users, state=FixedState.from_json(saved))

    def _take(self, arrived: pa.Table) -> pa.Table:
        """`arrived` has the text columns of an event and `seconds`, null where an event's length is none."""
        state = self._state
        state.counts["read"] += arrived.num_rows
        valid = np.ones(arrived.num_rows, dtype=bool)
        for name in ("user_id", "event_type", "post_id", "seconds"):
            valid &= arrived.column(name).is_valid().to_numpy()
        state.counts["ignored"] += int((~valid).sum())
        known = arrived.filter(pa.array(valid))
        fresh = self._fresh_ids(known.column("event_id"))
        known = known.filter(pa.array(fresh))
        is_test = pc.is_in(known.column("user_id"), value_set=self._test_users)
        state.counts["test"] += pc.sum(is_test).as_py() or 0
        items = [known.column("post_id"), known.column("event_type"), known.column("seconds"), is_test]
        self._items = pa.concat_tables([self._items, pa.table(items, schema=_ITEMS)]).combine_chunks()
        return self._displace(max(self._items.num_rows - state.size, 0))

    def _fresh_ids(self, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
        """False for events whose id is among the last `remember` that were taken in before them."""
        state = self._state
        fresh = np.ones(len(ids), dtype=bool)
        if not state.remember:
            return fresh
        named = np.flatnonzero(ids.is_valid().to_numpy())
        old = len(state.ids)
        known = pa.array(list(state.ids), pa.string())
        both = pa.chunked_array([known, *ids.take(pa.array(named)).chunks], pa.string())
        found = both.combine_chunks().dictionary_encode()
        codes = found.indices.to_numpy().astype(np.int64)
        again = np.flatnonzero(np.bincount(codes, minlength=len(found.dictionary))[codes] > 1) if len(codes) else codes
        taken = np.ones(len(codes), dtype=bool)
        last: dict[int, int] = {}
        dropped = 0
        for at in again.tolist():  # few: ids that occur twice; `at - dropped` counts the ids taken in before
            code = int(codes[at])
            if at >= old and code in last and at - dropped - last[code] <= state.remember:
                taken[at] = False
                dropped += 1
            else:
                last[code] = at - dropped
        fresh[named] = taken[old:]
        state.counts["duplicate"] += dropped
        kept = np.flatnonzero(taken)[-state.remember :]
        state.ids = OrderedDict.fromkeys(both.take(pa.array(kept)).to_pylist())
        return fresh

    def _displace(self, number: int) -> pa.Table:
        """Count the oldest `number` events and take them out."""
        out, self._items = self._items.slice(0, number), self._items.slice(number).combine_chunks()
        out = out.filter(pc.invert(out.column("is_test")))
        if not out.num_rows:
            return FIXED_OUTPUT.empty_table()
        is_view = pc.equal(out.column("kind"), VIEW)
        lengths = out.column("seconds").filter(is_view).to_numpy()
        # One after the other, as `FixedBuffer` adds them: a sum by pairs would differ in its last digits.
        self._state.view_seconds = float(np.add.accumulate([self._state.view_seconds, *lengths])[-1])
        self._state.engagements += out.num_rows - len(lengths)
        seconds = pc.if_else(is_view, out.column("seconds"), pa.scalar(None, pa.float64()))
        sums = (
            out.set_column(2, "seconds", seconds)
            .group_by(["post", "kind"], use_threads=False)
            .aggregate([([], "count_all"), ("seconds", "sum")])
        )
        return pa.table(
            [sums.column("post"), sums.column("kind"), sums.column("count_all"), sums.column("seconds_sum")],
            schema=FIXED_OUTPUT,
        )


def _text(batch: pa.Table | pa.RecordBatch, name: str) -> Any:
    """A column as text, empty text as null; nulls where it is absent."""
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.string())
    column = batch.column(name).cast(pa.string())
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _seconds(batch: pa.Table | pa.RecordBatch, kinds: Any) -> Any:
    """What each event adds to the seconds of views, null where its length is none; see `view_seconds`."""
    is_view = pc.fill_null(pc.equal(kinds, VIEW), False)
    zero, none = pa.scalar(0.0), pa.scalar(None, pa.float64())
    if DURATION not in batch.schema.names:
        return pc.if_else(is_view, zero, zero)
    given = batch.column(DURATION)
    kind = given.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        value = given.cast(pa.float64(), safe=False)
        fine = pc.and_(pc.is_finite(value), pc.greater_equal(value, 0.0))
        length = pc.if_else(pc.is_null(value), zero, pc.if_else(fine, value, none))
    else:
        length = pc.if_else(given.is_null(), zero, none)
    return pc.if_else(is_view, length, zero)
