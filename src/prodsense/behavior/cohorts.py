"""Cohorts: sets of users by what they did or by an attribute, to slice by and to count.

A cohort is a SELECT of users, evaluated where it is used. ``a & b``, ``a | b`` and ``a - b`` combine them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.result import Answer
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.result import Rows

#: Until it is asked as of a moment a cohort sees all events.
_EVER = datetime(9999, 1, 1)
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

    def as_of(self, moment: datetime) -> Cohort:
        """The users as they are known at `moment` (UTC): later events are not seen."""
        params = {
            # Of a cohort that others were combined into, each keeps its own under a prefix.
            name: moment if name == "as_of" or name.endswith("_as_of") else value
            for name, value in self.params.items()
        }
        return replace(self, params=params)

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
    events: Events,
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
    events = events_of(events)
    if at_least < 1 or on_days < 1:
        raise UsageError("at_least and on_days count from 1; users without an event are in no event table")
    if within_days is not None and within_days < 1:
        raise UsageError(f"within_days should be at least 1, not {within_days}")
    if event is not None and not events.event:
        raise UsageError(f"to tell {event!r} from other events, name the event column (--event)")
    both = f"({events.where}) AND ({where})" if events.where and where else where or events.where
    picked = replace(events, where=both)
    params: dict[str, Any] = {"as_of": _EVER}
    conditions = ["e.event_time <= :as_of"]
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
    having = []
    if at_least > 1:
        having.append("COUNT(*) >= :at_least")
        params["at_least"] = at_least
    if on_days > 1:
        having.append(f"COUNT(DISTINCT {events.day(tz, 'e.event_time')}) >= :on_days")
        params["on_days"] = on_days
    wanted = f" HAVING {' AND '.join(having)}" if having else ""
    kept = " AND ".join(conditions)
    sql = f"SELECT e.user_id FROM ({picked.select()}) AS e{join} WHERE {kept} GROUP BY e.user_id{wanted}"
    return Cohort(name, events, sql, params)


#: Keys of a rule that is written as text → how its value is read.
_KEYS: Mapping[str, Callable[[str], Any]] = {
    "event": str, "at_least": int, "on_days": int, "within_days": int, "since": str, "until": str, "where": str,
}
_WHERE = re.compile(r"(?:^|,)\s*where\s*=")


def read_cohort(events: Events, text: str, *, tz: str = "UTC") -> Cohort:
    """A cohort from one line: ``"buyers: event=pay, at_least=3"`` or ``"Berlin: where=city = 'Berlin'"``.

    The keys are the options of `cohort`; ``where`` stands last and takes the rest of the line. Raises UsageError
    for any other shape.
    """
    name, colon, rule = text.partition(":")
    if not colon or not name.strip() or "=" in name or not rule.strip():
        raise UsageError(f"cohort {text!r}: write it as NAME: event=pay, at_least=3 or NAME: where=SQL")
    listed, *condition = _WHERE.split(rule.strip(), maxsplit=1)
    options: dict[str, Any] = {"where": condition[0].strip()} if condition else {}
    for part in filter(None, (piece.strip() for piece in listed.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value or key not in _KEYS:
            raise UsageError(f"cohort {name.strip()}: {part!r} is none of {', '.join(f'{k}=' for k in _KEYS)}")
        if key in options:
            raise UsageError(f"cohort {name.strip()}: {key} is given twice")
        try:
            options[key] = _KEYS[key](value)
        except ValueError:
            raise UsageError(f"cohort {name.strip()}: {key} is a whole number, not {value!r}") from None
    return cohort(events, name.strip(), tz=tz, **options)


#: What the first row of an overlap calls all users of the events.
EVERYONE = "(everyone)"
_MOST = 20


def cohorts(events: Events, groups: Cohort | Sequence[Cohort], *, as_of: object = None, tz: str = "UTC") -> Answer:
    """How large cohorts are and how far they overlap, among the users of `events`; drawn as a heatmap.

    Columns: ``cohort``, ``other``, ``users`` (those in both), ``share`` (of the users in ``cohort``; null where it
    is empty). ``(everyone)`` are the users with an event up to `as_of` (the newest unless given): its row tells the
    size of each cohort. Later events are not seen, and members without an event until then are left out. Raises
    UsageError without cohorts, for more than 20, for two of one name, and when there are no events.
    """
    table = events_of(events)
    chosen = [groups] if isinstance(groups, Cohort) else list(groups)
    names = [EVERYONE, *(group.name for group in chosen)]
    if not 1 <= len(chosen) <= _MOST:
        raise UsageError(f"name 1 to {_MOST} cohorts, not {len(chosen)}")
    if len(set(names)) < len(names):
        raise UsageError(f"two cohorts share a name: {', '.join(names[1:])}")
    moment = table.as_of(as_of, tz)
    params: dict[str, Any] = {"as_of": moment}
    ctes = [f"everyone AS (SELECT DISTINCT user_id FROM ({table.by().select()}) AS events WHERE event_time <= :as_of)"]
    flags, joins = ["1 AS in_0"], []
    for i, group in enumerate(chosen, 1):
        if group.events.engine is not table.engine:
            raise UsageError(f"cohort {group.name} is of another warehouse than the events")
        text, bound = group.as_of(moment).bound(f"members_{i}")
        params.update(bound)
        ctes.append(f"members_{i} AS ({text})")
        flags.append(f"CASE WHEN members_{i}.user_id IS NULL THEN 0 ELSE 1 END AS in_{i}")
        joins.append(f" LEFT JOIN members_{i} ON members_{i}.user_id = e.user_id")
    pairs = [(i, j) for i in range(len(names)) for j in range(i, len(names))]
    sums = ", ".join(f"COALESCE(SUM(in_{i} * in_{j}), 0) AS both_{i}_{j}" for i, j in pairs)
    sql = (
        f"WITH {', '.join(ctes)}, flags AS (SELECT {', '.join(flags)} FROM everyone AS e{''.join(joins)})"
        f" SELECT {sums} FROM flags"
    )
    found = table.engine.query(sql, params).to_pylist()[0]
    both = {(i, j): int(found[f"both_{min(i, j)}_{max(i, j)}"]) for i in range(len(names)) for j in range(len(names))}
    rows = [
        {"cohort": one, "other": other, "users": both[i, j], "share": both[i, j] / both[i, i] if both[i, i] else None}
        for i, one in enumerate(names) for j, other in enumerate(names)
    ]
    arrow = pa.Table.from_pylist(rows, pa.schema(
        [("cohort", pa.string()), ("other", pa.string()), ("users", pa.int64()), ("share", pa.float64())]
    ))  # fmt: skip
    empty = [name for i, name in enumerate(names) if not both[i, i]]
    return Answer(
        arrow=arrow, method="cohorts", title="Cohorts: share of each that is in the other",
        units={"users": "count", "share": "share"}, as_of=moment, tz=tz,
        notes=(*table.notes(), *(f"nobody is in {name}" for name in empty)),
        extras={"everyone": both[0, 0], "sizes": {name: both[i, i] for i, name in enumerate(names) if i}},
        statements=((sql, params),), dialect=table.engine.dialect, picture=_picture, wide=_wide,
    )  # fmt: skip


def _wide(answer: Answer) -> Rows:
    """One line a cohort with its users; of several also how much of it is in each of the others."""
    sizes = [
        {"cohort": row["cohort"], "users": row["users"], "of_everyone": row["users"] / everyone if everyone else None}
        for row in answer.rows if row["cohort"] == row["other"]
        for everyone in [answer.extras["everyone"]]
    ]
    shared = {(row["cohort"], row["other"]): row["share"] for row in answer.rows}
    others = [line["cohort"] for line in sizes[1:]]
    if len(others) > 1:
        for line in sizes:
            line |= {f"in {name}": shared[line["cohort"], name] for name in others}
    units = {"users": "count", "of_everyone": "share", **{f"in {name}": "share" for name in others}}
    return Rows(arrow=Rows.from_rows(sizes).arrow, units=units, notes=answer.notes, title=answer.title)


def _picture(answer: Answer, **options: Any) -> Any:
    """A bar for one cohort beside everyone, a heatmap of several."""
    from prodsense.charts.builders import bar, heatmap

    settings: dict[str, Any] = {"title": answer.title, "notes": answer.notes, **options}
    if len(answer.extras["sizes"]) == 1:
        rows = [row for row in answer.rows if row["cohort"] == row["other"]]
        return bar(rows, "cohort", "users", unit="count", sort="given", **{**settings, "title": "Users of the cohort"})
    return heatmap(answer.rows, "other", "cohort", "share", unit="share", x_title="also in", y_title="of", **settings)
