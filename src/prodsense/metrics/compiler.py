"""Turn a request into one SQL statement.

Each source aggregates apart, in its own CTE; several meet on period and slices: the union of their keys, then
a left join to each, null-safe, so that no row of one can repeat rows of another. Derived metrics are computed
where all their parts meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prodsense.contracts.sql import placeholders
from prodsense.contracts.vocabulary import Metric
from prodsense.engines.dialect import render
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.definitions import ORDER, Definition, define, derived, focused, leaves, watched
from prodsense.metrics.filters import read_filter
from prodsense.metrics.names import column, ident
from prodsense.metrics.parts import MATCHED, Ctes, Part, shape_of, write
from prodsense.metrics.rows import Context
from prodsense.metrics.scope import Request, Scope

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.engines.base import Engine


@dataclass(frozen=True)
class Plan:
    """A compiled request.

    `tree` is the statement in the source dialect, `probe` asks for the first and newest moment of the sources.
    The result has the columns ``period`` (but for grain all), `by`, `metrics` and, where `sparse`, one more that
    counts the rows any metric read.
    """

    request: Request
    tree: exp.Query
    probe: exp.Query | None
    metrics: tuple[Metric, ...]
    by: tuple[str, ...]
    grain: str
    literals: Mapping[str, Any]
    notes: tuple[str, ...]
    sparse: bool
    matures: int
    sources: tuple[str, ...]

    @cached_property
    def _used(self) -> frozenset[str]:
        return frozenset(placeholders(self.tree))

    @property
    def needs_first(self) -> bool:
        """Whether the first moment of the sources must be known to bind the parameters."""
        return "first_day" in self._used and self.request.since is None

    def params(self, as_of: datetime, first: date | None = None) -> dict[str, Any]:
        """Values of the statement's parameters for a moment `as_of` (UTC) and the sources' first day."""
        request, tz = self.request, self.request.tz
        today = periods.local_day(as_of, tz)
        last = min(today, request.until - periods.DAY) if request.until else today
        values: dict[str, Any] = {**self.literals, "as_of": as_of, "as_of_day": today, "last_day": last}
        for name in self._used:
            head, _, days = name.removesuffix("_day").partition("_")
            if head == "matured":
                # A row counts once its window has passed in full: a DATE may mean any moment of its day.
                values[f"matured_{days}"] = as_of - timedelta(days=int(days))
                whole = periods.local_day(as_of + periods.TICK, tz) if as_of < datetime.max else today
                values[f"matured_{days}_day"] = whole - timedelta(days=int(days) + 1)
        until = request.until or today + periods.DAY
        values |= {"until": periods.midnight(until, tz), "until_day": until}
        start = self.read_since
        if request.since and start:
            cut = periods.start_of(request.since, self.grain) if self.grain != "all" else request.since
            for name, day in (("since", start), ("shown", request.since), ("cut", cut)):
                values |= {name: periods.midnight(day, tz), f"{name}_day": day}
            values["first_period"] = start if self.grain == "all" else periods.start_of(start, self.grain)
            for name in self._used:
                head, _, days = name.removesuffix("_day").partition("_")
                if head == "rolling":
                    day = start - timedelta(days=int(days) - 1)
                    values |= {f"rolling_{days}": periods.midnight(day, tz), f"rolling_{days}_day": day}
                    first = min(first, day) if first else day
        values["first_day"] = min(first or last, last)
        return {name: value for name, value in values.items() if name in self._used}

    @property
    def read_since(self) -> date | None:
        """First day that is read: `since`, or earlier where an earlier period is compared with."""
        since, grain = self.request.since, self.grain
        if since is None or grain == "all" or not self.request.compare:
            return since
        start = periods.start_of(since, grain)
        if self.request.compare == "previous":
            return periods.shift(start, grain, -1)
        return periods.year_before(start, grain) or periods.shift(start, "day", -366)

    def moved(self, since: date, until: date) -> Plan:
        """The same plan over another window."""
        return replace(self, request=replace(self.request, since=since, until=until))

    def sql(self, dialect: str, params: Mapping[str, Any] | None = None) -> str:
        """The formatted statement in an engine's dialect; values written in where `params` are given."""
        return render(inline(self.tree, params) if params is not None else self.tree, dialect, pretty=True)


def inline(tree: exp.Expression, params: Mapping[str, Any]) -> exp.Expression:
    """A copy of `tree` with parameters written out as literals, to show and to copy."""
    from sqlglot import exp

    def replace(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Placeholder) or node.name not in params:
            return node
        value = params[node.name]
        if isinstance(value, datetime):
            return exp.cast(exp.Literal.string(value.isoformat(" ")), "TIMESTAMP")
        if isinstance(value, date):
            return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
        return exp.convert(value)

    return tree.transform(replace)


@dataclass
class _Plan:
    """Parts being gathered for a request."""

    scope: Scope
    request: Request
    grain: str
    by: tuple[str, ...]
    parts: dict[Any, Part] = field(default_factory=dict)
    columns: dict[str, exp.Expression] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)

    def add(self, metric: Metric) -> None:
        """Place a metric with a source in the part of its shape, and remember where its value is found."""
        from sqlglot import exp

        definition = define(self.scope, metric)
        self.definitions[metric.name] = definition
        part = self._place(definition, metric.name, self.by)
        value: exp.Expression = column(metric.name, table=part.name)
        if metric.share_of is not None:
            kept = tuple(name for name in self.by if name in {self.scope.bare(d) for d in metric.share_of})
            value = exp.Anonymous(this="ratio", expressions=[value, self._total(definition, part, kept)])
        self.columns[metric.name] = value

    def _total(self, definition: Definition, part: Part, kept: tuple[str, ...]) -> exp.Expression:
        """The total that a share is of: over the period and the dimensions `kept`.

        Sums and counts add up, so a window over the slices does; what does not (distinct, mean) is
        aggregated once more without the other dimensions.
        """
        from sqlglot import exp

        name = definition.metric.name
        if definition.additive:
            keys = [column("period", table=part.name)] if self.grain != "all" else []
            keys += [column(k, table=part.name) for k in kept]
            summed = exp.Sum(this=column(name, table=part.name))
            return exp.Window(this=summed, partition_by=keys or None)
        total = self._place(definition, f"{name}_total", kept)
        return column(f"{name}_total", table=total.name)

    def _place(self, definition: Definition, output: str, by: tuple[str, ...]) -> Part:
        shape = shape_of(definition, self.grain, by)
        if shape not in self.parts:
            base = definition.relation.bare + {"plain": ""}.get(shape.form, f"_{shape.form}")
            base += f"_{shape.step}" if shape.form == "per" else ""
            base += f"_matured_{shape.matures}" if shape.matures else ""
            base += "_total" if shape.by != self.by else ""
            taken = {part.name for part in self.parts.values()}
            name, n = base, 1
            while name in taken:
                n += 1
                name = f"{base}_{n}"
            self.parts[shape] = Part(shape, name)
        self.parts[shape].measures[output] = definition
        return self.parts[shape]


def compile(request: Request, scope: Scope) -> Plan:
    """Compile a request against a scope.

    Raises UsageError for what the request asks wrongly (unknown names, a slice that would repeat rows, a grain
    that a metric does not have) and SqlError for a declaration that is wrong itself.
    """
    metrics = tuple(scope.metric(name) for name in request.metrics)
    by = tuple(scope.dimension(name).name for name in request.by)
    names = [m.name for m in metrics]
    if clash := ({"period"} | set(by)) & set(names):
        raise UsageError(f"{clash.pop()} is asked for as a metric and names a column of the result already")
    grain = request.grain or max((m.grain for m in metrics), key=ORDER.__getitem__)
    _check_compare(request, grain)
    plan = _Plan(scope, request, grain, by)
    wanted = {leaf.name: leaf for metric in metrics for leaf in leaves(scope, metric)}
    wheres = read_filter(request.where) if request.where.strip() else None
    asked = {*by, *(_names_in(wheres) if wheres is not None else ())}
    for leaf in wanted.values():
        plan.add(focused(leaf, asked))
    context = Context(scope, request, grain, wheres)
    sparse = bool(by) and any(part.sparse for part in plan.parts.values() if part.shape.by == by)
    ctes: Ctes = []
    selects: dict[str, exp.Select] = {}
    for part in plan.parts.values():
        helpers, select = write(part, context, sparse and part.shape.by == by)
        ctes += helpers
        selects[part.name] = select
    tree = _meet(plan, metrics, ctes, selects, sparse)
    if request.tz != "UTC":
        context.note(f"days and periods are those of {request.tz}")
    timed = {(d.relation.name, d.time): d.relation.is_day(d.time) for d in plan.definitions.values() if d.time}
    seen = [watched(scope, metric) for metric in wanted.values() if metric.as_of]
    also = {(relation.name, name): relation.is_day(name) for relation, name in seen}
    return Plan(
        request, tree, probe_of(timed, also), metrics, by, grain, dict(context.literals.values), tuple(context.notes),
        sparse, max((d.metric.matures for d in plan.definitions.values()), default=0),
        tuple(dict.fromkeys(d.relation.name for d in plan.definitions.values())),
    )


def _names_in(tree: exp.Expression) -> set[str]:
    from sqlglot import exp

    return {column.name.lower() for column in tree.find_all(exp.Column)}


def _check_compare(request: Request, grain: str) -> None:
    if request.compare and grain == "all" and request.since is None:
        raise UsageError("compare at grain all needs --since, so that there is a window to compare with")


def _meet(
    plan: _Plan, metrics: tuple[Metric, ...], ctes: Ctes, selects: dict[str, exp.Select], sparse: bool
) -> exp.Query:
    """The final SELECT over the parts: directly the only one, or their union of keys with a join to each."""
    from sqlglot import exp

    keys = [*([] if plan.grain == "all" else ["period"]), *plan.by]
    only = len(selects) == 1
    name = next(iter(selects))
    if only and all(m.source and m.share_of is None for m in metrics):
        select = selects[name]
        return _with(_ordered(_columns_in_order(select, [*keys, *(m.name for m in metrics)], sparse), len(keys)), ctes)
    ctes = [*ctes, *selects.items()]
    if only:
        body = exp.select(*(column(k, table=name) for k in keys)).from_(exp.to_table(name))
    else:
        body = _joined(plan, keys, ctes)
    values = [exp.alias_(derived(plan.scope, metric, plan.columns), ident(metric.name)) for metric in metrics]
    body = body.select(*values)
    if sparse:
        flags = [
            exp.Coalesce(this=column(MATCHED, table=part.name), expressions=[exp.Literal.number(0)])
            for part in plan.parts.values()
            if part.shape.by == plan.by
        ]
        total: exp.Expression = flags[0]
        for part_flag in flags[1:]:
            total = exp.Add(this=total, expression=part_flag)
        body = body.select(exp.alias_(total, MATCHED))
    return _with(_ordered(body, len(keys)), ctes)


def _joined(plan: _Plan, keys: list[str], ctes: Ctes) -> exp.Select:
    """SELECT the keys that any part has, each part left-joined on them."""
    from sqlglot import exp

    parts = list(plan.parts.values())
    if not keys:
        body = exp.Select().from_(exp.to_table(parts[0].name))
        for part in parts[1:]:
            body = body.join(exp.to_table(part.name), join_type="cross")
        return body
    full = [part for part in parts if part.shape.by == plan.by]
    start = full[0].name
    if len(full) > 1:
        start = "all_keys"
        selects = [exp.select(*(column(k) for k in keys)).from_(exp.to_table(part.name)) for part in full]
        ctes.append((start, exp.union(*selects) if len(selects) > 1 else selects[0]))
    body = exp.select(*(column(k, table=start) for k in keys)).from_(exp.to_table(start))
    for part in parts:
        if part.name == start:
            continue
        shared = [k for k in keys if k == "period" or k in part.shape.by]
        # period is never NULL; a slice may be, and NULL meets NULL.
        on = [
            (exp.EQ if k == "period" else exp.NullSafeEQ)(
                this=column(k, table=start), expression=column(k, table=part.name)
            )
            for k in shared
        ]
        if on:
            body = body.join(exp.to_table(part.name), on=exp.and_(*on), join_type="left")
        else:
            body = body.join(exp.to_table(part.name), join_type="cross")
    return body


def _columns_in_order(select: exp.Select, names: list[str], flag: bool) -> exp.Select:
    """Put the select's columns in the request's order (they are grouped by position, keys first already)."""
    by_name = {item.alias_or_name: item for item in select.selects}
    select.set("expressions", [by_name[name] for name in [*names, *([MATCHED] if flag else [])]])
    return select


def _ordered(select: exp.Select, keys: int) -> exp.Select:
    from sqlglot import exp

    if keys:
        order = [exp.Ordered(this=exp.Literal.number(i + 1), nulls_first=False) for i in range(keys)]
        select = select.order_by(*order)
    return select


def _with(select: exp.Select, ctes: Ctes) -> exp.Query:
    for name, query in ctes:
        select = select.with_(name, as_=query, copy=False)
    return select


def probe_of(
    timed: dict[tuple[str, str], bool], also: Mapping[tuple[str, str], bool] = MappingProxyType({})
) -> exp.Query | None:
    """First and newest moment of each source's time, one row a source; of what is watched beside, the newest alone."""
    from sqlglot import exp

    if not timed:
        return None
    selects = []
    for (relation, time), is_day in {**also, **timed}.items():
        schema, _, name = relation.rpartition(".")
        moment = exp.column(time)
        first: exp.Expression = exp.Min(this=moment.copy()) if (relation, time) in timed else exp.Null()
        selects.append(
            exp.select(
                exp.alias_(exp.cast(first, "TIMESTAMP"), "first_moment"),
                exp.alias_(exp.cast(exp.Max(this=moment), "TIMESTAMP"), "newest_moment"),
                exp.alias_(exp.convert(is_day), "is_day"),
            ).from_(exp.table_(name, db=schema))
        )
    query: exp.Query = selects[0]
    for other in selects[1:]:
        query = exp.union(query, other, distinct=False)
    return query


def newest(engine: Engine, plan: Plan) -> tuple[datetime | None, date | None]:
    """The newest moment of a plan's sources (a DATE means the end of that day) and their first local day."""
    if plan.probe is None:
        return None, None
    tz = plan.request.tz
    moments, days = [], []
    for row in engine.query(plan.probe).to_pylist():
        earliest, latest = row["first_moment"], row["newest_moment"]
        if latest is None:
            continue
        moments.append(periods.end_of_day(latest.date(), tz) if row["is_day"] else latest)
        if earliest is not None:
            days.append(earliest.date() if row["is_day"] else periods.local_day(earliest, tz))
    return max(moments, default=None), min(days, default=None)


