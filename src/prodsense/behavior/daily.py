"""User days, and the small cells that most questions about activity are answered from.

A user day is one row per slice, user and active calendar day: ``slice, user_id, day, prev_day, first_day``, where
`prev_day` is the active day before (null on the first) and `first_day` the first of all. Without a dimension
`slice` is ''. With one, each value stands alone, as if only its events existed: a user of two values is new in each,
and slices do not add up. A null value is ``(none)``.

Two sums over user days are all that rolling counts, lifecycle and retention need:

    gaps    (slice, day, prev_day) → users        cohorts  (slice, first_day, day) → users
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from prodsense.behavior.events import EventTable
from prodsense.errors import UsageError
from prodsense.metrics import periods

#: (slice, day, previous active day or None) → users.
Gaps = Mapping[tuple[str, date, date | None], int]

#: How a null value of a dimension is called.
NONE = "(none)"


def slice_sql(events: EventTable) -> str:
    """SQL of the slice of an event, by the first dimension of `events`."""
    if not events.dimensions:
        return "''"
    return f"COALESCE(text_of(dim_1), '{NONE}')"


def one_dimension(events: EventTable, by: str) -> EventTable:
    """`events` with the one dimension `by`, or none."""
    return events.by(by) if by else events.by()


def active_days_sql(events: EventTable, tz: str, condition: str = "") -> str:
    """SELECT of distinct ``slice, user_id, day``; `condition` is over event_time, event_name and day of the events."""
    kept = f" WHERE {condition}" if condition else ""
    return (
        f"SELECT DISTINCT slice, user_id, day FROM (SELECT {slice_sql(events)} AS slice, user_id,"
        f" {events.day(tz)} AS day, event_time{', event_name' if events.event else ''}"
        f" FROM ({events.select()}) AS source) AS dated{kept}"
    )


def user_days_sql(active_days: str) -> str:
    """SELECT of user days from one of distinct ``slice, user_id, day``."""
    return (
        "SELECT slice, user_id, day, LAG(day) OVER (PARTITION BY slice, user_id ORDER BY day) AS prev_day,"
        f" MIN(day) OVER (PARTITION BY slice, user_id) AS first_day FROM ({active_days}) AS active_days"
    )


def gaps_sql(user_days: str) -> str:
    """SELECT of gap cells from one of user days."""
    return (
        f"SELECT slice, day, prev_day, COUNT(*) AS users FROM ({user_days}) AS user_days GROUP BY slice, day, prev_day"
    )


def qualify(events: EventTable, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Condition and parameters that keep events of these names; none keeps all. UsageError without event column."""
    if not names:
        return "", {}
    if not events.event:
        raise UsageError(f"to tell {names[0]!r} from other events, name the event column (--event)")
    params = {f"event_{i}": name for i, name in enumerate(names)}
    return f"event_name IN ({', '.join(':' + name for name in params)})", params


def gaps_of(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, date, date | None], int]:
    """Gap cells from rows of ``slice, day, prev_day, users``."""
    return {(row["slice"], row["day"], row["prev_day"]): int(row["users"]) for row in rows}


def slices_of(gaps: Gaps) -> list[str]:
    """The slices in order."""
    return sorted({key[0] for key in gaps})


def calendar(first: date, last: date) -> list[date]:
    """All days from `first` to `last`, both inside."""
    return [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]


def rolling(gaps: Gaps, windows: Sequence[int], last: date) -> dict[tuple[str, date], dict[int, int]]:
    """Distinct users of the trailing `windows` days at each day from a slice's first up to `last`.

    An active day covers itself and the following k − 1 days. What the active day before covers already is not
    counted again: the user enters the window at max(day, prev_day + k) and leaves it at day + k. So one pass over
    the cells and a running sum give the exact distinct count for any k.
    """
    steps: dict[tuple[str, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    start: dict[str, date] = {}
    for (name, day, before), users in gaps.items():
        start[name] = min(day, start.get(name, day))
        for k in windows:
            enters = day.toordinal() if before is None else max(day.toordinal(), before.toordinal() + k)
            steps[name, k][enters] += users
            steps[name, k][day.toordinal() + k] -= users
    found: dict[tuple[str, date], dict[int, int]] = {}
    for name, first in sorted(start.items()):
        current = dict.fromkeys(windows, 0)
        for day in calendar(first, last):
            for k in windows:
                current[k] += steps[name, k].get(day.toordinal(), 0)
            found[name, day] = dict(current)
    return found


def flows(gaps: Gaps, grain: str, last: date) -> list[dict[str, Any]]:
    """Lifecycle of each slice and period from its first to the one that holds `last`.

    Of the users active in a period: ``new`` have their first active day in it, ``retained`` were active in the
    period before, ``resurrected`` came back after a longer time. ``dormant`` were active once and are not in
    this period; ``churned`` are those of them who were in the period before (the transition).
    """
    counts: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0, 0])
    start: dict[str, date] = {}
    for (name, day, before), users in gaps.items():
        period = periods.start_of(day, grain)
        start[name] = min(period, start.get(name, period))
        if before is None:
            counts[name, period][0] += users
            continue
        earlier = periods.start_of(before, grain)
        if earlier == period:
            continue  # active in this period already
        counts[name, period][1 if periods.shift(earlier, grain, 1) == period else 2] += users
    rows = []
    for name in sorted(start):
        ever = active_before = 0
        period, end = start[name], periods.start_of(last, grain)
        while period <= end:
            new, retained, resurrected = counts[name, period]
            ever += new
            active = new + retained + resurrected
            rows.append({
                "slice": name, "period": period, "active": active, "new": new, "retained": retained,
                "resurrected": resurrected, "churned": active_before - retained, "dormant": ever - active,
            })
            active_before = active
            period = periods.shift(period, grain, 1)
    return rows


def open_periods(rows: Iterable[Mapping[str, Any]], column: str, grain: str, over: date) -> tuple[date, ...]:
    """Periods among `rows` that are not wholly past when `over` is the newest day that is."""
    return tuple(sorted({
        row[column] for row in rows if periods.shift(row[column], grain, 1).toordinal() - 1 > over.toordinal()
    }))


def newest(moment: datetime, tz: str) -> date:
    """The calendar day of `moment` in zone `tz`."""
    return periods.local_day(moment, tz)
