"""The activity model: user days kept in the warehouse, from which activity is answered without the events.

Tables in one schema, all kept by `update`, which touches only what changed:

    user_days   slice, user_id, day, prev_day, first_day            one row per active day; new days are appended
    gaps        slice, day, prev_day, users                         sums of user_days (prev_day is day on a first day)
    cohorts     slice, first_day, day, users                        sums of user_days
    month_days  slice, user_id, month, mask                         bit d − 1 is set when active on day d of the month
    settings    tz, dimension, events, as_of                        how the model is built

Each sum and mask is additive over user days, so an update adds the difference between the new and the old rows of
the users that it touches; late data gives the same tables as a rebuild.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from prodsense.behavior import daily
from prodsense.behavior import lifecycle as lifecycles
from prodsense.behavior import retention as retentions
from prodsense.behavior.cells import Gaps, rolling, triangle
from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.result import Answer, days_over
from prodsense.engines.base import quoted
from prodsense.errors import NotBuiltError, UsageError
from prodsense.metrics import periods

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

_KEYS = {
    "gaps": ("slice", "day", "prev_day"),
    "cohorts": ("slice", "first_day", "day"),
    "month_days": ("slice", "user_id", "month"),
}
#: What a user day adds to each table, and what the sum is called.
_ADDS = {
    "gaps": ("slice, day, COALESCE(prev_day, day) AS prev_day", "1", "users"),
    "cohorts": ("slice, first_day, day", "1", "users"),
    "month_days": (
        "slice, user_id, period_start(day, 'month') AS month",
        "CAST(POWER(2, days_between(period_start(day, 'month'), day)) AS BIGINT)",
        "mask",
    ),
}
#: Days active in the window → the name of the tier, from the lowest; a user is in the highest that is reached.
TIERS = {"casual": 1, "regular": 4, "frequent": 12, "power": 21}


@dataclass(frozen=True)
class Activity:
    """The activity model in schema `schema` of `engine`; make it with `build`, take it up again with `open`."""

    engine: Engine
    schema: str
    tz: str = "UTC"
    by: str = ""
    #: Names of the events that make a user active; none: all do.
    event: tuple[str, ...] = ()
    as_of: datetime = field(default=datetime.min)

    # -- keeping ---------------------------------------------------------------------------------------

    @classmethod
    def build(
        cls, events: EventTable, schema: str = "activity", *, by: str = "", event: str | Sequence[str] = (),
        tz: str = "UTC", engine: Engine | None = None,
    ) -> Activity:
        """Build the model of all `events` anew in `schema`, and return it.

        `event` names the events that make a user active, `by` the dimension to slice by.
        """
        names = (event,) if isinstance(event, str) else tuple(event)
        table = daily.one_dimension(events, by)
        model = cls(engine or events.engine, schema, tz, by and table.dimensions[0], names, events.as_of(None, tz))
        condition, params = daily.qualify(table, names)
        run = model.engine
        with run.transaction():
            run.replace(
                model._at("user_days"), daily.user_days_sql(daily.active_days_sql(table, tz, condition)), params
            )
            for name, (keys, value, total) in _ADDS.items():
                run.replace(
                    model._at(name),
                    f"SELECT {', '.join(_KEYS[name])}, CAST(SUM(added) AS BIGINT) AS {total} FROM"
                    f" (SELECT {keys}, {value} AS added FROM {model._quoted('user_days')}) AS rows_added"
                    f" GROUP BY {', '.join(_KEYS[name])}",
                )
            model._keep_settings()
        return model

    @classmethod
    def open(cls, engine: Engine, schema: str = "activity") -> Activity:
        """The model that was built in `schema`; NotBuiltError when there is none."""
        if engine.columns(f"{schema}.settings") is None:
            raise NotBuiltError(f"no activity model in {schema}; make one with Activity.build(events, {schema!r})")
        row = engine.query(f"SELECT * FROM {quoted(f'{schema}.settings')}").to_pylist()[0]
        import json

        return cls(engine, schema, row["tz"], row["dimension"], tuple(json.loads(row["events"])), row["as_of"])

    def update(self, events: EventTable, since: object = None, days: Iterable[object] = ()) -> Activity:
        """Take up what changed in `events`, and return the model as of now.

        Without arguments the newest stored day and all later ones are read again. `since` reads from that day
        on, `days` those days (late events, deletions). Days not read stay as they are.
        """
        late = sorted({periods.read_day(day, "days") for day in days})
        if since is not None:
            start: date | None = periods.read_day(since, "since")
        else:
            start = None if late else periods.local_day(self.as_of, self.tz)
        spans = [f"day IN ({', '.join(_date(day) for day in late)})"] if late else []
        spans += [f"day >= {_date(start)}"] if start is not None else []
        touched = f"({' OR '.join(spans)})"
        earliest = min([*late, *([start] if start is not None else [])])
        table = daily.one_dimension(events, self.by)
        condition, params = daily.qualify(table, self.event)
        # A bound on the time itself lets the engine skip what lies before; days are cut exactly after it.
        params["from_moment"] = periods.midnight(earliest, self.tz)
        where = " AND ".join(filter(None, ["event_time >= :from_moment", touched, condition]))
        if late and start is None:
            params["to_moment"] = periods.midnight(late[-1] + periods.DAY, self.tz)
            where += " AND event_time < :to_moment"
        moment = max(self.as_of, events.as_of(None, self.tz))
        with self.engine.transaction():
            self._restate(daily.active_days_sql(table, self.tz, where), params, touched)
            model = replace(self, as_of=moment)
            model._keep_settings()
        return model

    def _restate(self, fresh: str, params: Mapping[str, Any], touched: str) -> None:
        """Replace user days so that the touched days hold `fresh`, and add the difference to every sum."""
        run, days = self.engine, self._quoted("user_days")
        stage = {name: f"{self.schema}.{name}" for name in ("stage_fresh", "stage_users", "stage_old", "stage_new")}
        new, users, old = quoted(stage["stage_new"]), quoted(stage["stage_users"]), quoted(stage["stage_old"])
        run.replace(stage["stage_fresh"], fresh, params)
        read, stored = quoted(stage["stage_fresh"]), f"SELECT slice, user_id, day FROM {days} WHERE {touched}"
        # Only users whose days differ, and of them only the rows from the first difference on, can change.
        run.replace(
            stage["stage_users"],
            "SELECT slice, user_id, MIN(day) AS from_day FROM"
            f" ((SELECT slice, user_id, day FROM {read} EXCEPT {stored})"
            f" UNION ALL ({stored} EXCEPT SELECT slice, user_id, day FROM {read})) AS differences"
            " GROUP BY slice, user_id",
        )
        same = "u.slice = d.slice AND u.user_id = d.user_id"
        run.replace(
            stage["stage_old"], f"SELECT d.* FROM {days} AS d JOIN {users} AS u ON {same} AND d.day >= u.from_day"
        )
        run.replace(
            stage["stage_new"],
            f"WITH before AS (SELECT d.slice, d.user_id, MAX(d.day) AS day, MIN(d.first_day) AS first_day"
            f" FROM {days} AS d JOIN {users} AS u ON {same} AND d.day < u.from_day GROUP BY d.slice, d.user_id),"
            f" days AS (SELECT slice, user_id, day FROM {old} WHERE NOT {touched}"
            f" UNION ALL SELECT d.slice, d.user_id, d.day FROM {read} AS d JOIN {users} AS u"
            f" ON {same} AND d.day >= u.from_day)"
            " SELECT n.slice, n.user_id, n.day,"
            " COALESCE(LAG(n.day) OVER (PARTITION BY n.slice, n.user_id ORDER BY n.day), b.day) AS prev_day,"
            " COALESCE(b.first_day, MIN(n.day) OVER (PARTITION BY n.slice, n.user_id)) AS first_day"
            " FROM days AS n LEFT JOIN before AS b ON b.slice = n.slice AND b.user_id = n.user_id",
        )
        if self._any(old):
            run.delete(
                self._at("user_days"), f"(slice, user_id, day) IN (SELECT slice, user_id, day FROM {old})"
            )
        run.insert(self._at("user_days"), f"SELECT slice, user_id, day, prev_day, first_day FROM {new}")
        for name, (keys, value, total) in _ADDS.items():
            key = _KEYS[name]
            listed, match = ", ".join(key), " AND ".join(f"c.{k} = d.{k}" for k in key)
            run.merge(
                self._at(name),
                f"WITH changes AS (SELECT {listed}, CAST(SUM(added) AS BIGINT) AS added FROM"
                f" (SELECT {keys}, {value} AS added FROM {new} UNION ALL SELECT {keys}, -{value} AS added FROM {old})"
                f" AS parts GROUP BY {listed})"
                f" SELECT {', '.join(f'd.{k}' for k in key)}, COALESCE(c.{total}, 0) + d.added AS {total}"
                f" FROM changes AS d LEFT JOIN {self._quoted(name)} AS c ON {match} WHERE d.added <> 0",
                key,
            )
            run.delete(self._at(name), f"{total} = 0")
        for relation in stage.values():
            run.drop(relation)

    def _keep_settings(self) -> None:
        import json

        self.engine.replace(
            self._at("settings"),
            "SELECT CAST(:tz AS VARCHAR) AS tz, CAST(:dimension AS VARCHAR) AS dimension,"
            " CAST(:events AS VARCHAR) AS events, CAST(:as_of AS TIMESTAMP) AS as_of",
            {"tz": self.tz, "dimension": self.by, "events": json.dumps(self.event), "as_of": self.as_of},
        )

    def _at(self, name: str) -> str:
        return f"{self.schema}.{name}"

    def _quoted(self, name: str) -> str:
        return quoted(self._at(name))

    def _any(self, relation: str) -> bool:
        return self.engine.query(f"SELECT 1 AS one FROM {relation} LIMIT 1").num_rows > 0

    # -- answers ---------------------------------------------------------------------------------------

    def gaps(self) -> Gaps:
        """The gap cells (see `daily`)."""
        return Gaps.of(self.engine.query(f"SELECT slice, day, prev_day, users FROM {self._quoted('gaps')}"))

    def active_users(self, windows: Sequence[int] = (1, 7, 28)) -> Answer:
        """Distinct users active in the trailing `windows` days, at each day; 1, 7 and 28 are DAU, WAU and MAU.

        Columns: ``day``, the dimension, ``active_1d``, … and ``stickiness`` (active in the shortest window over
        those in the longest). Days before a slice's first event are not listed; windows that reach
        back before it hold what there is.
        """
        return active_users_of(self.gaps(), windows, self.by, self.as_of, self.tz)

    def lifecycle(self, grain: str = "day") -> Answer:
        """See `prodsense.behavior.lifecycle`."""
        return lifecycles.from_gaps(self.gaps(), grain, self.by, self.as_of, self.tz)

    def resurrection(self, grain: str = "day") -> Answer:
        """How long those who came back had been away: ``away`` (whole periods without activity), their share."""
        lifecycles.check_grain(grain)
        found: dict[tuple[str, int], int] = {}
        for name, day, before, users in self.gaps().returns():
            away = _steps(periods.start_of(before, grain), periods.start_of(day, grain), grain) - 1
            if away > 0:
                found[name, away] = found.get((name, away), 0) + users
        return _histogram(found, "away", self, "resurrection", f"Came back after so many {grain}s away")

    def retention(
        self, kind: str = "exact", days: int = 30, brackets: str | Sequence[tuple[int, int]] | None = None,
        grain: str = "day",
    ) -> Answer:
        """Retention by first active day: ``exact``, ``unbounded`` or in `brackets` (see `retention`).

        With a dimension, entry and return are both within the slice.
        """
        if kind not in ("exact", "unbounded"):
            raise UsageError(f"user days know no moments: {kind} retention needs the events (prodsense retention)")
        windows = retentions.windows_of(kind, days, brackets)
        over = days_over(self.as_of, self.tz)
        source = self._quoted("cohorts")
        given: dict[str, Any] = {
            "grain": grain, "by": (self.by,) if self.by else (), "kind": "bracketed" if brackets else kind,
            "as_of": self.as_of, "tz": self.tz, "dialect": self.engine.dialect,
        }
        if kind == "exact" and brackets is None and grain in ("day", "all"):
            cohorts = self.engine.query(f"SELECT slice, first_day, day, users FROM {source}")
            found = triangle(cohorts, days, over, grain, self.by)
            if found is not None:
                return retentions.answer_of(*found, notes=[f"from {source.replace(chr(34), '')}"], **given)
        if kind == "unbounded" or brackets is not None:
            source = self._quoted("user_days")
        cells = retentions.Cells(self._sizes(over), self._returned(windows, kind, brackets is not None, over))
        return retentions.triangle(cells, windows, notes=[f"from {source.replace(chr(34), '')}"], **given)

    def _key(self, name: str) -> tuple[str, ...]:
        return (name,) if self.by else ()

    def _sizes(self, over: date) -> dict[tuple[tuple[Any, ...], date, int], int]:
        sql = f"SELECT slice, day, users FROM {self._quoted('cohorts')} WHERE first_day = day"
        return {
            (self._key(row["slice"]), row["day"], (over - row["day"]).days): row["users"]
            for row in self.engine.query(sql).to_pylist()
        }

    def _returned(
        self, windows: Sequence[retentions.Window], kind: str, bracketed: bool, over: date
    ) -> dict[tuple[tuple[Any, ...], date, int, int], int]:
        last = max(w.closes for w in windows)
        gap = "days_between(first_day, day)"
        if bracketed:
            # The first active day of a bracket stands for the user: the one whose day before lies outside it.
            sql = " UNION ALL ".join(
                f"SELECT slice, first_day, {i} AS n, COUNT(*) AS users FROM {self._quoted('user_days')}"
                f" WHERE {gap} BETWEEN {w.first} AND {w.closes}"
                f" AND (prev_day IS NULL OR days_between(first_day, prev_day) < {w.first}) GROUP BY slice, first_day"
                for i, w in enumerate(windows)
            )
        elif kind == "unbounded":
            sql = (
                f"SELECT slice, first_day, LEAST({gap}, {last}) AS n, COUNT(*) AS users FROM (SELECT slice, user_id,"
                f" first_day, MAX(day) AS day FROM {self._quoted('user_days')} GROUP BY slice, user_id, first_day) AS"
                f" latest GROUP BY slice, first_day, LEAST({gap}, {last})"
            )
        else:
            sql = f"SELECT slice, first_day, {gap} AS n, users FROM {self._quoted('cohorts')} WHERE {gap} <= {last}"
        found: dict[tuple[tuple[Any, ...], date, int, int], int] = {}
        for name, first, n, users in zip(*self.engine.query(sql).to_pydict().values(), strict=True):
            seen = (over - first).days
            # Unbounded: whoever came last on day n came on or after every day up to it.
            for place in range(n + 1) if kind == "unbounded" else (n,):
                at = (self._key(name), first, seen, place)
                found[at] = found.get(at, 0) + users
        return found

    def active_days(self, window: int = 28, on: object = None) -> Answer:
        """How many of the trailing `window` days its users were active: the power curve (L7 with 7, L28 with 28).

        Columns: the dimension, ``days`` (1 to `window`), ``users``, ``share`` of the window's users, and
        ``at_least`` (share with so many days or more). `on` is the last day of the window, by default the newest.
        """
        counts: dict[tuple[str, int], int] = {}
        end = self._end(on)
        for name, _, days, users in self._day_counts(window, [end]):
            counts[name, days] = counts.get((name, days), 0) + users
        names = sorted({name for name, _ in counts}) or ([""] if not self.by else [])
        full = {(name, days): counts.get((name, days), 0) for name in names for days in range(1, window + 1)}
        answer = _histogram(full, "days", self, "active_days", f"Active days of the {window} up to {end}", rising=True)
        return replace(answer, extras={**answer.extras, "window": window, "on": end})

    def tiers(self, window: int = 28, on: object = None, bounds: Mapping[str, int] | None = None) -> Answer:
        """Users by tier at `on`: `bounds` maps a tier to the smallest number of active days of the window."""
        tiers = _tiers(bounds, window)
        counts: dict[tuple[str, str], int] = {}
        for name, _, days, users in self._day_counts(window, [self._end(on)]):
            tier = _tier(days, tiers)
            counts[name, tier] = counts.get((name, tier), 0) + users
        names = sorted({name for name, _ in counts})
        full = {(name, tier): counts.get((name, tier), 0) for name in names for tier in tiers}
        return _histogram(full, "tier", self, "tiers", f"Tiers at {self._end(on)}")

    def transitions(
        self, start: object, end: object = None, window: int = 28, bounds: Mapping[str, int] | None = None
    ) -> Answer:
        """Users by tier at `start` and at `end`: ``from``, ``to``, ``users``, ``share`` of those in ``from``.

        ``dormant`` were active before but not in the window; ``not yet`` had not been active by `start`.
        """
        tiers = _tiers(bounds, window)
        first, last = self._end(start), self._end(end)
        if first >= last:
            raise UsageError(f"transitions run from an earlier day to a later one, not from {first} to {last}")
        counts: dict[tuple[str, str, str], int] = {}
        known = self.engine.query(
            f"SELECT slice, CASE WHEN first_day <= {_date(first)} THEN 'dormant' ELSE 'not yet' END AS was,"
            f" CAST(SUM(users) AS BIGINT) AS users FROM {self._quoted('cohorts')} WHERE first_day = day"
            f" AND first_day <= {_date(last)}"
            f" GROUP BY slice, CASE WHEN first_day <= {_date(first)} THEN 'dormant' ELSE 'not yet' END"
        ).to_pylist()
        rest = {(row["slice"], row["was"]): row["users"] for row in known}
        for name, days_first, days_last, was_known, users in self._pairs(window, first, last):
            came = "dormant" if was_known else "not yet"
            rest[name, came] -= users
            was = _tier(days_first, tiers) if days_first else came
            at = (name, was, _tier(days_last, tiers) if days_last else "dormant")
            counts[at] = counts.get(at, 0) + users
        for (name, was), users in rest.items():
            if users:  # in neither window
                counts[name, was, "dormant"] = counts.get((name, was, "dormant"), 0) + users
        order = {tier: i for i, tier in enumerate(["not yet", "dormant", *tiers])}
        totals: dict[tuple[str, str], int] = {}
        for (name, was, _), users in counts.items():
            totals[name, was] = totals.get((name, was), 0) + users
        rows = [
            {**({self.by: name} if self.by else {}), "from": was, "to": then, "users": users,
             "share": users / totals[name, was]}
            for (name, was, then), users in sorted(
                counts.items(), key=lambda item: (item[0][0], order[item[0][1]], order[item[0][2]])
            )
        ]  # fmt: skip
        return _answer(rows, self, "transitions", f"Tiers from {first} to {last}", _transition_picture)

    def _end(self, on: object) -> date:
        return periods.read_day(on, "on") if on is not None else periods.local_day(self.as_of, self.tz)

    def _masks(self, window: int, end: date) -> str:
        """SQL of the number of a month row's days that lie in the window, over ``month_days``."""
        if not 1 <= window <= 366:
            raise UsageError(f"window should be 1 to 366 days, not {window}")
        months: dict[date, int] = {}
        for n in range(end.toordinal() - window + 1, end.toordinal() + 1):
            day = date.fromordinal(n)
            month = day.replace(day=1)
            months[month] = months.get(month, 0) | 1 << day.day - 1
        cases = " ".join(
            f"WHEN month = {_date(month)} THEN popcount(mask & {bits})" for month, bits in months.items()
        )
        return f"CASE {cases} ELSE 0 END"

    def _day_counts(self, window: int, ends: Sequence[date]) -> Iterable[tuple[str, date, int, int]]:
        """(slice, last day, active days, users) for each window that ends on one of `ends`; none for no days."""
        for end in ends:
            start = date.fromordinal(end.toordinal() - window + 1).replace(day=1)
            sql = (
                "SELECT slice, days, COUNT(*) AS users FROM (SELECT slice, user_id,"
                f" CAST(SUM({self._masks(window, end)}) AS BIGINT) AS days FROM {self._quoted('month_days')}"
                f" WHERE month BETWEEN {_date(start)} AND {_date(end)}"
                " GROUP BY slice, user_id) AS counted WHERE days > 0 GROUP BY slice, days"
            )
            for name, days, users in zip(*self.engine.query(sql).to_pydict().values(), strict=True):
                yield name, end, days, users

    def _pairs(self, window: int, first: date, last: date) -> Iterable[tuple[str, int, int, bool, int]]:
        """(slice, days in the window to `first`, in that to `last`, active by `first`, users)."""
        sql = (
            f"SELECT slice, before, after, known, COUNT(*) AS users FROM (SELECT slice, user_id,"
            f" CAST(SUM({self._masks(window, first)}) AS BIGINT) AS before,"
            f" CAST(SUM({self._masks(window, last)}) AS BIGINT) AS after,"
            f" MAX(CASE WHEN f.first_day <= {_date(first)} THEN 1 ELSE 0 END) AS known"
            f" FROM {self._quoted('month_days')} JOIN (SELECT slice AS s, user_id AS u, MIN(first_day) AS first_day"
            f" FROM {self._quoted('user_days')} GROUP BY slice, user_id) AS f ON f.s = slice AND f.u = user_id"
            f" GROUP BY slice, user_id) AS counted WHERE before + after > 0 GROUP BY slice, before, after, known"
        )
        for name, before, after, known, users in zip(*self.engine.query(sql).to_pydict().values(), strict=True):
            yield name, before, after, bool(known), users


def active_users_of(
    gaps: Gaps, windows: Sequence[int], by: str, as_of: datetime, tz: str, **about: Any
) -> Answer:
    """The answer of `active_users` from gap cells."""
    import pyarrow.compute as pc

    sizes = sorted({int(k) for k in windows})
    if not sizes or sizes[0] < 1:
        raise UsageError("windows are numbers of days from 1, such as 1,7,28")
    found = rolling(gaps, sizes, periods.local_day(as_of, tz))
    columns = {"day": found["day"], **({by: found["slice"]} if by else {})}
    columns |= {f"active_{k}d": found[k] for k in sizes}
    arrow = pa.table(columns)
    # Nobody in the longest window: there is no share, not even 0.
    longest = pc.cast(arrow[f"active_{sizes[-1]}d"], pa.float64())
    shown = pc.if_else(pc.equal(longest, 0), None, longest)
    arrow = arrow.append_column("stickiness", pc.divide(pc.cast(arrow[f"active_{sizes[0]}d"], pa.float64()), shown))
    units = {**{f"active_{k}d": "count" for k in sizes}, "stickiness": "share"}
    over = days_over(as_of, tz)
    listed = [{"day": day} for day in pc.unique(arrow["day"]).to_pylist()]
    return Answer(
        arrow=arrow, method="active_users", title="Active users", units=units, as_of=as_of, tz=tz,
        incomplete=daily.open_periods(listed, "day", "day", over), extras={"windows": sizes, "by": [by] if by else []},
        picture=_active_picture, **about,
    )


def active_users(
    events: Events, *, windows: Sequence[int] = (1, 7, 28), event: str | Sequence[str] = (), by: str = "",
    as_of: object = None, tz: str = "UTC",
) -> Answer:
    """Distinct users active in trailing windows, straight from events (see `Activity.active_users`)."""
    events = events_of(events)
    moment = events.as_of(as_of, tz)
    sql, params = daily.gaps_until(events, moment, event, by, tz)
    gaps = Gaps.of(events.engine.query(sql, params))
    return active_users_of(
        gaps, windows, by, moment, tz, notes=events.notes(), statements=((sql, params),), dialect=events.engine.dialect
    )


def _arrow(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = list(rows[0]) if rows else []
    return pa.table({name: [row[name] for row in rows] for name in names})


def _answer(rows: Sequence[Mapping[str, Any]], model: Activity, method: str, title: str, picture: Any) -> Answer:
    return Answer(
        arrow=_arrow(rows), method=method, title=title, as_of=model.as_of, tz=model.tz, picture=picture,
        units={"users": "count", "share": "share", "at_least": "share"}, dialect=model.engine.dialect,
        extras={"by": [model.by] if model.by else []},
    )


def _histogram(
    counts: Mapping[tuple[str, Any], int], column: str, model: Activity, method: str, title: str, rising: bool = False
) -> Answer:
    """Rows of slice, `column`, users and their share within the slice."""
    totals: dict[str, int] = {}
    for (name, _), users in counts.items():
        totals[name] = totals.get(name, 0) + users
    left = dict(totals)
    rows = []
    ordered = counts.items() if method == "tiers" else sorted(counts.items())
    for (name, value), users in ordered:
        row = {**({model.by: name} if model.by else {}), column: value, "users": users}
        row["share"] = users / totals[name] if totals[name] else None
        if rising:
            row["at_least"] = left[name] / totals[name] if totals[name] else None
            left[name] -= users
        rows.append(row)
    return _answer(rows, model, method, title, _histogram_picture(column))


def _histogram_picture(column: str) -> Any:
    def picture(answer: Answer, **options: Any) -> Any:
        from prodsense.charts.builders import bar, line

        settings: dict[str, Any] = {"unit": "share", "title": answer.title, "notes": answer.notes, **options}
        if answer.extras["by"]:
            settings["series"] = answer.extras["by"][0]
        return (bar if column == "tier" else line)(answer.rows, column, "share", **settings)

    return picture


def _active_picture(answer: Answer, **options: Any) -> Any:
    from prodsense.charts.builders import line

    windows, by = answer.extras["windows"], answer.extras["by"]
    settings: dict[str, Any] = {
        "unit": "count", "title": answer.title, "grain": "day", "notes": answer.notes,
        "incomplete": [str(day) for day in answer.incomplete], **options,
    }
    if by:
        return line(answer.rows, "day", f"active_{windows[-1]}d", series=by[0], **settings)
    long = [
        {"day": row["day"], "window": f"{k} days" if k > 1 else "1 day", "users": row[f"active_{k}d"]}
        for row in answer.rows for k in windows
    ]
    return line(long, "day", "users", series="window", **settings)


def _transition_picture(answer: Answer, **options: Any) -> Any:
    from prodsense.charts.builders import heatmap

    if answer.extras["by"]:
        raise UsageError("transitions of several slices cannot share one picture: build the model without a dimension")
    return heatmap(answer.rows, "to", "from", "share", unit="share", title=answer.title, **options)


def _tiers(bounds: Mapping[str, int] | None, window: int) -> dict[str, int]:
    """Tiers from the lowest; UsageError unless they rise from 1 within the window."""
    tiers = dict(sorted((bounds or TIERS).items(), key=lambda item: item[1]))
    values = list(tiers.values())
    if not values or values[0] != 1 or len(set(values)) != len(values) or values[-1] > window:
        raise UsageError(f"tiers begin with 1 day, differ, and end within the window of {window} days, not {tiers}")
    return tiers


def _tier(days: int, tiers: Mapping[str, int]) -> str:
    return [name for name, least in tiers.items() if days >= least][-1]


def _steps(first: date, last: date, grain: str) -> int:
    """Periods from the one that starts on `first` to that on `last`."""
    if grain in ("day", "week"):
        return (last - first).days // (7 if grain == "week" else 1)
    months = (last.year - first.year) * 12 + last.month - first.month
    return months // {"month": 1, "quarter": 3, "year": 12}[grain]


def _date(day: date) -> str:
    return f"CAST('{day.isoformat()}' AS DATE)"
