"""Sessions: runs of events of one user (and device, where known) without a long gap.

A session ends when the next event is `gap` minutes or more away, or `grace` minutes or more after an event that sent
the app to the background. It crosses midnight: its day is that of its start, in the report zone. Its id is a hash of
user, device and start, so a late event that leaves the start alone leaves the id alone.

Events at the same moment are taken in this order: those that go to the background last, the others by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prodsense.behavior import kernels
from prodsense.behavior.events import EventTable
from prodsense.behavior.kernels_sessions import session_table
from prodsense.behavior.log import log_for
from prodsense.behavior.result import Answer
from prodsense.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

#: The event that sends the app to the background, where the user names no other.
BACKGROUND = "app_background"


def sessions(
    events: EventTable,
    *,
    gap: float = 30,
    grace: float = 5,
    background: str | None = BACKGROUND,
    as_of: object = None,
    tz: str = "UTC",
    kernel: bool = False,
) -> Answer:
    """All sessions up to `as_of` (the newest event by default), in order of start.

    `gap` and `grace` are minutes; `background` names the event that opens the grace (None: there is none). Columns:
    ``session_id``, ``user_id``, ``device_id`` where the table names a device, ``session_start``, ``session_end``
    (first and last event, UTC), ``session_day``, ``seconds``, ``events`` and, with an event column,
    ``first_event`` and ``last_event``. A session that may still go on at `as_of` is counted in `open`.

    `kernel` finds the starts in this process, on arrays the engine has sorted, instead of by window functions in
    SQL; both give the same rows. Raises UsageError for a gap or grace that is not positive.
    """
    if gap <= 0 or grace <= 0:
        raise UsageError(f"gap and grace are minutes above 0, not {gap:g} and {grace:g}")
    moment = events.as_of(as_of, tz)
    params: dict[str, Any] = {"as_of": moment, "gap": gap * 60.0}
    marked = bool(background and events.event)
    if marked:
        params |= {"grace": grace * 60.0, "background": background}
    sql = sessions_sql(events, marked, tz)
    statements: Any = ((sql, params),)
    # A log knows no devices.
    log, behind = log_for(events) if not events.device else (None, "")
    if log is not None or kernel:
        if log is None:
            source = _by_kernel(events, params, marked)
        else:
            source = session_table(log, gap * 60.0, grace * 60.0, background if marked else None, moment)
        with events.engine.temporary(source) as name:
            found = events.engine.query(_finish(events, f"SELECT * FROM {name}", tz))
    else:
        found = events.engine.query(sql, params)
    still = _still_open(found, moment, gap * 60.0)
    notes = list(events.notes())
    if still:
        notes.append(f"{still} sessions may still go on at {moment:%Y-%m-%d %H:%M}")
    if behind:
        notes.append(behind)
    form = "kernel (numpy)" if log is None and kernel else kernels.form_of(log)
    return Answer(
        arrow=found, method="sessions", title="Sessions", units={"seconds": "seconds", "events": "count"}, as_of=moment,
        tz=tz, notes=tuple(notes), extras={"sessions": found.num_rows, "open": still, "form": form},
        statements=statements,
        dialect=events.engine.dialect, picture=_picture,
    )


def _who(events: EventTable) -> str:
    return "user_id, device_id" if events.device else "user_id"


def _marked_events(events: EventTable, marked: bool) -> str:
    """SELECT of the events up to :as_of with ``goes_away``: 1 where the event goes to the background."""
    away = "CASE WHEN event_name = :background THEN 1 ELSE 0 END" if marked else "0"
    name = ", event_name" if events.event else ""
    return (
        f"SELECT {_who(events)}, event_time{name}, {away} AS goes_away FROM ({events.select()}) AS source"
        " WHERE event_time <= :as_of"
    )


def _order(events: EventTable) -> str:
    return "event_time, goes_away, event_name" if events.event else "event_time"


def sessions_sql(events: EventTable, marked: bool, tz: str = "UTC") -> str:
    """The SELECT of `sessions`; parameters ``as_of``, ``gap`` and, when `marked`, ``grace`` and ``background``."""
    who, order, name = _who(events), _order(events), ", event_name" if events.event else ""
    window = f"OVER (PARTITION BY {who} ORDER BY {order})"
    away = "seconds_between(prev_time, event_time)"
    grace = f" OR (prev_away = 1 AND {away} >= :grace)" if marked else ""
    ends = ", MAX(CASE WHEN is_first = 1 THEN event_name END) AS first_event," \
        " MAX(CASE WHEN is_last = 1 THEN event_name END) AS last_event" if events.event else ""
    inner = (
        f"WITH marked AS ({_marked_events(events, marked)}),"
        f" lagged AS (SELECT {who}, event_time{name}, goes_away, LAG(event_time) {window} AS prev_time,"
        f" LAG(goes_away) {window} AS prev_away FROM marked),"
        f" begun AS (SELECT *, CASE WHEN prev_time IS NULL OR {away} >= :gap{grace} THEN 1 ELSE 0 END AS is_first"
        " FROM lagged),"
        f" numbered AS (SELECT *, SUM(is_first) OVER (PARTITION BY {who} ORDER BY {order}"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS number,"
        f" COALESCE(LEAD(is_first) {window}, 1) AS is_last FROM begun)"
        f" SELECT {who}, MIN(event_time) AS session_start, MAX(event_time) AS session_end,"
        f" CAST(COUNT(*) AS BIGINT) AS events{ends} FROM numbered GROUP BY {who}, number"
    )
    return _finish(events, inner, tz)


def _finish(events: EventTable, sessions_select: str, tz: str) -> str:
    """SELECT that adds id, day and length to sessions; the same text for both ways of finding them."""
    device = "CASE WHEN device_id IS NULL THEN 'n' ELSE CONCAT('d', text_of(device_id)) END" if events.device else "''"
    # The parts are set apart by lengths and a bar: no two subjects can write the same text.
    start = "CONCAT(text_of(days_between(CAST('1970-01-01' AS DATE), date_of(session_start))), '|'," \
        " text_of(CAST(ROUND(seconds_between(date_of(session_start), session_start) * 1000000) AS BIGINT)))"
    return (
        f"SELECT MD5(CONCAT({start}, '|', text_of(LENGTH(text_of(user_id))), '|', text_of(user_id), {device}))"
        f" AS session_id, {_who(events)}, session_start, session_end, {events.day(tz, 'session_start')} AS session_day,"
        " seconds_between(session_start, session_end) AS seconds, events"
        f"{', first_event, last_event' if events.event else ''} FROM ({sessions_select}) AS found"
        f" ORDER BY session_start, {_who(events)}"
    )


def _by_kernel(events: EventTable, params: Mapping[str, Any], marked: bool) -> pa.Table:
    """Sessions without id, day and length, found on sorted arrays."""
    import numpy as np
    import pyarrow.compute as pc

    from prodsense.behavior.kernels_sessions import session_starts

    who = _who(events)
    log = events.engine.query(
        f"WITH marked AS ({_marked_events(events, marked)}) SELECT * FROM marked"
        f" ORDER BY {who}, {_order(events)}",
        params,
    ).combine_chunks()
    if not log.num_rows:
        starts: np.ndarray = np.zeros(0, dtype=np.int64)
    else:
        moment = pc.cast(log["event_time"], pa.timestamp("us")).cast(pa.int64()).to_numpy()
        starts = session_starts(
            _subjects(log, who.split(", ")), moment, log["goes_away"].to_numpy() == 1 if marked else None,
            round(params["gap"] * 1e6), round(params.get("grace", 0) * 1e6),
        )
    ends = np.append(starts[1:], log.num_rows) - 1 if len(starts) else starts
    columns = {name: log[name].take(pa.array(starts)) for name in who.split(", ")}
    columns |= {"session_start": log["event_time"].take(pa.array(starts)),
                "session_end": log["event_time"].take(pa.array(ends)), "events": pa.array(ends - starts + 1)}
    if events.event:
        columns |= {"first_event": log["event_name"].take(pa.array(starts)),
                    "last_event": log["event_name"].take(pa.array(ends))}
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


def _still_open(found: pa.Table, moment: Any, gap: float) -> int:
    """Sessions that an event right after `moment` would continue, the grace aside."""
    import pyarrow.compute as pc

    if not found.num_rows:
        return 0
    seconds = pc.divide(
        pc.cast(pc.subtract(pa.scalar(moment, pa.timestamp("us")), pc.cast(found["session_end"], pa.timestamp("us"))),
                pa.int64()), 1e6,
    )  # fmt: skip
    return int(pc.sum(pc.less(seconds, gap)).as_py() or 0)


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
