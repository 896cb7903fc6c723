"""Check declarations before anybody asks: everything parses, resolves and renders for every engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from prodsense.contracts.sql import parse, placeholders, refuse_clock
from prodsense.contracts.vocabulary import Dimension, Metric, Query
from prodsense.engines.dialect import DIALECTS, render
from prodsense.errors import ProdsenseError, SqlError, UsageError
from prodsense.metrics.compiler import compile
from prodsense.metrics.definitions import leaves
from prodsense.metrics.paths import expression, route
from prodsense.metrics.queries import as_of_source, bound, declared, query_tree
from prodsense.metrics.scope import Request, Scope

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_scope(scope: Scope) -> list[str]:
    """All that is wrong with a pack's metrics, dimensions and queries, one line each."""
    found = []
    checks: list[tuple[Callable[[Any, Scope], None], Any]] = [
        *((check_dimension, d) for d in scope.dimensions.values()),
        *((check_metric, m) for m in scope.metrics.values()),
        *((check_query, q) for q in scope.queries.values()),
    ]
    for check, declaration in checks:
        try:
            check(declaration, scope)
        except ProdsenseError as error:
            found.append(error.message)
    return found


def check_metric(metric: Metric, scope: Scope) -> None:
    """Compile a metric at its grain and by each of its dimensions, and render it for every engine.

    Raises SqlError or UsageError that names the metric and what is wrong with it.
    """
    origin = f"{scope.pack}.{metric.name}"
    _check_name(metric.name, origin)
    parts = leaves(scope, metric)
    if metric.name in scope.dimensions:
        raise SqlError(f"{origin}: a dimension has the same name; a request by it could not tell them apart")
    if metric.share_of:
        for name in metric.share_of:
            scope.dimension(name)
    if not metric.says.strip() or not metric.unit.strip():
        raise SqlError(f"{origin}: says what it means and in which unit, or nobody can read it")
    try:
        plans = [compile(Request(metric.name), scope)]
        if any(leaf.rolling or leaf.per or leaf.last for leaf in parts):
            plans.append(compile(Request(metric.name, grain="month"), scope))
        by = list(dict.fromkeys((*metric.by, *([metric.focus[0]] if metric.focus else []))))
        for name in by:
            compile(Request(metric.name, by=name), scope)
        # Each slice was resolved alone, and is written for every engine by `check_dimension`: once together will do.
        plans += [compile(Request(metric.name, by=by), scope)] if by else []
    except UsageError as error:
        raise SqlError(f"{origin}: {error}") from None
    for plan in plans:
        for dialect in DIALECTS:
            render(plan.tree, dialect)


def check_dimension(dimension: Dimension, scope: Scope) -> None:
    """Resolve a dimension's expression at each of its homes; SqlError for unknown relations and columns."""
    from sqlglot import exp

    origin = f"{scope.pack}.{dimension.name}"
    _check_name(dimension.name, origin)
    if dimension.name == "period":
        raise SqlError(f"{origin}: `period` is the result's own column; choose another name")
    if not dimension.at:
        raise SqlError(f"{origin}: has no home; say where it is read in `at`")
    for home, sql in dimension.at.items():
        tree = parse(sql, origin)
        refuse_clock(tree, origin)
        if tree.find(exp.Query, exp.AggFunc) or placeholders(tree):
            raise SqlError(f"{origin}: is an expression over columns, without subqueries, aggregates or parameters")
        if home == "*":
            if unknown := {c.name for c in tree.find_all(exp.Column)} - {"time"}:
                raise SqlError(f"{origin}: at '*' only the column `time` is known, not {', '.join(sorted(unknown))}")
        else:
            tree = expression(scope, sql, scope.full(home), home.rpartition(".")[2], origin)
            route(scope, scope.full(home), dimension)
        for dialect in DIALECTS:
            render(exp.select(tree), dialect)


def check_query(query: Query, scope: Scope) -> None:
    """Resolve a query's columns, its parameters and where as_of comes from; render it for every engine."""
    origin = query.path or f"{scope.pack}.{query.name}"
    tree = query_tree(query, scope)
    known = declared(query, tree)
    used = placeholders(tree)
    for name in sorted(used - known.keys()):
        raise SqlError(f"{origin}: reads :{name}, which is no declared parameter ('param: {name} type = default')")
    for name in known:
        if name not in used:
            raise SqlError(f"{origin}: declares the parameter {name} and never reads it")
    if "as_of" in used and ("as_of" not in {p.name for p in query.params} or query.as_of):
        as_of_source(query, scope)
    bound(query, scope)
    for dialect in DIALECTS:
        render(tree, dialect)


def _check_name(name: str, origin: str) -> None:
    if not _NAME.fullmatch(name):
        raise SqlError(f"{origin}: a name is lower-case letters, digits and underscores")


def sliceable(scope: Scope) -> Iterator[tuple[str, str]]:
    """Each (metric, dimension) pair that its source allows, for tests that ask them all."""
    from prodsense.metrics.paths import reachable

    for metric in scope.metrics.values():
        allowed = [set(reachable(scope, scope.full(leaf.source))) for leaf in leaves(scope, metric)]
        for name in sorted(set.intersection(*allowed)):
            yield metric.name, name
