"""Read metric declarations: which form one has, and its parsed expressions with names checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from prodsense.contracts.sql import parse, placeholders, refuse_clock
from prodsense.contracts.vocabulary import Metric
from prodsense.errors import SqlError, did_you_mean
from prodsense.metrics.scope import Relation, Scope

if TYPE_CHECKING:
    from sqlglot import exp

#: Macros of `engines.dialect` that aggregate rows.
AGGREGATES = frozenset({"mean", "share", "quantile", "most_common", "gini"})

#: Grains from fine to coarse.
ORDER = {"day": 0, "week": 1, "month": 2, "quarter": 3, "year": 4, "all": 5}


def is_aggregate(node: exp.Expression) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.AggFunc) or (isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATES)


def aggregates(tree: exp.Expression) -> list[exp.Expression]:
    """The outermost aggregate calls in `tree`."""
    return [
        node for node in tree.walk(prune=is_aggregate) if is_aggregate(node)
    ]


@dataclass(frozen=True)
class Definition:
    """A metric with an own source: its parsed aggregate and the condition on rows, unqualified."""

    metric: Metric
    relation: Relation
    time: str
    value: exp.Expression
    where: exp.Expression | None

    @property
    def is_count(self) -> bool:
        """Whether it counts, and so gives 0 rather than NULL over no rows at all."""
        from sqlglot import exp

        return any(isinstance(node, (exp.Count, exp.CountIf, exp.ApproxDistinct)) for node in self.value.walk())

    @property
    def additive(self) -> bool:
        """Whether slices add up to the total: a plain sum or count of rows."""
        from sqlglot import exp

        node = self.value.this if isinstance(self.value, exp.Filter) else self.value
        return isinstance(node, (exp.Sum, exp.CountIf)) or (
            isinstance(node, exp.Count) and not isinstance(node.this, exp.Distinct)
        )

    @property
    def counts(self) -> bool:
        """Whether the value is a count or a sum and nothing more, so that where nothing is there it is 0."""
        from sqlglot import exp

        node = self.value.this if isinstance(self.value, exp.Filter) else self.value
        return isinstance(node, (exp.Sum, exp.CountIf, exp.Count))

    def subject(self) -> exp.Expression:
        """What a rolling metric counts: x of ``count(distinct x)``."""
        from sqlglot import exp

        node = self.value
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct) and len(node.this.expressions) == 1:
            return node.this.expressions[0]
        raise SqlError(f"{self.metric.name}: a rolling metric must read count(distinct x); conditions go to `where`")


def define(scope: Scope, metric: Metric) -> Definition:
    """Parse an aggregate metric and check its names against its source; SqlError says what is wrong."""
    metric = focused(metric)
    origin = f"{scope.pack}.{metric.name}"
    relation = scope.relation(metric.source, origin)
    value = parse(metric.sql, origin)
    _check_names(value, relation, origin)
    found = aggregates(value)
    if not found:
        raise SqlError(f"{origin}: {metric.sql!r} aggregates nothing; write sum(x), count(*), mean(x), ratio(...)")
    _check_columns_inside(value, found, origin)
    where = None
    if metric.where:
        where = parse(metric.where, origin)
        _check_names(where, relation, origin)
        if aggregates(where):
            raise SqlError(f"{origin}: where is a condition on rows and holds no aggregate")
    time = metric.time or relation.time
    if time and time not in relation.columns:
        raise SqlError(f"{origin}: {relation.name} has no column {time}.{did_you_mean(time, set(relation.columns))}")
    if metric.as_of:
        watched(scope, metric)
    definition = Definition(metric, relation, time, value, where)
    _check_modifiers(definition, origin)
    return definition


def focused(metric: Metric, asked: Collection[str] = ()) -> Metric:
    """`metric` with its focus among its conditions, or without it where its dimension is among those `asked`."""
    if metric.focus is None:
        return metric
    dimension, condition = metric.focus
    if dimension not in asked:
        where = f"({metric.where}) AND ({condition})" if metric.where else condition
        return replace(metric, where=where, focus=None)
    return replace(metric, focus=None)


def _check_names(tree: exp.Expression, relation: Relation, origin: str) -> None:
    from sqlglot import exp

    refuse_clock(tree, origin)
    for node in tree.walk():
        if isinstance(node, exp.Query):
            raise SqlError(f"{origin}: a metric reads its source only; put the subquery in a model")
        if isinstance(node, exp.Column):
            name = node.name.lower()
            if node.table or name not in relation.columns:
                raise SqlError(
                    f"{origin}: {relation.name} has no column {node.sql('duckdb')}."
                    f"{did_you_mean(name, set(relation.columns))}"
                )
    if unknown := placeholders(tree) - {"as_of"}:
        raise SqlError(f"{origin}: a metric knows no parameter but :as_of, not :{', :'.join(sorted(unknown))}")


def _check_columns_inside(tree: exp.Expression, found: list[exp.Expression], origin: str) -> None:
    from sqlglot import exp

    inside = {id(c) for a in found for c in a.find_all(exp.Column)}
    inside |= {id(c) for f in tree.find_all(exp.Filter) for c in f.expression.find_all(exp.Column)}
    for column in tree.find_all(exp.Column):
        if id(column) not in inside:
            raise SqlError(f"{origin}: {column.name} stands outside any aggregate")


def _check_modifiers(definition: Definition, origin: str) -> None:
    metric = definition.metric
    timed = {"rolling": metric.rolling, "per": metric.per, "last": metric.last, "matures": metric.matures}
    used = [name for name, value in timed.items() if value]
    if used and not definition.time:
        raise SqlError(f"{origin}: {used[0]} needs a time, and {definition.relation.name} has none")
    for a, b in (("rolling", "last"), ("rolling", "matures"), ("per", "last")):
        if timed[a] and timed[b]:
            raise SqlError(f"{origin}: {a} and {b} exclude each other")
    if metric.rolling:
        definition.subject()
        if metric.share_of is not None:
            raise SqlError(f"{origin}: rolling and share_of exclude each other")
    if metric.share_of is not None and (metric.per or metric.last):
        raise SqlError(f"{origin}: share_of takes a plain aggregate")
    if metric.rolling < 0 or metric.matures < 0:
        raise SqlError(f"{origin}: days count from 1")


def watched(scope: Scope, metric: Metric) -> tuple[Relation, str]:
    """The relation and column that `as_of` of a metric names; SqlError when there is no such."""
    origin = f"{scope.pack}.{metric.name}"
    name, _, column = metric.as_of.rpartition(".")
    if not name:
        raise SqlError(f"{origin}: as_of reads relation.column, not {metric.as_of!r}")
    relation = scope.relation(name, origin)
    if column not in relation.columns:
        hint = did_you_mean(column, set(relation.columns))
        raise SqlError(f"{origin}: {relation.name} has no column {column}.{hint}")
    return relation, column


def leaves(scope: Scope, metric: Metric, chain: tuple[str, ...] = ()) -> list[Metric]:
    """The aggregate metrics that `metric` is made of (itself, when it is one), each once, in order of use."""
    if metric.name in chain:
        raise SqlError(f"{scope.pack}.{metric.name}: derived from itself ({' → '.join((*chain, metric.name))})")
    if metric.source:
        return [metric]
    found: dict[str, Metric] = {}
    for name in parts_of(scope, metric):
        for leaf in leaves(scope, scope.metrics[name], (*chain, metric.name)):
            found[leaf.name] = leaf
    return list(found.values())


def parts_of(scope: Scope, metric: Metric) -> tuple[str, ...]:
    """Names of the metrics that a derived metric's expression reads; SqlError for unknown ones."""
    origin = f"{scope.pack}.{metric.name}"
    names = _names(metric.sql, origin)
    for name in names:
        if name not in scope.metrics:
            raise SqlError(f"{origin}: no metric named {name}.{did_you_mean(name, set(scope.metrics))}")
    if not names:
        raise SqlError(f"{origin}: has no source and names no metric")
    if metric.rolling or metric.per or metric.last or metric.matures or metric.where or metric.as_of \
            or metric.share_of is not None or metric.focus:
        raise SqlError(
            f"{origin}: is derived; rolling, per, last, matures, as_of, share_of, focus and where belong to its parts"
        )
    return names


@lru_cache(maxsize=1024)
def _names(sql: str, origin: str) -> tuple[str, ...]:
    from sqlglot import exp

    tree = parse(sql, origin)
    refuse_clock(tree, origin)
    if tree.find(exp.Query) or aggregates(tree):
        raise SqlError(f"{origin}: a derived metric is an expression over metrics; aggregates need a `source`")
    if placeholders(tree) - {"as_of"}:
        raise SqlError(f"{origin}: a metric knows no parameter but :as_of")
    return tuple(dict.fromkeys(column.name.lower() for column in tree.find_all(exp.Column)))


def derived(scope: Scope, metric: Metric, column: dict[str, exp.Expression]) -> exp.Expression:
    """A metric's value over the columns of its leaves, derived metrics written out."""
    from sqlglot import exp

    if metric.source:
        return column[metric.name].copy()

    def replace(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Column):
            return node
        part = scope.metrics[node.name.lower()]
        inner = derived(scope, part, column)
        return exp.Paren(this=inner) if isinstance(inner, (exp.Binary, exp.Case)) else inner

    return parse(metric.sql, f"{scope.pack}.{metric.name}").transform(replace)
