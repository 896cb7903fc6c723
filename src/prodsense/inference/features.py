"""What is known of each subject at a cut-off, out of any event table, and what came after it.

Only days before a cut-off count as known; the outcome is looked for in the window from `gap` days after it, `horizon`
days long. Subjects at a cut-off whose window is not over have no outcome yet: they are scored, never judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference.causal_data import Sample, opened
from prodsense.inference.predict_learn import Column
from prodsense.inference.predict_read import Frame
from prodsense.metrics import periods

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from prodsense.engines.base import Engine

#: Windows in days, and how many kinds of events get a feature of their own.
WINDOWS = (7, 28, 84)
KINDS = 8
#: At least so many days lie before the first cut-off.
_HISTORY = 28


@dataclass(frozen=True)
class Log:
    """Events as features need them: a SELECT of user_id, event_time and (where `named`) event_name."""

    engine: Engine
    select: str
    named: bool
    days: bool
    label: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Cohorts:
    """Subjects to learn from, to judge by and to score; `extras` names the cut-offs."""

    learn: Frame
    test: Frame
    today: Frame
    extras: Mapping[str, Any]


def days_of(value: object, what: str) -> int:
    """A number of whole days: 28, "28d" or "4w"."""
    found = re.fullmatch(r"([0-9]+)\s*([dw]?)", str(value).strip())
    if not found:
        raise UsageError(f"{what} should be a number of days like 28d or 4w, not {str(value)!r}")
    return int(found[1]) * (7 if found[2] == "w" else 1)


@contextmanager
def log_of(data: Any, user: str | None, time: str | None, event: str | None, where: str) -> Iterator[Log]:
    """`data` as a log: an event table as it is, what gives one when called, or rows with named columns."""
    import pyarrow as pa

    if callable(data) and not hasattr(data, "select"):
        data = data()
    if not isinstance(data, Sample) and hasattr(data, "select") and hasattr(data, "engine"):
        if where:
            raise UsageError("give where to the event table, not to the method")
        days = pa.types.is_date(data.schema[data.time])
        yield Log(data.engine, data.select(), bool(data.event), days, data.label, tuple(data.notes()))
        return
    if not (user and time):
        raise UsageError("name the outcome of a table (label), or the columns of user and time of events (user, time)")
    with opened(data, where) as sample:
        who, when = sample.column(user, "user"), sample.column(time, "time")
        kind = sample.schema[when]
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise UsageError(f"{sample.label}: {when} holds {kind}, not times; cast it to TIMESTAMP first")
        items = {"user_id": comma([who]), "event_time": f"CAST({comma([when])} AS TIMESTAMP)"}
        if event:
            items["event_name"] = f"text_of({comma([sample.column(event, 'event')])})"
        needed = ["user_id", "event_time"]
        yield Log(
            sample.engine, sample.source(items, needed), bool(event), pa.types.is_date(kind), sample.label,
            tuple(sample.note_left_out(items, needed, f"{who} or {when}")),
        )


def statement(log: Log, cuts: int, kinds: int, goal: bool, tz: str = "UTC") -> str:
    """SQL in the source dialect: a row a subject and cut-off, with its features and ``came``, how often it came true.

    Parameters: ``cut_0``, … (dates), ``kind_0``, …, ``gap``, ``horizon``, ``within`` (days) and, with `goal`, ``goal``.
    Features: recency_days, tenure_days (since the first event), events, active_days, kinds; events and active days in
    the last 7, 28 and 84 days; events in the 28 days before the last 28; events of each kind in the last 28.
    """
    day = "date_of(event_time)" if tz == "UTC" else f"date_of(local_time(event_time, '{_zone(tz)}'))"
    name = "event_name" if log.named else "''"
    listed = " UNION ALL ".join(f"SELECT CAST(:cut_{i} AS DATE) AS cut" for i in range(cuts))
    windows = "".join(
        f", COALESCE(SUM(n) FILTER (WHERE ago <= {days}), 0) AS events_{days}d"
        f", COUNT(DISTINCT CASE WHEN ago <= {days} THEN day END) AS active_days_{days}d" for days in WINDOWS
    )
    own = "".join(
        f", COALESCE(SUM(n) FILTER (WHERE ago <= 28 AND kind = :kind_{i}), 0) AS kind_{i}_28d" for i in range(kinds)
    )
    ever = ", COALESCE(SUM(n) FILTER (WHERE kind = :goal), 0) AS done" if goal else ""
    only = " AND d.kind = :goal" if goal else ""
    return (
        f"WITH events AS ({log.select}),\n"
        f"dated AS (SELECT user_id, {day} AS day, {name} AS kind FROM events),\n"
        "daily AS (SELECT user_id, day, kind, COUNT(*) AS n FROM dated GROUP BY user_id, day, kind),\n"
        f"cuts AS ({listed}),\n"
        "seen AS (SELECT c.cut AS cut, d.user_id AS user_id, d.day AS day, d.kind AS kind, d.n AS n,"
        " days_between(d.day, c.cut) AS ago FROM daily AS d CROSS JOIN cuts AS c WHERE d.day < c.cut),\n"
        "past AS (SELECT cut, user_id, MIN(ago) AS recency_days, MAX(ago) AS tenure_days, SUM(n) AS events,"
        f" COUNT(DISTINCT day) AS active_days, COUNT(DISTINCT kind) AS kinds{windows},"
        f" COALESCE(SUM(n) FILTER (WHERE ago > 28 AND ago <= 56), 0) AS events_before_28d{own}{ever}"
        " FROM seen GROUP BY cut, user_id),\n"
        "future AS (SELECT c.cut AS cut, d.user_id AS user_id, SUM(d.n) AS came FROM daily AS d CROSS JOIN cuts AS c"
        " WHERE days_between(c.cut, d.day) >= :gap AND days_between(c.cut, d.day) < :gap + :horizon"
        f"{only} GROUP BY c.cut, d.user_id)\n"
        "SELECT p.*, COALESCE(f.came, 0) AS came FROM past AS p LEFT JOIN future AS f"
        " ON f.cut = p.cut AND f.user_id = p.user_id WHERE p.recency_days <= :within ORDER BY p.cut, p.user_id"
    )


def _zone(tz: str) -> str:
    periods.zone(tz)
    return tz


@dataclass(frozen=True)
class Subjects:
    """Subjects at cut-offs: a row each, and the statement that gave them."""

    arrow: pa.Table
    cutoffs: tuple[date, ...]
    kinds: tuple[str, ...]
    statements: tuple[Any, ...]
    end: date


def subject_features(
    log: Log, cutoffs: Sequence[date] | int, *, horizon: int, gap: int = 0, goal: str | None = None,
    within: int | None = None, as_of: object = None, tz: str = "UTC",
) -> Subjects:
    """Features and outcomes of all subjects active `within` days (default: the horizon) before each cut-off.

    `cutoffs`: days, or how many: then one where the known days end (its window is not over) and so many before it,
    each a horizon and a gap apart. `end` is the day after the last one that is wholly past at `as_of` (default: the
    newest event). Raises UsageError when the data are too short for a cut-off to learn from and one to judge by.
    """
    if horizon < 1 or gap < 0:
        raise UsageError("the horizon is at least one day and the gap at least none")
    if goal is not None and not log.named:
        raise UsageError("a goal is an event: name the column of the event (event)")
    first, newest = _span(log)
    moment = periods.read_moment(as_of, tz) if as_of is not None else newest
    end = periods.local_day(moment, tz)
    if (log.days and as_of is None) or moment >= periods.end_of_day(end, tz):
        end += timedelta(days=1)
    start = periods.local_day(first, tz)
    if isinstance(cutoffs, int):
        stride = timedelta(days=horizon + gap)
        earliest = start + timedelta(days=min(_HISTORY, max(horizon, 7)))
        listed = [end]
        while len(listed) < cutoffs + 1 and listed[-1] - stride >= earliest:
            listed.append(listed[-1] - stride)
        if len(listed) < 3:
            need = 2 * (horizon + gap) + (earliest - start).days
            raise UsageError(
                f"the events span {(end - start).days} days; to learn from one window of {horizon} days and judge by"
                f" another takes {need}: choose a shorter horizon"
            )
        days = sorted(listed)
    else:
        days = sorted(set(cutoffs))
        if not days:
            raise UsageError("name at least one cut-off")
    kinds = _kinds(log, days[0], tz) if log.named else ()
    if goal is not None:
        known = log.engine.query(
            f"WITH events AS ({log.select}) SELECT COUNT(*) AS n FROM events WHERE event_name = :goal", {"goal": goal}
        )
        if not known["n"][0].as_py():
            raise UsageError(f"{log.label} holds no event {goal!r}")
    sql = statement(log, len(days), len(kinds), goal is not None, tz)
    params: dict[str, Any] = {f"cut_{i}": day for i, day in enumerate(days)}
    params |= {f"kind_{i}": kind for i, kind in enumerate(kinds)}
    params |= {"gap": gap, "horizon": horizon, "within": within or horizon}
    if goal is not None:
        params["goal"] = goal
    # Nothing after the moment that is looked from may leak into features or outcomes: windows end at `end` or before,
    # but for those of cut-offs whose window is not over, whose outcome nobody reads.
    return Subjects(log.engine.query(sql, params), tuple(days), kinds, ((sql, params),), end)


def _span(log: Log) -> tuple[datetime, datetime]:
    found = log.engine.query(
        f"WITH events AS ({log.select}) SELECT MIN(event_time) AS oldest, MAX(event_time) AS newest FROM events"
    ).to_pylist()[0]
    if found["oldest"] is None:
        raise UsageError(f"{log.label} holds no events with a user and a time")
    return found["oldest"], found["newest"]


def _kinds(log: Log, before: date, tz: str) -> tuple[str, ...]:
    """The most frequent kinds of events before the first cut-off: later ones would tell of the future."""
    found = log.engine.query(
        f"WITH events AS ({log.select}) SELECT event_name, COUNT(*) AS n FROM events WHERE event_time < :before"
        f" AND event_name IS NOT NULL GROUP BY event_name ORDER BY n DESC, event_name LIMIT {KINDS}",
        {"before": periods.midnight(before, tz)},
    )
    return tuple(found["event_name"].to_pylist())


def cohort_frames(
    data: Any, *, user: str | None, time: str | None, event: str | None, horizon: object, gap: object,
    goal: str | None, once: bool, within: object, cutoffs: int, as_of: object, tz: str, where: str,
) -> Cohorts:
    """Subjects of events as frames: those of earlier cut-offs, of the last one with a known outcome, and of today."""
    if once and goal is None:
        raise UsageError("once needs a goal: whoever did it before is left out")
    if int(cutoffs) < 2:
        raise UsageError("at least two cut-offs are needed: one to learn from, one to judge by")
    ahead, wait = days_of(horizon, "horizon"), days_of(gap, "gap")
    with log_of(data, user, time, event, where) as log:
        found = subject_features(
            log, int(cutoffs), horizon=ahead, gap=wait, goal=goal, as_of=as_of, tz=tz,
            within=None if within is None else days_of(within, "within"),
        )
        dialect, notes = log.engine.dialect, list(log.notes)
    table = found.arrow
    if once:
        fresh = table["done"].to_numpy() == 0
        notes.append(f"{int((~fresh).sum())} subjects at cut-offs left out: they had {goal} before")
        table = table.filter(fresh)
    cut = np.array(table["cut"].to_pylist(), dtype="datetime64[D]")
    columns = feature_columns(table, found.kinds)
    came = table["came"].to_numpy().astype(float) > 0
    known = cut + np.timedelta64(ahead + wait, "D") <= np.datetime64(found.end, "D")
    y = np.where(known, (came if goal else ~came).astype(float), np.nan)
    label = f"{goal} within {ahead} days" if goal else f"no event within {ahead} days"
    label += f" after {wait}" if wait else ""
    over = [day for day in found.cutoffs if day + timedelta(days=ahead + wait) <= found.end]
    score = found.cutoffs[-1]
    open_ = int((~known).sum())
    notes.append(f"{open_} subjects at {score}, whose window is not over, are scored and count in no measure")
    extras = {
        "train_cutoffs": over[:-1], "test_cutoff": over[-1], "score_cutoff": score, "horizon_days": ahead,
        "gap_days": wait, "not_over": open_,
    }  # fmt: skip

    def frame(rows: Any) -> Frame:
        places = np.flatnonzero(rows)
        import pyarrow as pa

        return Frame(
            [c.take(places) for c in columns], y[places], table["user_id"].combine_chunks().take(pa.array(places)),
            label, "user_id", None, tuple(notes), found.statements, dialect,
        )

    return Cohorts(
        frame(known & (cut < np.datetime64(over[-1], "D"))), frame(cut == np.datetime64(over[-1], "D")),
        frame(cut == np.datetime64(score, "D")), extras,
    )


def feature_columns(table: pa.Table, kinds: Sequence[str]) -> list[Column]:
    """The features of `statement` as columns, with the trend: log events of the last 28 days over the 28 before."""
    own = {f"kind_{i}_28d": f"{kind}_28d" for i, kind in enumerate(kinds)}
    skipped = {"cut", "user_id", "came", "done", "events_before_28d"}
    if len(kinds) <= 1:
        skipped |= {"kinds", *own}
    numbers = {name: table[name].to_numpy(zero_copy_only=False).astype(float) for name in table.column_names
               if name not in ("cut", "user_id")}  # fmt: skip
    columns = [Column(own.get(name, name), values, counts=True) for name, values in numbers.items()
               if name not in skipped]  # fmt: skip
    trend = np.log1p(numbers["events_28d"]) - np.log1p(numbers["events_before_28d"])
    columns.append(Column("trend_28d", trend))
    return [c for c in columns if len(c.values) == 0 or c.name == "recency_days" or np.ptp(c.values) > 0]


