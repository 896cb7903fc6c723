"""The sorted event log: the events of a table as three arrays, from which sequence questions are answered.

Row by row `user` (a number for each user), `moment` (microseconds, UTC) and `code` (a number for each event name),
sorted by user, moment and name: 13 bytes an event. The order costs one sort; afterwards funnels, sessions and paths
are single passes. A log is made for one question where that is cheaper than SQL (`log_for`), or made once, kept in a
folder and brought up to date day by day.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prodsense.behavior.events import EventTable
from prodsense.behavior.kernels import compiled, first_in, frozen
from prodsense.errors import NotBuiltError, UnsupportedError, UsageError
from prodsense.metrics import periods

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: From so many events on a log made for one question costs less than the question in SQL.
WORTHWHILE = 100_000
#: Events that a log made for one question may have; more want a log that is kept.
AT_ONCE = 60_000_000
#: Names of events that fit a code.
MOST_NAMES = 65_535
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1)

Prints: TypeAlias = Mapping[str, tuple[int, str]]
#: User, moment and code.
Run: TypeAlias = "tuple[np.ndarray, np.ndarray, np.ndarray]"


@dataclass(frozen=True, eq=False)
class EventLog:
    """See the module. Make one with `build`, take up a kept one with `open`.

    `users` holds the users as stored, by number; `names` the names by code, in the order of their bytes, a missing
    name (None) last. `prints` tells for each UTC day how many events it has and a sum of their hashes.
    """

    user: np.ndarray
    moment: np.ndarray
    code: np.ndarray
    users: pa.Array
    names: tuple[str | None, ...]
    about: Mapping[str, str | None]
    prints: Prints

    def __post_init__(self) -> None:
        for name in ("user", "moment", "code"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.user)

    # -- making ----------------------------------------------------------------------------------------

    @classmethod
    def build(cls, events: EventTable, *, checked: bool = True) -> EventLog:
        """The log of all `events`, sorted by their engine.

        `checked` False leaves out the prints by which a kept log knows whether its table changed.
        Raises UnsupportedError for more names of events than a code can tell apart.
        """
        plain = events.by()
        users = plain.engine.query(
            f"WITH events AS ({plain.select()}) SELECT DISTINCT user_id FROM events ORDER BY user_id"
        )["user_id"].combine_chunks()
        names = _names(plain)
        user, moment, code = _read(plain, users, names, "", {})
        prints = _prints(plain, "", {}) if checked else {}
        return cls(user, moment, code, users, names, _about(plain), prints)

    def save(self, folder: str | Path) -> EventLog:
        """Keep the log in `folder`, in place of what is there; returns it as kept (mapped, not loaded).

        A reader sees the old log or the new one, never a part.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = Path(folder).expanduser()
        part = f"run-{uuid.uuid4().hex[:12]}"
        (place / part).mkdir(parents=True)
        for name in ("user", "moment", "code"):
            np.save(place / part / f"{name}.npy", getattr(self, name))
        pq.write_table(pa.table({"user": self.users}), place / part / "users.parquet")
        facts = {"part": part, "names": self.names, "about": dict(self.about), "prints": dict(self.prints)}
        (place / f"{part}.json").write_text(json.dumps(facts))
        (place / f"{part}.json").replace(place / "log.json")
        for old in place.glob("run-*"):
            if old.name != part:
                shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
        return EventLog.open(place)

    @classmethod
    def open(cls, folder: str | Path) -> EventLog:
        """The log kept in `folder`; NotBuiltError when there is none."""
        import numpy as np
        import pyarrow.parquet as pq

        place = Path(folder).expanduser()
        if not (place / "log.json").is_file():
            raise NotBuiltError(f"no event log in {place}; make one with EventLog.build(events).save({str(place)!r})")
        facts = json.loads((place / "log.json").read_text())
        part = place / facts["part"]
        user, moment, code = (np.load(part / f"{name}.npy", mmap_mode="r") for name in ("user", "moment", "code"))
        users = pq.read_table(part / "users.parquet")["user"].combine_chunks()
        prints = {day: (int(n), str(total)) for day, (n, total) in facts["prints"].items()}
        return cls(user, moment, code, users, tuple(facts["names"]), facts["about"], prints)

    # -- keeping up ------------------------------------------------------------------------------------

    def attach(self, events: EventTable) -> EventTable:
        """`events` with this log, which its sequence questions then use.

        Raises UsageError when the log is of other columns or of events that have changed since.
        """
        self._same(events)
        changed = self.changed(events)
        if changed:
            raise UsageError(
                f"the log of {events.label} is behind: events of {len(changed)} days changed since, the first"
                f" {changed[0]}; bring it up to date with log.update(events)"
            )
        return replace(events, log=self)

    def changed(self, events: EventTable) -> list[date]:
        """UTC days whose events are not those of the log (late ones, deletions and corrections too)."""
        now = _prints(events.by(), "", {})
        return sorted(
            date.fromisoformat(day) for day in {*now, *self.prints} if now.get(day) != self.prints.get(day)
        )

    def update(self, events: EventTable, since: object = None, days: Iterable[object] = ()) -> EventLog:
        """The log with the events of the days that changed read again and merged in.

        `since` reads from that UTC day on, `days` those days. Without either the changed days are found first,
        which reads the table once but sorts nothing. Equal to a rebuild; UsageError where other days than those
        named have changed their number of events.
        """
        import numpy as np

        self._same(events)
        plain = events.by()
        touched = sorted({periods.read_day(day, "days") for day in days})
        start = periods.read_day(since, "since") if since is not None else None
        if start is None and not touched:
            touched = self.changed(plain)
            if not touched:
                return self
        condition, params = _on_days(plain, touched, start)
        fresh_users = plain.engine.query(
            f"WITH events AS ({plain.select(condition=condition)})"
            " SELECT DISTINCT user_id FROM events ORDER BY user_id",
            params,
        )["user_id"].combine_chunks()
        users = _joined(self.users, fresh_users)
        names = _sorted({*self.names, *_names(plain, condition, params)})
        user, moment, code = _read(plain, users, names, condition, params)
        away = np.zeros(0, dtype=np.int64)
        if touched:
            away = np.array([_micros(datetime.combine(day, datetime.min.time())) // _DAY for day in touched])
        gone = np.isin(self.moment // _DAY, away) if len(away) else np.zeros(len(self), dtype=bool)
        if start is not None:
            gone |= self.moment >= _micros(datetime.combine(start, datetime.min.time()))
        stored = self.code
        if names != self.names:
            # Names keep their order, so that the rows keep theirs.
            stored = frozen(np.array([names.index(name) for name in self.names], dtype=_code_type(names))[self.code])
        merged = _merged((self.user, self.moment, stored), gone, (user, moment, code))
        prints = {
            day: value for day, value in self.prints.items()
            if date.fromisoformat(day) not in touched and not (start is not None and day >= start.isoformat())
        }
        if self.prints:
            prints |= _prints(plain, condition, params)
        log = EventLog(*merged, users, names, self.about, prints)
        if log.rows_of(plain) != len(log):
            raise UsageError(
                f"{events.label} has {log.rows_of(plain):,} events, the log after this update {len(log):,}: other days"
                " changed too; leave out since and days to have them found"
            )
        return log

    def rows_of(self, events: EventTable) -> int:
        """Events that the table holds now."""
        found = events.engine.query(f"WITH events AS ({events.by().select()}) SELECT COUNT(*) AS n FROM events")
        return int(found["n"][0].as_py())

    def _same(self, events: EventTable) -> None:
        wanted = _about(events)
        for key, value in self.about.items():
            if value != wanted[key]:
                raise UsageError(f"the log was made with {key} {value!r}, these events have {wanted[key]!r}")

    # -- reading ---------------------------------------------------------------------------------------

    @cached_property
    def ties(self) -> np.ndarray:
        """Rows that share user and moment with the row before."""
        import numpy as np

        same = self.moment[1:] == self.moment[:-1]
        rows = np.flatnonzero(same)
        return rows[self.user[rows + 1] == self.user[rows]] + 1

    def until(self, moment: datetime) -> EventLog:
        """The log up to `moment`, which is inside."""
        import numpy as np

        end = _micros(moment)
        if not len(self) or int(np.max(self.moment)) <= end:
            return self
        kept = self.moment <= end
        return replace(self, user=self.user[kept], moment=self.moment[kept], code=self.code[kept])

    def code_of(self, name: str | None) -> int:
        """The code of a name; -1 when the log has no such event."""
        return self.names.index(name) if name in self.names else -1


def log_for(events: EventTable) -> tuple[EventLog | None, str]:
    """The log from which to answer about `events`, and a note where an attached one cannot be used.

    None means SQL: asked for, an engine of more than one machine, few events, or very many without a log.
    """
    if events.form == "sql":
        return None, ""
    log = events.log
    if log is not None:
        if events.owned or log.rows_of(events) == len(log):
            return log, ""
        return None, f"the log of {events.label} is behind its table, so SQL answered: log.update(events)"
    if events.form == "auto" and (events.engine.name != "duckdb" or not WORTHWHILE <= events.count <= AT_ONCE):
        return None, ""
    try:
        log = EventLog.build(events, checked=False)
    except UnsupportedError as error:
        return None, error.message
    if events.owned:
        # Data in memory does not change: the next question finds the log made.
        object.__setattr__(events, "log", log)
    return log, ""


def micros(moment: datetime) -> int:
    """A moment (UTC) as microseconds since 1970."""
    return _micros(moment)


def _micros(moment: datetime) -> int:
    return (moment.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)


def _about(events: EventTable) -> dict[str, str | None]:
    return {
        "relation": None if events.owned else events.relation, "user": events.user, "time": events.time,
        "event": events.event, "where": events.where,
    }


def _sorted(names: Iterable[str | None]) -> tuple[str | None, ...]:
    """Names as SQL orders them: by their bytes, a missing one last."""
    found = tuple(sorted(names, key=lambda name: (name is None, (name or "").encode())))
    if len(found) > MOST_NAMES:
        raise UnsupportedError(f"a log tells {MOST_NAMES:,} names of events apart, these are {len(found):,}")
    return found


def _names(events: EventTable, condition: str = "", params: Mapping[str, Any] | None = None) -> tuple[str | None, ...]:
    if not events.event:
        return (None,)
    found = events.engine.query(
        f"WITH events AS ({events.select(condition=condition)}) SELECT DISTINCT event_name FROM events", params
    )
    return _sorted(found["event_name"].to_pylist())


def _code_type(names: tuple[str | None, ...]) -> Any:
    import numpy as np

    return np.uint8 if len(names) <= 256 else np.uint16


def _read(
    events: EventTable, users: pa.Array, names: tuple[str | None, ...], condition: str, params: Mapping[str, Any]
) -> Run:
    """User, moment and code of the events, sorted."""
    import numpy as np
    import pyarrow as pa

    code = "CAST(0 AS SMALLINT)"
    joins = ""
    known = pa.table({
        "name": pa.array([name for name in names if name is not None], pa.string()),
        "code": pa.array([i for i, name in enumerate(names) if name is not None], pa.int32()),
    })
    numbers = pa.table({"value": users, "number": pa.array(np.arange(len(users), dtype=np.int32))})
    with events.engine.temporary(numbers) as by_user, events.engine.temporary(known) as by_name:
        if events.event:
            code = f"COALESCE(n.code, {len(names) - 1})"
            joins = f" LEFT JOIN {by_name} AS n ON n.name = e.event_name"
        found = events.engine.query(
            f"WITH events AS ({events.select(condition=condition)})"
            f" SELECT u.number AS number, e.event_time AS moment, {code} AS code"
            f" FROM events AS e JOIN {by_user} AS u ON u.value = e.user_id{joins} ORDER BY number, moment, code",
            params,
        )
    moment = found["moment"].cast(pa.timestamp("us")).cast(pa.int64())
    return (
        _array(found["number"], np.int32), _array(moment, np.int64), _array(found["code"], _code_type(names)),
    )  # fmt: skip


def _array(column: pa.ChunkedArray, kind: Any) -> np.ndarray:
    import numpy as np

    found = np.empty(len(column), dtype=kind)
    at = 0
    for chunk in column.chunks:
        found[at : at + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        at += len(chunk)
    return found


def _prints(events: EventTable, condition: str, params: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """UTC day → number of events and sum of their hashes."""
    names = "user_id, event_time, event_name" if events.event else "user_id, event_time"
    found = events.engine.query(
        f"WITH events AS ({events.select(condition=condition)}),"
        f" hashed AS (SELECT date_of(event_time) AS day, row_hash(e) AS hash FROM (SELECT {names} FROM events) AS e)"
        " SELECT day, COUNT(*) AS n, text_of(SUM(hash)) AS total FROM hashed GROUP BY day",
        params,
    ).to_pydict()
    return {
        day.isoformat(): (int(n), str(total))
        for day, n, total in zip(found["day"], found["n"], found["total"], strict=True)
    }


def _on_days(events: EventTable, days: list[date], start: date | None) -> tuple[str, dict[str, Any]]:
    """A condition over the relation's columns that holds the UTC days; neighbours become one span."""
    spans: list[list[date]] = []
    for day in days:
        if spans and (day - spans[-1][1]).days == 1:
            spans[-1][1] = day
        else:
            spans.append([day, day])
    params: dict[str, Any] = {}
    tests = []
    for i, (first, last) in enumerate(spans):
        params[f"from_{i}"] = datetime.combine(first, datetime.min.time())
        params[f"to_{i}"] = datetime.combine(last + timedelta(days=1), datetime.min.time())
        tests.append(f"({events.moment()} >= :from_{i} AND {events.moment()} < :to_{i})")
    if start is not None:
        params["from_start"] = datetime.combine(start, datetime.min.time())
        tests.append(f"{events.moment()} >= :from_start")
    return f"({' OR '.join(tests)})", params


def _joined(old: pa.Array, fresh: pa.Array) -> pa.Array:
    """All users, those known with the numbers they have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    fresh = fresh.cast(old.type)
    unknown = fresh.filter(pc.invert(pc.is_in(fresh, value_set=old)))
    return pa.concat_arrays([old, unknown]) if len(unknown) else old


def _merged(old: Run, gone: np.ndarray, new: Run) -> Run:
    """Two sorted runs as one, without the old rows that are gone."""
    import numpy as np

    fast = compiled(len(gone))
    if fast is not None:
        size = len(gone) - int(gone.sum()) + len(new[0])
        made = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, old[2].dtype)
        fast.merged(*old, gone, *new, *made)
        return made
    kept = ~gone
    user, moment, code = (column[kept] for column in old)
    low = np.searchsorted(user, new[0], "left")
    high = np.searchsorted(user, new[0], "right")

    def after(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        at = moment[rows]
        later = at > new[1][places]
        return later | ((at == new[1][places]) & (code[rows] > new[2][places]))

    place = first_in(low, high, after) + np.arange(len(new[0]))
    taken = np.zeros(len(user) + len(place), dtype=bool)
    taken[place] = True
    free = ~taken

    def one(before: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        column = np.empty(len(taken), dtype=before.dtype)
        column[place] = fresh
        column[free] = before
        return column

    return one(user, new[0]), one(moment, new[1]), one(code, new[2])
