"""What a stream remembers between events, and how it is written down.

One layout for the per-event and the micro-batch path. Times are whole microseconds since 1970 in UTC.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prodsense.errors import ContractError, UsageError

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)

#: (time, is it a session_end, event id or '', session, event type, is it a test user's): sorts in the order in
#: which events are taken in; of one moment an end comes last.
Pending = tuple[int, bool, str, str, str, bool]
PENDING = ("at", "is_end", "id", "session", "kind", "is_test")

Columns = Mapping[str, Sequence[Any]]

#: Where events end: see `SessionState.counts`.
COUNTS = ("read", "ignored", "late", "duplicate", "test", "end", "unmatched_end")

#: Where events of a fixed-size buffer end: see `FixedState.counts`.
FIXED_COUNTS = ("read", "ignored", "duplicate", "test")

VERSION = 2


def moment(value: Any) -> int | None:
    """Microseconds since 1970 of a datetime or an ISO text (UTC where no zone is given); None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is not None:
        try:
            value = value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            return None
    return (value - _EPOCH) // _MICROSECOND


def text(value: Any) -> str | None:
    """An id or name as text; None where it is null or empty. Half characters, which JSON allows, become '?'."""
    if value is None or value == "":
        return None
    found = str(value)
    return found if found.isascii() else found.encode("utf-8", "replace").decode()


def when(micros: int) -> datetime:
    """The UTC moment of a number of microseconds, without zone."""
    return _EPOCH + micros * _MICROSECOND


@dataclass
class OpenSession:
    """A session that has not ended: first and last event, counts by type without test users."""

    start: int
    last: int
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class SessionState:
    """All that a restart needs.

    `counts`: events `read`, of which `ignored` (a field is missing or no time), `late`, `duplicate`, `test` (a
    test user's), `end` and `unmatched_end` (session_end with and without an open session). `totals`: events
    of closed sessions by type. `ids`: event id → its last time, in order of time. `open`: session → what it
    holds, in order of the last event.
    """

    timeout: int
    lateness: int
    newest: int | None = None
    watermark: int | None = None
    pending: list[Pending] = field(default_factory=list)
    # The oldest entries leave first: a plain dict would walk over the places of all that left before.
    ids: OrderedDict[str, int] = field(default_factory=OrderedDict)
    open: OrderedDict[str, OpenSession] = field(default_factory=OrderedDict)
    totals: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    @classmethod
    def fresh(cls, timeout: timedelta, lateness: timedelta) -> SessionState:
        """A state before the first event."""
        if timeout <= timedelta(0):
            raise UsageError(f"a session's timeout should be longer than 0, not {timeout}")
        if lateness < timedelta(0):
            raise UsageError(f"lateness should be 0 or longer, not {lateness}")
        return cls(timeout // _MICROSECOND, lateness // _MICROSECOND)

    def advance(self, at: int) -> bool:
        """An event of this time was seen; returns whether the watermark moved."""
        if self.newest is not None and at <= self.newest:
            return False
        self.newest = at
        mark = at - self.lateness
        if self.watermark is not None and mark <= self.watermark:
            return False
        self.watermark = mark
        return True

    def finish(self) -> bool:
        """Put the watermark just behind the newest event; returns False when there never was one."""
        if self.newest is None:
            return False
        self.watermark = self.newest + 1
        return True

    def begin(self, at: int) -> OpenSession:
        return OpenSession(at, at)

    def close(self, session: str, found: OpenSession, closed_by: str) -> list[dict[str, Any]]:
        """Add a session to the totals; its rows, one an event type: session_id, started_at, ended_at, closed_by
        (end, timeout or flush), event_type, events. `ended_at` is its last event or its session_end."""
        rows = []
        for kind, count in sorted(found.counts.items()):
            self.totals[kind] = self.totals.get(kind, 0) + count
            rows.append(
                {
                    "session_id": session, "started_at": when(found.start), "ended_at": when(found.last),
                    "closed_by": closed_by, "event_type": kind, "events": count,
                }
            )  # fmt: skip
        return rows

    def to_json(self) -> str:
        """The state in a canonical order: equal states give equal text."""
        pending = list(zip(*sorted(self.pending), strict=True)) or [()] * len(PENDING)
        ids = sorted((at, name) for name, at in self.ids.items())
        opened = sorted((one.last, session, one) for session, one in self.open.items())
        held = [(row, kind, n) for row, (_, _, one) in enumerate(opened) for kind, n in sorted(one.counts.items())]
        return self.write(
            dict(zip(PENDING, pending, strict=True)),
            {"id": [name for _, name in ids], "at": [at for at, _ in ids]},
            {
                "session": [session for _, session, _ in opened],
                "start": [one.start for _, _, one in opened],
                "last": [last for last, _, _ in opened],
            },
            {name: [row[n] for row in held] for n, name in enumerate(("row", "kind", "events"))},
        )

    def write(self, pending: Columns, ids: Columns, opened: Columns, held: Columns) -> str:
        """The state as text with its large parts given by column, each in order: pending by all its columns, ids
        by time and id, open sessions by last event and id, and what they hold by their row and type."""
        return write_state(
            {
                "timeout": self.timeout, "lateness": self.lateness, "newest": self.newest, "watermark": self.watermark,
                "pending": pending, "ids": ids, "open": opened, "held": held,
                "totals": dict(sorted(self.totals.items())), "counts": self.counts,
            }
        )  # fmt: skip

    @classmethod
    def from_json(cls, saved: str) -> SessionState:
        """The state that `to_json` wrote. Raises ContractError for another layout."""
        data = read_state(saved)
        data["pending"] = list(zip(*(data["pending"][name] for name in PENDING), strict=True))
        data["ids"] = OrderedDict(zip(data["ids"]["id"], data["ids"]["at"], strict=True))
        opened = [OpenSession(*span) for span in zip(data["open"]["start"], data["open"]["last"], strict=True)]
        held = data.pop("held")
        for row, kind, events in zip(held["row"], held["kind"], held["events"], strict=True):
            opened[row].counts[kind] = events
        data["open"] = OrderedDict(zip(data["open"]["session"], opened, strict=True))
        return cls(**data)


@dataclass
class FixedState:
    """All that a buffer of `size` events needs to restart.

    `items`, oldest first: post, event type, seconds of a view, is it a test user's. `ids`: the last `remember` event
    ids that were taken in, in that order. `counts`: events `read`, of which `ignored`, `duplicate` and `test`.
    `engagements` and `view_seconds`: the totals of what left the buffer.
    """

    size: int
    remember: int
    items: list[tuple[str, str, float, bool]] = field(default_factory=list)
    ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    engagements: int = 0
    view_seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIXED_COUNTS, 0))

    @classmethod
    def fresh(cls, size: int, remember: int) -> FixedState:
        """A state before the first event."""
        if size <= 0:
            raise UsageError(f"a buffer's size should be 1 or more, not {size}")
        if remember < 0:
            raise UsageError(f"the number of ids to remember should be 0 or more, not {remember}")
        return cls(size, remember)

    @property
    def totals(self) -> dict[str, float]:
        return {"engagements": self.engagements, "view_seconds": self.view_seconds}

    def to_json(self) -> str:
        """The state as text: equal states give equal text."""
        return write_state(
            {
                "size": self.size, "remember": self.remember, "items": self.items, "ids": list(self.ids),
                "engagements": self.engagements, "view_seconds": self.view_seconds, "counts": self.counts,
            }
        )  # fmt: skip

    @classmethod
    def from_json(cls, saved: str) -> FixedState:
        """The state that `to_json` wrote. Raises ContractError for another layout."""
        data = read_state(saved)
        data["items"] = [tuple(item) for item in data["items"]]
        data["ids"] = OrderedDict.fromkeys(data["ids"])
        return cls(**data)


def write_state(state: Mapping[str, Any]) -> str:
    """A state as text, with the version of its layout."""
    return json.dumps({"version": VERSION, **state}, separators=(",", ":"))


def read_state(saved: str) -> dict[str, Any]:
    """What `write_state` wrote. Raises ContractError for another layout."""
    data = json.loads(saved)
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        raise ContractError("this stream's state was written by another version; finish the stream with that one")
    return data
