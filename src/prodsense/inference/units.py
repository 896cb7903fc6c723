"""What each unit adds to a declared metric, derived from the metric's own definition.

Every sum and count in a metric's SQL adds up over units: SUM(x) of all rows is the sum of the units' SUM(x). So the
metric of an arm is its expression over the units' sums, and the units' sums are one GROUP BY of the metric's source.
Means and shares are a sum over a count. Aggregates that do not add up (MIN, MAX, rolling counts) are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.errors import UsageError
from prodsense.inference.formula import Formula
from prodsense.metrics.definitions import Definition, aggregates, define, derived, leaves
from prodsense.metrics.rows import Context, Rows

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.metrics.scope import Scope


@dataclass(frozen=True)
class Term:
    """One thing that adds up over units: `column` of the source's rows, summed or counted distinct."""

    source: int
    column: str
    distinct: bool = False


@dataclass
class Source:
    """The rows of one relation that metrics read, with a column for each thing that adds up."""

    rows: Rows
    definition: Definition
    unit: exp.Expression
    items: dict[str, exp.Expression] = field(default_factory=dict)

    @property
    def time(self) -> str:
        return self.definition.time

    def select(self, matures: int) -> exp.Select:
        """One row a row of the source: ``unit``, ``moment`` (where it has a time), and the items."""
        from sqlglot import exp

        shown = [exp.alias_(exp.Anonymous(this="text_of", expressions=[self.unit.copy()]), "unit")]
        if self.time:
            shown.append(exp.alias_(self.rows.column(self.time), "moment"))
        shown += [exp.alias_(item, name) for name, item in self.items.items()]
        return self.rows.select(shown, self.rows.conditions(matures=matures))


@dataclass(frozen=True)
class Derived:
    """A metric over units: the terms its formula reads, in order; or the quantile of a row's value."""

    metric: Metric
    terms: tuple[Term, ...]
    formula: Formula
    quantile: float | None = None


class UnitMetrics:
    """Gathers the sources and terms of several metrics for units that `key` identifies."""

    def __init__(self, scope: Scope, context: Context, key: str):
        self.scope = scope
        self.context = context
        self.key = key
        self.sources: list[Source] = []
        self._shapes: list[tuple[str, str, int]] = []

    def add(self, metric: Metric) -> Derived:
        """The metric over units; UsageError with the reason where there is no such thing."""
        from sqlglot import exp

        parts: dict[str, exp.Expression] = {}
        terms: list[Term] = []
        found = leaves(self.scope, metric)
        for leaf in found:
            definition = define(self.scope, leaf)
            _refuse(leaf, metric)
            source = self._source(definition)
            tree = exp.Paren(this=definition.value.copy())
            calls = aggregates(tree)
            if any(_is_quantile(call) for call in calls):
                return self._quantile(metric, definition, calls, source)
            for call in calls:
                above = call.parent if isinstance(call.parent, exp.Filter) else None
                replaced = self._term(call, above, definition, source, terms)
                (above or call).replace(replaced)
            parts[leaf.name] = tree.this if not isinstance(tree.this, (exp.Binary, exp.Case)) else tree
        return Derived(metric, tuple(terms), Formula.of(derived(self.scope, metric, parts), len(terms)))

    def matures(self, source: int) -> int:
        return self._shapes[source][2]

    def _source(self, definition: Definition) -> int:
        shape = (definition.relation.name, definition.time, definition.metric.matures)
        if shape not in self._shapes:
            rows = Rows(self.context, definition.relation, definition.time)
            home = self._home(definition.relation.name, definition.metric.name)
            unit = rows.dimension(Dimension("unit", "The unit of the experiment.", {home: self.key}))
            self._shapes.append(shape)
            self.sources.append(Source(rows, definition, unit))
        return self._shapes.index(shape)

    def _home(self, source: str, metric: str) -> str:
        """The nearest relation with the unit's column: the source itself, or one it leads to, many to one."""
        for level in self._levels(source):
            for name in level:
                if self.key in self.scope.relation(name).columns:
                    return name
        raise UsageError(
            f"{metric} cannot be read by {self.key}: neither its source {source} nor a relation that it leads to"
            f" many to one has that column; name another unit, or a metric of the units' own rows"
        )

    def _levels(self, source: str) -> Iterator[list[str]]:
        seen, level = {source}, [source]
        while level:
            yield level
            level = list(dict.fromkeys(
                r.table for name in level for r in self.scope.references(name) if r.table not in seen
            ))
            seen |= set(level)

    def _term(
        self, call: exp.Expression, above: exp.Filter | None, definition: Definition, source: int, terms: list[Term]
    ) -> exp.Expression:
        """Turn an aggregate into columns that add up, and return what stands for it."""
        from sqlglot import exp

        rows = self.sources[source].rows
        given = (definition.where, above.expression.this if above else None)
        conditions = [rows.own(condition) for condition in given if condition is not None]

        def put(value: exp.Expression, distinct: bool = False) -> exp.Column:
            if conditions:
                value = exp.Case(ifs=[exp.If(this=exp.and_(*[c.copy() for c in conditions]), true=value)])
            terms.append(Term(source, self._item(source, value), distinct))
            return exp.column(f"c{len(terms) - 1}")

        def known(value: exp.Expression, then: exp.Expression) -> exp.Case:
            there = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
            return exp.Case(ifs=[exp.If(this=there, true=then)])

        one = exp.Literal.number(1)
        name = call.name.lower() if isinstance(call, exp.Anonymous) else ""
        inner = call.expressions[0] if name else call.this
        if isinstance(call, exp.Count) and isinstance(inner, exp.Distinct):
            if len(inner.expressions) != 1:
                raise UsageError(f"{definition.metric.name} counts several columns at once; no experiment can read it")
            return put(rows.own(inner.expressions[0]), distinct=True)
        if isinstance(call, exp.Count):
            return put(one if isinstance(inner, exp.Star) else known(rows.own(inner), one))
        if isinstance(call, exp.CountIf):
            return put(exp.Case(ifs=[exp.If(this=rows.own(inner), true=one)]))
        if isinstance(call, exp.Sum) and not isinstance(inner, exp.Distinct):
            return put(rows.own(inner))
        if isinstance(call, exp.Avg) or name in ("mean", "share"):
            value: exp.Expression = rows.own(inner)
            if name == "share":
                zero = exp.Literal.number(0)
                value = exp.Case(ifs=[exp.If(this=value, true=one),
                                      exp.If(this=exp.Not(this=exp.Paren(this=value.copy())), true=zero)])
            top, bottom = put(value), put(known(value, one.copy()))
            return exp.Anonymous(this="ratio", expressions=[top, bottom])
        raise UsageError(
            f"{definition.metric.name}: {call.sql('duckdb')} does not add up over units, so no experiment can read it;"
            " use a sum, count, mean, share, ratio or quantile"
        )

    def _item(self, source: int, value: exp.Expression) -> str:
        """The column of the source's rows that holds `value`."""
        items = self.sources[source].items
        for name, known in items.items():
            if known == value:
                return name
        name = f"x{len(items)}"
        items[name] = value
        return name

    def _quantile(
        self, metric: Metric, definition: Definition, calls: list[exp.Expression], source: int
    ) -> Derived:
        from sqlglot import exp

        call = definition.value
        if len(calls) != 1 or not metric.source or not _is_quantile(call):
            raise UsageError(f"{metric.name} computes with a quantile; an experiment reads a quantile alone")
        q = float((call.args["quantile"] if isinstance(call, exp.Quantile) else call.expressions[1]).this)
        inner = call.this if isinstance(call, exp.Quantile) else call.expressions[0]
        rows = self.sources[source].rows
        item: exp.Expression = rows.own(inner)
        if definition.where is not None:
            item = exp.Case(ifs=[exp.If(this=rows.own(definition.where), true=item)])
        return Derived(metric, (Term(source, self._item(source, item)),), Formula.mean(), q)


def _is_quantile(call: exp.Expression) -> bool:
    from sqlglot import exp

    return isinstance(call, exp.Quantile) or (isinstance(call, exp.Anonymous) and call.name.lower() == "quantile")


def _refuse(leaf: Metric, metric: Metric) -> None:
    for what, says in (
        ("rolling", f"counts over trailing {leaf.rolling} days"),
        ("per", f"is the mean of values a {leaf.per}"),
        ("last", "is the value of the last day"),
    ):
        if getattr(leaf, what):
            raise UsageError(f"{metric.name}: {leaf.name} {says}, which does not add up over units; no experiment can"
                             " read it")
    if leaf.share_of is not None:
        raise UsageError(f"{metric.name} is a share of a total over slices; no experiment can read it")
