"""Sessions: runs of events of one user (and device, where known) without a long gap.

A session ends when the next event is `gap` minutes or more away, or `grace` minutes or more after an event that sent
the app to the background. It crosses midnight: its day is that of its start, in the report zone. Its id is a hash of
its subject (user, and device where devices are apart) and start, so a late event that leaves the start alone leaves
the id alone.

The rules and their SQL are in `session_rules`, clocks that are off in `clocks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prodsense.behavior import clocks, kernels
from prodsense.behavior.events import Events, EventTable, day_of, events_of
from prodsense.behavior.kernels_sessions import session_table
from prodsense.behavior.log import log_for
from prodsense.behavior.result import Answer
from prodsense.behavior.session_rules import BACKGROUND, Rules, session_key
from prodsense.metrics import periods

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BACKGROUND", "sessions", "sessions_sql"]

_COUNTS = ("events", "devices", "device_sessions", "platforms", *clocks.CORRECTIONS)


def sessions(
    events: Events,
    *,
    gap: float = 30,
    grace: float = 5,
    background: str | None = BACKGROUND,
    devices: str = "",
    join: float | None = None,
    platform: str = "",
    received: str = "",
    tolerance: float = 1,
    as_of: object = None,
    tz: str = "UTC",
    kernel: bool = False,
) -> Answer:
    """All sessions up to `as_of` (the newest event by default), in order of start.

    `gap` and `grace` are minutes; `background` names the event that opens the grace (None: there is none).

    `devices` says how those of one user make sessions: ``apart`` (a session is of one device; the default where the
    table names a device), ``together`` (all are one log; the default where it does not), or ``joined``: sessions of
    single devices that overlap, or of which one begins under `join` minutes (the grace, unless given) after the end
    of another, are one.

    `platform` names a column whose values are counted in a session. `received` names the column with the time at
    which the server got the event: clocks that are off by more than `tolerance` minutes are set right by it as
    `prodsense.behavior.clocks` says, and times that cannot be are replaced; notes and extras (``clocks_off``,
    ``shifted``, ``set_to_receipt``) tell how many.

    Columns: ``session_id``, ``user_id``, ``device_id`` (devices apart), ``session_start``, ``session_end`` (first and
    last event, UTC), ``session_day``, ``seconds``, ``events``; with an event column ``first_event`` and ``last_event``;
    with several devices in a session ``devices`` (how many were named) and, joined, ``device_sessions``; with a
    platform ``platforms``, ``first_platform``, ``last_platform``; with a receipt how many of its events were
    ``shifted`` or ``set_to_receipt``; and ``is_open``: an event right after `as_of` would belong to it, so it may
    still grow.

    `kernel` finds the starts in this process, on arrays the engine has sorted, instead of by window functions in
    SQL; both give the same rows. It is for plain sessions: with platforms, receipts or several devices in a session
    SQL is used.
    Raises UsageError for a length that is not positive, or a column that is not there.
    """
    events = events_of(events)
    rules = Rules.of(
        events, gap=gap, grace=grace, background=background, devices=devices, join=join, platform=platform,
        received=received, tolerance=tolerance,
    )  # fmt: skip
    moment, mended = looked_at(events, rules, as_of, tz)
    params = {**rules.params(), "as_of": moment}
    sql = sessions_sql(events, rules, tz)
    plain = not (rules.platform or rules.received or (events.device and rules.devices != "apart"))
    # A log knows no devices, and times as they were stored.
    log, behind = log_for(events) if plain and not events.device else (None, "")
    kernel = kernel and plain
    if log is not None or kernel:
        if log is None:
            source = _by_kernel(events, rules, params)
        else:
            source = session_table(log, rules.gap * 60.0, rules.grace * 60.0, rules.background or None, moment)
        with events.engine.temporary(source) as name:
            found = events.engine.query(finished(rules, f"SELECT * FROM {name}", tz), params)
    else:
        found = events.engine.query(sql, params)
    return answer_of(
        rules, found, moment, tz, mended=mended, notes=[*events.notes(), *([behind] if behind else [])],
        form="kernel (numpy)" if log is None and kernel else kernels.form_of(log), statements=((sql, params),),
        dialect=events.engine.dialect,
    )  # fmt: skip


def looked_at(events: EventTable, rules: Rules, as_of: object, tz: str) -> tuple[datetime, dict[str, int]]:
    """The moment to look from, and what was mended: clocks that were off, their events, times set to the receipt.

    With a receipt column the newest event is the newest by times set right: a clock in the future is no reason to
    look from there.
    """
    if not rules.received:
        return events.as_of(as_of, tz), {}
    given = None if as_of is None else periods.read_moment(as_of, tz)
    seen = "" if given is None else " AND event_time <= :as_of"
    counts = ", ".join(
        f"COUNT(*) FILTER (WHERE correction = {kind}{seen}) AS {name}" for name, kind in clocks.CORRECTIONS.items()
    )
    found = events.engine.query(
        f"WITH settled AS ({rules.settled(events)}), off AS ({rules.clocks(events)})"
        f" SELECT MAX(event_time) AS newest, (SELECT COUNT(*) FROM off) AS clocks_off, {counts} FROM settled",
        {"as_of": given},
    ).to_pylist()[0]
    newest = found.pop("newest")
    return given or newest or events.as_of(None), found


def answer_of(
    rules: Rules, found: pa.Table, moment: datetime, tz: str, *, notes: Sequence[str], mended: Mapping[str, int],
    dialect: str, form: str = "sql", statements: Any = (),
) -> Answer:
    """The answer of `sessions` from its rows."""
    import pyarrow.compute as pc

    still = int(pc.sum(found["is_open"]).as_py() or 0)
    said = list(notes)
    if still:
        said.append(f"{_many(still, 'session', 'sessions')} may still go on at {moment:%Y-%m-%d %H:%M}")
    said += mended_notes(mended)
    units = {"seconds": "seconds", **dict.fromkeys(_COUNTS, "count")}
    return Answer(
        arrow=found, method="sessions", title="Sessions", as_of=moment, tz=tz, notes=tuple(said),
        units={name: unit for name, unit in units.items() if name in found.column_names},
        extras={"sessions": found.num_rows, "open": still, "devices": rules.devices, "form": form, **mended},
        statements=statements, dialect=dialect, picture=_picture,
    )


def mended_notes(mended: Mapping[str, int]) -> list[str]:
    """What a reader should know of times that were set right."""
    off, shifted, future = (mended.get(name, 0) for name in ("clocks_off", "shifted", "set_to_receipt"))
    said = []
    if off:
        said.append(f"{_many(off, 'clock was', 'clocks were')} off: {_many(shifted, 'event', 'events')} shifted")
    if future:
        said.append(f"{_many(future, 'event', 'events')} from the future took the time of receipt")
    return said


def _many(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def sessions_sql(events: EventTable, rules: Rules, tz: str = "UTC") -> str:
    """The SELECT of `sessions`; parameters ``as_of`` and those of `Rules.params`."""
    return finished(rules, rules.runs(rules.logged(rules.settled(events))), tz)


def finished(rules: Rules, runs: str, tz: str) -> str:
    """SELECT that adds id, day, length and openness to sessions; the same text for all ways of finding them."""
    who = rules.subject
    return (
        f"SELECT {session_key(who)} AS session_id, {who}, session_start, session_end,"
        f" {day_of('session_start', tz)} AS session_day, seconds_between(session_start, session_end) AS seconds,"
        f" {', '.join(rules.facts)}, :as_of < open_until AS is_open FROM ({runs}) AS found"
        f" ORDER BY session_start, {who}"
    )


def _by_kernel(events: EventTable, rules: Rules, params: Mapping[str, Any]) -> pa.Table:
    """Sessions as `Rules.runs` gives them, found on sorted arrays."""
    import numpy as np
    import pyarrow.compute as pc

    from prodsense.behavior.kernels_sessions import session_starts

    who = rules.subject
    log = events.engine.query(
        f"WITH logged AS ({rules.logged(rules.settled(events))}) SELECT * FROM logged"
        f" ORDER BY {who}, {rules.order()}",
        params,
    ).combine_chunks()
    if not log.num_rows:
        starts: np.ndarray = np.zeros(0, dtype=np.int64)
    else:
        moment = pc.cast(log["event_time"], pa.timestamp("us")).cast(pa.int64()).to_numpy()
        starts = session_starts(
            _subjects(log, who.split(", ")), moment, log["goes_away"].to_numpy() == 1 if rules.background else None,
            round(rules.gap * 6e7), round(rules.grace * 6e7),
        )
    ends = np.append(starts[1:], log.num_rows) - 1 if len(starts) else starts
    columns = {name: log[name].take(pa.array(starts)) for name in who.split(", ")}
    last = pc.cast(log["event_time"].take(pa.array(ends)), pa.timestamp("us"))
    columns |= {"session_start": log["event_time"].take(pa.array(starts)), "session_end": last,
                "events": pa.array(ends - starts + 1)}
    if events.event:
        columns |= {"first_event": log["event_name"].take(pa.array(starts)),
                    "last_event": log["event_name"].take(pa.array(ends))}
    away = log["goes_away"].take(pa.array(ends)).to_numpy() == 1
    left = np.where(away, round(min(rules.gap, rules.grace) * 6e7), round(rules.gap * 6e7)).astype("timedelta64[us]")
    columns["open_until"] = pa.array(last.to_numpy() + left, pa.timestamp("us"))
    return pa.table(columns)


def _subjects(log: pa.Table, names: list[str]) -> np.ndarray:
    """A number for each user and device, the same on neighbouring rows of the same one."""
    import numpy as np
    import pyarrow.compute as pc

    changed = np.zeros(log.num_rows, dtype=bool)
    for name in names:
        codes = pc.fill_null(log[name].combine_chunks().dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
        changed[1:] |= codes[1:] != codes[:-1]
    return np.cumsum(changed)


def _picture(answer: Answer, **options: Any) -> Any:
    """Sessions by day of their start."""
    from prodsense.charts.builders import line

    counts: dict[date, int] = {}
    for day in answer.arrow["session_day"].to_pylist():
        counts[day] = counts.get(day, 0) + 1
    rows = [{"day": day, "sessions": n} for day, n in sorted(counts.items())]
    settings: dict[str, Any] = {
        "unit": "count", "title": "Sessions by day", "grain": "day", "notes": answer.notes, **options
    }
    return line(rows, "day", "sessions", **settings)
