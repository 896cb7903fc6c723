"""Cohorts: sets of users by what they did or by an attribute, to slice by and to count.

A cohort is a SELECT of users, evaluated where it is used. ``a & b``, ``a | b`` and ``a - b`` combine them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prodsense.behavior.events import EventTable
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

_PARAMETER = re.compile(r":([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Cohort:
    """Users that a rule picks out of `events`.

    `sql` selects one column ``user_id``, distinct; `params` are its bound parameters. `name` is how results call it.
    """

    name: str
    events: EventTable
    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, prefix: str) -> tuple[str, dict[str, Any]]:
        """The SELECT with its parameters renamed after `prefix`, to stand beside others in one statement."""
        text = _PARAMETER.sub(lambda found: f":{prefix}_{found[1]}", self.sql)
        return text, {f"{prefix}_{name}": value for name, value in self.params.items()}

    def named(self, name: str) -> Cohort:
        """The same users under another name."""
        return replace(self, name=name)

    def users(self) -> Rows:
        """The users, in order; one column ``user_id``."""
        sql = f"WITH cohort AS ({self.sql}) SELECT user_id FROM cohort ORDER BY user_id"
        engine = self.events.engine
        return Rows(
            arrow=engine.query(sql, self.params), title=f"Cohort {self.name}", notes=self.events.notes(),
            dialect=engine.dialect, statements=((sql, self.params),),
        )

    def __len__(self) -> int:
        sql = f"WITH cohort AS ({self.sql}) SELECT COUNT(*) AS n FROM cohort"
        return int(self.events.engine.query(sql, self.params)["n"][0].as_py())

    def __bool__(self) -> bool:
        return True  # an empty cohort is a cohort

    def _with(self, other: Cohort, word: str, sign: str) -> Cohort:
        if other.events.engine is not self.events.engine:
            raise UsageError(f"cohorts {self.name} and {other.name} are of different warehouses and cannot be combined")
        left, left_params = self.bound("a")
        right, right_params = other.bound("b")
        if word == "UNION":
            sql = f"SELECT user_id FROM ({left}) AS l UNION SELECT user_id FROM ({right}) AS r"
        else:
            match = f"(SELECT 1 FROM ({right}) AS r WHERE r.user_id = l.user_id)"
            sql = f"SELECT l.user_id FROM ({left}) AS l WHERE {word} {match}"
        return Cohort(f"{self.name} {sign} {other.name}", self.events, sql, {**left_params, **right_params})

    def __and__(self, other: Cohort) -> Cohort:
        return self._with(other, "EXISTS", "and")

    def __sub__(self, other: Cohort) -> Cohort:
        return self._with(other, "NOT EXISTS", "without")

    def __or__(self, other: Cohort) -> Cohort:
        return self._with(other, "UNION", "or")


def cohort(
    events: EventTable,
    name: str,
    *,
    event: str | None = None,
    at_least: int = 1,
    on_days: int = 1,
    within_days: int | None = None,
    where: str = "",
    since: object = None,
    until: object = None,
    tz: str = "UTC",
) -> Cohort:
    """Users with at least `at_least` events on at least `on_days` different days.

    Only events called `event` count where it is given, only rows for which `where` (a condition over the table's
    columns) is true, only days from `since` (inside) to `until` (outside), and with `within_days` only the first
    so many times 24 hours after the user's first event of any kind. An attribute makes a cohort by
    `where` alone: ``cohort(events, "from Berlin", where="city = 'Berlin'")``.
    """
    if at_least < 1 or on_days < 1:
        raise UsageError("at_least and on_days count from 1; users without an event are in no event table")
    if within_days is not None and within_days < 1:
        raise UsageError(f"within_days should be at least 1, not {within_days}")
    if event is not None and not events.event:
        raise UsageError(f"to tell {event!r} from other events, name the event column (--event)")
    both = f"({events.where}) AND ({where})" if events.where and where else where or events.where
    picked = replace(events, where=both)
    params: dict[str, Any] = {}
    conditions = []
    if event is not None:
        conditions.append("e.event_name = :event")
        params["event"] = event
    for bound, value, sign in (("since", since, ">="), ("until", until, "<")):
        if value is not None:
            params[bound] = periods.read_day(value, bound)
            conditions.append(f"{events.day(tz, 'e.event_time')} {sign} :{bound}")
    join = ""
    if within_days is not None:
        params["within_seconds"] = within_days * 86400
        join = (
            f" JOIN (SELECT user_id, MIN(event_time) AS first_time FROM ({events.select()}) AS every"
            " GROUP BY user_id) AS f ON f.user_id = e.user_id"
            " AND seconds_between(f.first_time, e.event_time) < :within_seconds"
        )
    kept = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    having = []
    if at_least > 1:
        having.append("COUNT(*) >= :at_least")
        params["at_least"] = at_least
    if on_days > 1:
        having.append(f"COUNT(DISTINCT {events.day(tz, 'e.event_time')}) >= :on_days")
        params["on_days"] = on_days
    wanted = f" HAVING {' AND '.join(having)}" if having else ""
    sql = f"SELECT e.user_id FROM ({picked.select()}) AS e{join}{kept} GROUP BY e.user_id{wanted}"
    return Cohort(name, events, sql, params)
