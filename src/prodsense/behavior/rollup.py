"""The roll-up: one row for each day, user and combination of dimensions, kept in the warehouse.

Daily numbers by those dimensions come from it without the events, distinct users exactly: a user has one row in
each cell, so that counting rows counts users. By fewer dimensions users are told apart again.

The table ``day, user_id, <dimensions>, events, count_1, …, sum_1, …`` lies at `relation`, and how it was made at
``<relation>_settings``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from prodsense.behavior.events import EventTable
from prodsense.behavior.result import Answer, days_over
from prodsense.engines.base import comma, quoted
from prodsense.errors import NotBuiltError, UsageError
from prodsense.metrics import periods

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine


@dataclass(frozen=True)
class Rollup:
    """A roll-up at `relation` of `engine`; make it with `build`, take it up again with `open`."""

    engine: Engine
    relation: str
    dimensions: tuple[str, ...] = ()
    #: Events counted by name.
    counts: tuple[str, ...] = ()
    #: Columns added up.
    sums: tuple[str, ...] = ()
    tz: str = "UTC"
    as_of: datetime = field(default=datetime.min)

    @classmethod
    def build(
        cls, events: EventTable, relation: str = "activity.slices", *, counts: Sequence[str] = (),
        sums: Sequence[str] = (), tz: str = "UTC",
    ) -> Rollup:
        """Build it of all `events` by their dimensions.

        `counts` names events that are counted apart, `sums` columns that are added up.
        Raises UsageError for columns that are not there and names that are given twice.
        """
        if counts and not events.event:
            raise UsageError(f"to count {counts[0]!r} apart, name the event column (--event)")
        added = tuple(events.column(name) for name in sums)
        for names in (events.dimensions, tuple(counts), added):
            if len({name.lower() for name in names}) < len(names):
                raise UsageError(f"a roll-up takes each name once, not {', '.join(names)}")
        taken = {"day", "user_id", "events", "users"} & {name.lower() for name in events.dimensions}
        if taken:
            raise UsageError(f"a roll-up has a column {min(taken)} of its own: rename that dimension in a view")
        made = cls(events.engine, relation, events.dimensions, tuple(counts), added, tz, events.as_of(None, tz))
        with made.engine.transaction():
            made.engine.replace(relation, made._select(events, ""), made._params(), partition="day")
            made._keep_settings()
        return made

    @classmethod
    def open(cls, engine: Engine, relation: str = "activity.slices") -> Rollup:
        """The roll-up that was built at `relation`; NotBuiltError when there is none."""
        if engine.columns(f"{relation}_settings") is None:
            raise NotBuiltError(f"no roll-up at {relation}; make one with Rollup.build(events, {relation!r})")
        row = engine.query(f"SELECT * FROM {quoted(f'{relation}_settings')}").to_pylist()[0]
        dimensions, counts, sums = (tuple(json.loads(row[name])) for name in ("dimensions", "counts", "sums"))
        return cls(engine, relation, dimensions, counts, sums, row["tz"], row["as_of"])

    def update(self, events: EventTable, since: object = None, days: Iterable[object] = ()) -> Rollup:
        """Read days again: the newest stored one and all later, or from `since` on, or `days`. Equal to a rebuild."""
        table = events.by(*self.dimensions)
        moment = max(self.as_of, table.as_of(None, self.tz))
        wanted = {periods.read_day(day, "days") for day in days}
        if since is not None or not wanted:
            start = periods.read_day(since, "since") if since is not None else periods.local_day(self.as_of, self.tz)
            last = periods.local_day(moment, self.tz)
            wanted |= {date.fromordinal(n) for n in range(start.toordinal(), last.toordinal() + 1)}
        if not wanted:
            return self
        listed = ", ".join(f"CAST('{day.isoformat()}' AS DATE)" for day in sorted(wanted))
        params = {
            **self._params(), "from_moment": periods.midnight(min(wanted), self.tz),
            "to_moment": periods.midnight(max(wanted) + periods.DAY, self.tz),
        }
        # The bounds on the time itself let the engine skip what lies outside; days are cut exactly after them.
        inside = f"{table.moment()} >= :from_moment AND {table.moment()} < :to_moment"
        with self.engine.transaction():
            self.engine.replace_partitions(
                self.relation, self._select(table, inside, f"day IN ({listed})"), "day", sorted(wanted), params
            )
            made = replace(self, as_of=moment)
            made._keep_settings()
        return made

    def daily(self, by: Sequence[str] | None = None, *, since: object = None, until: object = None) -> Answer:
        """Each day from `since` (inside) to `until` (outside) by some of the dimensions (all unless given).

        Columns: ``day``, the dimensions, ``events``, ``users`` (distinct), for each event counted apart
        ``events_<name>`` and ``users_<name>``, and ``sum_<column>`` (null where no event had a value).
        """
        chosen = self.dimensions if by is None else tuple(by)
        for name in chosen:
            if name not in self.dimensions:
                known = ", ".join(self.dimensions) or "none"
                raise UsageError(f"the roll-up has no dimension {name}; it has: {known}")
        each = set(chosen) == set(self.dimensions)
        items = ["CAST(SUM(events) AS BIGINT) AS events"]
        items.append("COUNT(*) AS users" if each else "COUNT(DISTINCT user_id) AS users")
        for i, name in enumerate(self.counts, 1):
            items.append(f"CAST(SUM(count_{i}) AS BIGINT) AS {comma([f'events_{name}'])}")
            some = f"COUNT(*) FILTER (WHERE count_{i} > 0)" if each else (
                f"COUNT(DISTINCT CASE WHEN count_{i} > 0 THEN user_id END)"
            )
            items.append(f"{some} AS {comma([f'users_{name}'])}")
        items += [f"SUM(sum_{i}) AS {comma([f'sum_{name}'])}" for i, name in enumerate(self.sums, 1)]
        keys = comma(["day", *chosen])
        tests, params = [], {}
        for name, value, sign in (("since", since, ">="), ("until", until, "<")):
            if value is not None:
                tests.append(f"day {sign} :{name}")
                params[name] = periods.read_day(value, name)
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        sql = (
            f"SELECT {keys}, {', '.join(items)} FROM {quoted(self.relation)}{where}"
            f" GROUP BY {keys} ORDER BY {keys}"
        )
        found = _whole(self.engine.query(sql, params))
        over = days_over(self.as_of, self.tz)
        last = periods.local_day(self.as_of, self.tz)
        units = {name: "count" for name in found.column_names if name.startswith(("events", "users"))}
        return Answer(
            arrow=found, method="rollup", title="By day", units=units, as_of=self.as_of, tz=self.tz,
            incomplete=(last,) if last > over else (), statements=((sql, params),), dialect=self.engine.dialect,
            extras={"by": list(chosen)},
        )

    def _params(self) -> Mapping[str, Any]:
        return {f"event_{i}": name for i, name in enumerate(self.counts, 1)}

    def _select(self, events: EventTable, condition: str, days: str = "") -> str:
        sums = {f"value_{i}": comma([name]) for i, name in enumerate(self.sums, 1)}
        dims = [f"{alias} AS {comma([name])}" for name, alias in events.dimension_columns.items()]
        counted = [f"COUNT(*) FILTER (WHERE event_name = :event_{i}) AS count_{i}"
                   for i, _ in enumerate(self.counts, 1)]
        added = [f"SUM(value_{i}) AS sum_{i}" for i, _ in enumerate(self.sums, 1)]
        keys = ["day", "user_id", *events.dimension_columns.values()]
        only = f" WHERE {days}" if days else ""
        return (
            f"WITH events AS ({events.select(sums, condition=condition)}),"
            f" dated AS (SELECT *, {events.day(self.tz)} AS day FROM events)"
            f" SELECT {', '.join(['day', 'user_id', *dims, 'COUNT(*) AS events', *counted, *added])}"
            f" FROM dated{only} GROUP BY {', '.join(keys)}"
        )

    def _keep_settings(self) -> None:
        self.engine.replace(
            f"{self.relation}_settings",
            "SELECT CAST(:dimensions AS VARCHAR) AS dimensions, CAST(:counts AS VARCHAR) AS counts,"
            " CAST(:sums AS VARCHAR) AS sums, CAST(:tz AS VARCHAR) AS tz, CAST(:as_of AS TIMESTAMP) AS as_of",
            {
                "dimensions": json.dumps(self.dimensions), "counts": json.dumps(self.counts),
                "sums": json.dumps(self.sums), "tz": self.tz, "as_of": self.as_of,
            },
        )


def _whole(rows: pa.Table) -> pa.Table:
    """Sums of whole numbers as such: an engine gives them as decimals."""
    import pyarrow as pa

    for i, column in enumerate(rows.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            rows = rows.set_column(i, column.name, rows.column(i).cast(pa.int64()))
    return rows
