"""User days, and the small cells that most questions about activity are answered from.

A user day is one row per slice, user and active calendar day: ``slice, user_id, day, prev_day, first_day``, where
`prev_day` is the active day before (null on the first) and `first_day` the first of all. Without a dimension
`slice` is ''. With one, each value stands alone, as if only its events existed: a user of two values is new in each,
and slices do not add up. A null value is ``(none)``.

Two sums over user days are all that rolling counts, lifecycle and retention need:

    gaps    (slice, day, prev_day) → users        cohorts  (slice, first_day, day) → users

`cells` computes the answers from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from prodsense.behavior.events import EventTable
from prodsense.errors import UsageError
from prodsense.metrics import periods

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


def gaps_until(
    events: EventTable, moment: datetime, event: str | Sequence[str], by: str, tz: str
) -> tuple[str, dict[str, Any]]:
    """SELECT of gap cells of what happened up to `moment`, of these events (any by default), and its parameters."""
    table = one_dimension(events, by)
    condition, params = qualify(table, (event,) if isinstance(event, str) else tuple(event))
    kept = " AND ".join(filter(None, ["event_time <= :as_of", condition]))
    return gaps_sql(user_days_sql(active_days_sql(table, tz, kept))), {**params, "as_of": moment}


def open_periods(rows: Iterable[Mapping[str, Any]], column: str, grain: str, over: date) -> tuple[date, ...]:
    """Periods among `rows` that are not wholly past when `over` is the newest day that is."""
    return tuple(sorted({
        row[column] for row in rows if periods.shift(row[column], grain, 1).toordinal() - 1 > over.toordinal()
    }))

