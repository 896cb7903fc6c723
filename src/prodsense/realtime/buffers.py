"""Stream buffers, one event at a time: sessions that count when they end, and a buffer of fixed size.

`process_event`, `process_fixed_buffer_stream` and `flush_fixed_buffer` are the plain functions over plain
dicts and lists. `SessionBuffer` and `FixedBuffer` are what a service holds: they know event time, late and
repeated events, sessions whose end never comes, and can be stopped and started again from JSON.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MutableMapping, MutableSequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from prodsense.errors import ContractError
from prodsense.realtime.state import FixedState, SessionState, moment, text

#: The event type that closes a session; it is not counted itself.
SESSION_END = "session_end"

#: The event type whose duration is summed instead of being counted as an engagement.
VIEW = "view"

#: Where a view's length lies in its event, in seconds.
DURATION = "view_duration_seconds"

Event = Mapping[str, Any]


def process_event(
    event: Event | None,
    buffer: MutableMapping[Any, dict[Any, list[Any]]],
    totals: MutableMapping[Any, int],
    test_users: Collection[Any],
    *,
    seen: set[Any] | None = None,
) -> None:
    """Take one event in; when its session ends, add what its users did to `totals`.

    `buffer` maps session → user → event types in order of arrival; `totals` maps event type → count. Both are
    changed in place. Events of `test_users` wait like all others and are left out when the session ends. Whoever
    ends a session ends it for all its users; the end of an unknown session does nothing. An event that is
    empty or lacks session_id, user_id or event_type (absent, null or '') is ignored. With `seen`, a set
    of event ids kept by the caller, an event whose event_id is in it is ignored too, and others are added.
    """
    if not event:
        return
    session, user, kind = (_known(event, name) for name in ("session_id", "user_id", "event_type"))
    if session is None or user is None or kind is None:
        return
    if seen is not None and (identity := _known(event, "event_id")) is not None:
        if identity in seen:
            return
        seen.add(identity)
    if kind != SESSION_END:
        buffer.setdefault(session, {}).setdefault(user, []).append(kind)
        return
    for member, kinds in buffer.pop(session, {}).items():
        if member not in test_users:
            for done in kinds:
                totals[done] = totals.get(done, 0) + 1


def process_fixed_buffer_stream(
    event_item: Event | None,
    buffer: MutableSequence[dict[str, Any]],
    buffer_size: int,
    totals_engagement: list[int],
    totals_view_seconds: list[float],
    test_users: Collection[Any],
) -> None:
    """Append an event to a buffer of at most `buffer_size` items; what it displaces is counted.

    An item is ``{"data": event, "is_test": bool}``. The totals are lists of one element, changed in place: a
    displaced view adds its `view_duration_seconds` (absent or null: 0) to `totals_view_seconds`, any other type
    adds 1 to `totals_engagement`, and items of `test_users` add nothing. Ignored: an empty event, a
    `buffer_size` of 0 or less, and an event without user_id, event_type or post_id. Raises ContractError, and
    changes nothing, for a view whose duration is no number of seconds from 0 up.
    A `collections.deque` as buffer displaces in constant time.
    """
    if not event_item or buffer_size <= 0:
        return
    if any(_known(event_item, name) is None for name in ("user_id", "event_type", "post_id")):
        return
    _duration(event_item)  # refused here, or it would block the buffer when it is displaced
    while len(buffer) >= buffer_size:
        _count(buffer[0], totals_engagement, totals_view_seconds)
        del buffer[0]
    buffer.append({"data": event_item, "is_test": event_item["user_id"] in test_users})


def flush_fixed_buffer(
    buffer: MutableSequence[dict[str, Any]],
    totals_engagement: list[int],
    totals_view_seconds: list[float],
    test_users: Collection[Any] = (),
) -> None:
    """Count all that is left, oldest first, by the rule of `process_fixed_buffer_stream`; empty the buffer.

    Each item says itself whether it is a test user's, as of its arrival; `test_users` is not looked at again.
    """
    for item in buffer:
        _count(item, totals_engagement, totals_view_seconds)
    buffer.clear()


def _known(event: Event, name: str) -> Any:
    """A field's value; None where it is absent, null or empty. 0 is a value."""
    value = event.get(name)
    return None if value == "" else value


def view_seconds(kind: Any, value: Any) -> float | None:
    """What an event adds to the seconds of views: 0 for other types and where none is given; None: it is no length."""
    if kind != VIEW or value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _duration(event: Event) -> float:
    seconds = view_seconds(event["event_type"], event.get(DURATION))
    if seconds is None:
        value = event.get(DURATION)
        raise ContractError(f"{DURATION} should be a number of seconds, 0 or more, not {value!r}; mend the event")
    return seconds


def _count(item: dict[str, Any], engagement: list[int], view_seconds: list[float]) -> None:
    if item["is_test"]:
        return
    if item["data"]["event_type"] == VIEW:
        view_seconds[0] += _duration(item["data"])
    else:
        engagement[0] += 1


class FixedBuffer:
    """A buffer of `size` events with its totals, as one object that can be stopped and started again.

    At any moment, totals plus what a flush would add are the totals of all events so far. An event that lacks
    user_id, event_type or post_id, or a view whose duration is no number of seconds, is counted as `ignored`; one
    whose event_id is among the last `remember` that were taken in, as `duplicate`. Ids are compared as text.
    `FixedBatch` does the same on Arrow batches; the two read each other's state.
    """

    def __init__(
        self, size: int = 1000, test_users: Iterable[Any] = (), *, remember: int = 10_000,
        state: FixedState | None = None,
    ):  # fmt: skip
        self.state = state or FixedState.fresh(size, remember)
        self.test_users = frozenset(str(user) for user in test_users)
        # Displaced from the left in constant time.
        self._items: deque[dict[str, Any]] = deque(
            {"data": {"event_type": kind, "post_id": post, DURATION: seconds}, "is_test": is_test}
            for post, kind, seconds, is_test in self.state.items
        )

    def __len__(self) -> int:
        return len(self._items)

    @property
    def totals(self) -> dict[str, float]:
        """``engagements`` and ``view_seconds`` of the events that left the buffer."""
        return self.state.totals

    def add(self, event: Event | None) -> None:
        """Take one event in; see `process_fixed_buffer_stream`."""
        state, event = self.state, event or {}
        state.counts["read"] += 1
        user, kind, post, identity = (text(event.get(n)) for n in ("user_id", "event_type", "post_id", "event_id"))
        seconds = view_seconds(kind, event.get(DURATION))
        if user is None or kind is None or post is None or seconds is None:
            state.counts["ignored"] += 1
            return
        if identity is not None and state.remember:
            if identity in state.ids:
                state.counts["duplicate"] += 1
                return
            state.ids[identity] = None
            if len(state.ids) > state.remember:
                state.ids.popitem(last=False)
        state.counts["test"] += user in self.test_users
        known = {"user_id": user, "event_type": kind, "post_id": post, DURATION: seconds}
        engagements, total = [state.engagements], [state.view_seconds]
        process_fixed_buffer_stream(known, self._items, state.size, engagements, total, self.test_users)
        state.engagements, state.view_seconds = engagements[0], total[0]

    def flush(self) -> None:
        """Count and drop all events; see `flush_fixed_buffer`."""
        engagements, total = [self.state.engagements], [self.state.view_seconds]
        flush_fixed_buffer(self._items, engagements, total)
        self.state.engagements, self.state.view_seconds = engagements[0], total[0]

    def to_json(self) -> str:
        """All but the test users; what waits remembers whether it is a test user's."""
        self.state.items = [
            (item["data"]["post_id"], item["data"]["event_type"], item["data"][DURATION], item["is_test"])
            for item in self._items
        ]
        return self.state.to_json()

    @classmethod
    def from_json(cls, saved: str, test_users: Iterable[Any] = ()) -> FixedBuffer:
        """The buffer that `to_json` of this class or of `FixedBatch` wrote."""
        return cls(test_users=test_users, state=FixedState.from_json(saved))


class SessionBuffer:
    """Sessions over event time, one event at a time: what each counted when it closed, exactly once.

    Events wait until the watermark (newest time seen less `lateness`) has passed them and are then taken in
    order of time, so that any order of arrival within `lateness` gives the same sessions. A session closes
    with session_end, by whoever; without one when no event of it came for `timeout`. An event below the
    watermark on arrival is late and left out. An event_id counts once within `lateness`. Events of
    `test_users` keep a session alive and are not counted. Each event ends in exactly one of the numbers of
    `state.counts`, waits in `state.pending`, or is in an open session.

    Events are mappings with session_id, user_id, event_type, timestamp (datetime or ISO text; UTC where no
    zone is given) and, against repeats, event_id. `MicroBatch` does the same on Arrow batches; the two read
    each other's state.
    """

    def __init__(
        self,
        test_users: Iterable[Any] = (),
        *,
        timeout: timedelta = timedelta(minutes=30),
        lateness: timedelta = timedelta(minutes=5),
        state: SessionState | None = None,
    ):
        self.test_users = frozenset(str(user) for user in test_users)
        self.state = state or SessionState.fresh(timeout, lateness)
        heapq.heapify(self.state.pending)

    @property
    def totals(self) -> dict[str, int]:
        """Event type → number in closed sessions."""
        return self.state.totals

    def add(self, event: Event | None) -> list[dict[str, Any]]:
        """Take one event in; return the rows of the sessions that this closed (see `SessionState.close`)."""
        state = self.state
        state.counts["read"] += 1
        event = event or {}
        session, user, kind = (text(event.get(name)) for name in ("session_id", "user_id", "event_type"))
        at = moment(event.get("timestamp"))
        if at is None or session is None or user is None or kind is None:
            state.counts["ignored"] += 1
            return []
        if state.watermark is not None and at < state.watermark:
            state.counts["late"] += 1
            return []
        entry = (at, kind == SESSION_END, text(event.get("event_id")) or "", session, kind, user in self.test_users)
        heapq.heappush(state.pending, entry)
        if not state.advance(at):
            return []
        return self._settle()

    def flush(self) -> list[dict[str, Any]]:
        """The stream is over: take in all that waits, close all sessions, return their rows."""
        if not self.state.finish():
            return []
        return [*self._settle(), *self._close_rest()]

    def to_json(self) -> str:
        """All but the test users."""
        return self.state.to_json()

    @classmethod
    def from_json(cls, saved: str, test_users: Iterable[Any] = ()) -> SessionBuffer:
        """The buffer that `to_json` of this class or of `MicroBatch` wrote."""
        return cls(test_users, state=SessionState.from_json(saved))

    def _settle(self) -> list[dict[str, Any]]:
        """Take in what lies below the watermark, in order of time; close what timed out there."""
        state, rows = self.state, []
        assert state.watermark is not None
        while state.pending and state.pending[0][0] < state.watermark:
            at, is_end, identity, session, kind, is_test = heapq.heappop(state.pending)
            if identity:
                last = state.ids.pop(identity, None)
                state.ids[identity] = at  # at the end: `ids` stays in order of time
                if last is not None and at - last <= state.lateness:
                    state.counts["duplicate"] += 1
                    continue
            found = state.open.pop(session, None)
            if found is not None and at - found.last >= state.timeout:
                rows += state.close(session, found, "timeout")
                found = None
            if is_end:
                state.counts["end" if found else "unmatched_end"] += 1
                if found:
                    found.last = at
                    rows += state.close(session, found, "end")
                continue
            found = found or state.begin(at)
            found.last = at
            state.open[session] = found  # at the end: `open` stays in order of the last event
            if is_test:
                state.counts["test"] += 1
            else:
                found.counts[kind] = found.counts.get(kind, 0) + 1
        while state.open:
            first = next(iter(state.open))
            if state.open[first].last + state.timeout > state.watermark:
                break
            rows += state.close(first, state.open.pop(first), "timeout")
        while state.ids:
            first = next(iter(state.ids))
            if state.ids[first] + state.lateness >= state.watermark:
                break
            del state.ids[first]
        return rows

    def _close_rest(self) -> list[dict[str, Any]]:
        rows = [row for session, left in self.state.open.items() for row in self.state.close(session, left, "flush")]
        self.state.open.clear()
        return rows
