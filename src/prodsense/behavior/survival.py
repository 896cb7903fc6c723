"""Survival: how long until something happens, with those to whom it has not happened yet counted rightly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.result import Answer
from prodsense.behavior.survival_math import Lives, kaplan_meier, log_rank
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

INTERVALS = ("log-log", "plain")
UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}


def survival(
    events: Events,
    end: str,
    *,
    start: str | None = None,
    by: str | Sequence[str] = (),
    unit: str = "days",
    since: object = None,
    until: object = None,
    as_of: object = None,
    confidence: float = 0.95,
    interval: str = "log-log",
    tz: str = "UTC",
) -> Answer:
    """The share of users to whom `end` has not happened yet, by time since entry (Kaplan–Meier).

    A user enters with the first `start` event (the first event of any kind where not given); the first `end` event
    at a later moment ends the life. Users without one are censored at `as_of` (the newest event unless given):
    they count as long as they were seen. `since` (inside) and `until` (outside) choose users by their entry.
    `by`: columns, their value at entry. Times are in `unit` (seconds, minutes, hours or days of 24 hours).

    Rows as of `curves`. Raises UsageError for wrong options and when there are no events.
    """
    events = events_of(events)
    if not events.event:
        raise UsageError("survival until an event tells events apart: name the event column (--event)")
    if unit not in UNITS:
        raise UsageError(f"no unit named {unit!r}; choose one of {', '.join(UNITS)}")
    table = events.by(*([by] if isinstance(by, str) else by))
    moment = events.as_of(as_of, tz)
    params: dict[str, Any] = {
        "end": end, "as_of": moment,
        "since": periods.midnight(periods.read_day(since, "since"), tz) if since is not None else datetime(1, 1, 1),
        "until": periods.midnight(periods.read_day(until, "until"), tz) if until is not None else moment + periods.TICK,
    }
    if start is not None:
        params["start"] = start
    sql = statement(table, start is not None)
    dims = list(table.dimension_columns.values())
    found = events.engine.query(sql, params)
    columns = [found[name].to_numpy().astype(kind) for name, kind in
               (("seconds", float), ("events", np.int64), ("censored", np.int64))]  # fmt: skip
    groups = {}
    for key, places in _groups(found, dims):
        seconds, ended, lost = (column[places] for column in columns)
        groups[key] = Lives(seconds / UNITS[unit], ended, lost)
    notes = list(events.notes())
    if not groups:
        notes.append(f"nobody entered: is {start!r} a value of {events.event}?" if start else "nobody entered")
    elif not sum(int(g.events.sum()) for g in groups.values()):
        notes.append(f"nobody came to the end: is {end!r} a value of {events.event}?")
    return curves(
        groups, list(table.dimensions), unit=unit, confidence=confidence, interval=interval, as_of=moment, tz=tz,
        notes=notes, statements=((sql, params),), dialect=events.engine.dialect, title=f"Time to {end}",
    )


def statement(table: EventTable, started: bool) -> str:
    """SQL in the source dialect: lives by slice and length, with parameters :end, :as_of, :since, :until (and :start).

    Columns: the dimensions, ``seconds``, ``events`` (lives that ended then), ``censored`` (lost from view then).
    """
    dims = list(table.dimension_columns.values())
    listed = "".join(f", {name}" for name in dims)
    begins = " AND event_name = :start" if started else ""
    return (
        f"WITH events AS ({table.select()}),\n"
        f"ranked AS (SELECT user_id, event_time{listed}, ROW_NUMBER() OVER (PARTITION BY user_id"
        f" ORDER BY event_time{listed}) AS nth FROM events WHERE event_time <= :as_of{begins}),\n"
        f"entries AS (SELECT user_id, event_time AS entered{listed} FROM ranked"
        " WHERE nth = 1 AND event_time >= :since AND event_time < :until),\n"
        "ends AS (SELECT e.user_id AS user_id, MIN(t.event_time) AS ended FROM entries AS e"
        " JOIN events AS t ON t.user_id = e.user_id AND t.event_time > e.entered"
        " WHERE t.event_name = :end AND t.event_time <= :as_of GROUP BY e.user_id),\n"
        f"lives AS (SELECT {''.join(f'e.{name} AS {name}, ' for name in dims)}"
        "seconds_between(e.entered, COALESCE(d.ended, :as_of)) AS seconds,"
        " CASE WHEN d.ended IS NULL THEN 0 ELSE 1 END AS seen"
        " FROM entries AS e LEFT JOIN ends AS d ON d.user_id = e.user_id)\n"
        f"SELECT {''.join(f'{name}, ' for name in dims)}seconds, SUM(seen) AS events, SUM(1 - seen) AS censored"
        f" FROM lives GROUP BY {''.join(f'{name}, ' for name in dims)}seconds"
        f" ORDER BY {''.join(f'{name}, ' for name in dims)}seconds"
    )


def survival_of(
    data: Any, duration: str, observed: str, by: str | None = None, *, unit: str = "", confidence: float = 0.95,
    interval: str = "log-log",
) -> Answer:
    """The same of durations that are known: a row a subject, in a file, Arrow table, frame or list of dicts.

    `observed` is 1 (or true) where the end was seen and 0 where the subject was lost from view. Rows without a
    duration or without `observed` are left out and counted in the notes. Raises UsageError for a negative duration.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from prodsense.metrics.reading import read_data

    table: pa.Table = read_data(data)
    for name in filter(None, (duration, observed, by)):
        if name not in table.column_names:
            raise UsageError(f"there is no column {name}; there are: {', '.join(table.column_names)}")
    whole = table.filter(pc.and_(pc.is_valid(table[duration]), pc.is_valid(table[observed])))
    times = whole[duration].to_numpy().astype(float)
    flags = whole[observed].cast(pa.int64()).to_numpy()
    if len(times) and times.min() < 0:
        raise UsageError(f"{duration} holds {times.min():g}: a duration is not below 0")
    if not set(np.unique(flags)) <= {0, 1}:
        other = sorted(set(flags.tolist()) - {0, 1})
        raise UsageError(f"{observed} should be 1 where the end was seen and 0 elsewhere; it holds {other[0]}")
    groups = {
        key: Lives.of(times[places], flags[places] == 1) for key, places in _groups(whole, [by] if by else [])
    }
    missing = table.num_rows - whole.num_rows
    rows = "row" if missing == 1 else "rows"
    notes = [f"{missing} {rows} without {duration} or {observed} left out"] if missing else []
    return curves(groups, [by] if by else [], unit=unit, confidence=confidence, interval=interval, notes=notes)


def _groups(table: pa.Table, names: Sequence[str]) -> list[tuple[tuple[Any, ...], NDArray[np.int64]]]:
    """Values of the columns and the rows that hold them, by the text of the values, nulls last."""
    import pyarrow.compute as pc

    if not table.num_rows:
        return []
    code = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        encoded = table[name].combine_chunks().dictionary_encode()
        own = pc.fill_null(encoded.indices.cast("int64"), len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        # Codes stay as small as there are groups, whatever the number of columns.
        code = np.unique(code * (len(encoded.dictionary) + 1) + own, return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    found = [(tuple(table[name][int(places[0])].as_py() for name in names), places) for places in parts]
    return sorted(found, key=lambda group: [(value is None, str(value)) for value in group[0]])


def curves(
    groups: Mapping[tuple[Any, ...], Lives],
    by: list[str],
    *,
    unit: str,
    confidence: float = 0.95,
    interval: str = "log-log",
    as_of: datetime | None = None,
    tz: str = "UTC",
    notes: Sequence[str] = (),
    statements: tuple[Any, ...] = (),
    dialect: str = "duckdb",
    title: str = "Survival",
) -> Answer:
    """Kaplan–Meier curves of groups and, for several, the log-rank test between them.

    Columns: one for each of `by`, ``time``, ``at_risk``, ``events``, ``survival`` (share to whom it has not happened
    up to and at that time), ``std_error`` (Greenwood), ``low`` and ``high``; a row at time 0 and one for each time
    with an event. `extras`: ``groups`` (subjects, events, censored, and the median with its interval; null where
    half was never reached) and ``log_rank`` (statistic, degrees, p_value; null for one group).
    """
    if interval not in INTERVALS:
        raise UsageError(f"no interval named {interval!r}; choose one of {', '.join(INTERVALS)}")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    rows: list[dict[str, Any]] = []
    summary = []
    for key, lives in groups.items():
        label = dict(zip(by, key, strict=True))
        found = kaplan_meier(lives, confidence=confidence, interval=interval)
        begin = {"time": 0.0, "at_risk": lives.subjects, "events": 0, "survival": 1.0, "std_error": 0.0}
        rows.append({**label, **begin, "low": 1.0, "high": 1.0})
        names = ("time", "at_risk", "events", "survival", "std_error", "low", "high")
        values = (found.times, found.at_risk, found.events, found.survival, found.std_error, found.low, found.high)
        rows += [
            {**label, **dict(zip(names, line, strict=True))}
            for line in zip(*(value.tolist() for value in values), strict=True)
        ]
        median, low, high = found.quantile(0.5)
        ended = int(lives.events.sum())
        summary.append({
            **label, "subjects": lives.subjects, "events": ended, "censored": lives.subjects - ended,
            "median": median, "median_low": low, "median_high": high,
        })
    test = log_rank({str(key): lives for key, lives in groups.items()})
    extras: dict[str, Any] = {
        "unit": unit, "confidence": confidence, "interval": interval, "by": by, "groups": summary,
        "log_rank": vars(test) if test else None,
    }
    said = [*notes, *(_median_note(line, by, unit) for line in summary)]
    if test:
        said.append(f"log-rank {test.statistic:.3f} on {test.degrees} degrees of freedom, p = {test.p_value:.3g}")
    units = {"time": unit, "survival": "share", "low": "share", "high": "share", "at_risk": "count", "events": "count"}
    return Answer(
        arrow=Rows.from_rows(rows).arrow, extras=extras, units=units, notes=tuple(said), dialect=dialect,
        statements=statements, title=title, method="survival", as_of=as_of, tz=tz, picture=picture,
    )


def _median_note(line: Mapping[str, Any], by: Sequence[str], unit: str) -> str:
    who = " · ".join(str(line[name]) for name in by)
    median = "not reached" if line["median"] is None else f"{line['median']:.4g} {unit}".strip()
    return (
        (f"{who}: " if who else "") + f"{line['subjects']} subjects, {line['events']} came to the end,"
        f" {line['censored']} censored; median {median}"
    )


def picture(answer: Answer, **options: Any) -> Any:
    """The curves as steps with their intervals."""
    from prodsense.charts.curves import steps

    rows = chart_data(answer)
    by = list(answer.extras["by"])
    options = {"title": answer.title, "notes": [], "x_title": answer.extras["unit"] or "time", **options}
    return steps(rows, "time", "survival", low="low", high="high", series="group" if by else None, **options)


#: A curve in a picture has at most so many steps: more are not seen.
_STEPS = 300


def chart_data(answer: Answer) -> list[dict[str, Any]]:
    """The rows that `picture` draws: those of the answer, thinned where a curve has very many steps."""
    by = list(answer.extras["by"])
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in answer.rows:
        label = " · ".join("(none)" if row[name] is None else str(row[name]) for name in by)
        curves.setdefault(label, []).append({**row, "group": label} if by else row)
    return [
        rows[place]
        for rows in curves.values()
        for place in np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _STEPS)).round().astype(int))
    ]
