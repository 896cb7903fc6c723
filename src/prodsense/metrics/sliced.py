"""Rows of a relation with slices beside them, for analyses that go beyond an aggregate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.contracts.options import as_names
from prodsense.contracts.sql import sources
from prodsense.errors import NotBuiltError, UsageError
from prodsense.metrics.filters import read_filter
from prodsense.metrics.periods import local_day
from prodsense.metrics.rows import Context, Rows
from prodsense.metrics.scope import Request, Scope

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse


def names_of(by: str | Sequence[str] | None) -> tuple[str, ...]:
    """Dimensions as users name them, parted by commas or listed."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, as_names(by or ())))))


def sliced(
    warehouse: Warehouse, pack: str, relation: str, columns: Sequence[str], *, as_of: datetime,
    by: str | Sequence[str] | None = None, where: str | None = None,
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """A SELECT (source dialect) of `columns` and the dimensions `by`, its parameters, and the dimensions' names.

    Rows are those of `relation` (bare name) up to `as_of` for which the filter `where` holds; dimensions are joined
    many-to-one only, so that no row comes twice. UsageError for a slice that the relation does not reach or that bears
    the name of one of the columns. Models that it reads are built where they never were.
    """
    from sqlglot import exp

    names = names_of(by)

    def compiled(scope: Scope) -> tuple[exp.Query, Context]:
        request = Request(["rows"], [scope.bare(name) for name in names], where=where)
        context = Context(scope, request, "all", read_filter(request.where) if request.where else None)
        source = scope.relation(relation)
        rows = Rows(context, source, scope.time(source.name))
        dimensions = [scope.dimension(name) for name in request.by]
        for dimension in dimensions:
            if dimension.name in columns:
                raise UsageError(f"these rows are told apart by {dimension.name} already; leave it out of by")
        items: list[exp.Expression] = [exp.alias_(rows.column(name), name) for name in columns]
        items += [exp.alias_(rows.dimension(dimension), dimension.name) for dimension in dimensions]
        return rows.select(items, rows.conditions()), context

    try:
        tree, context = compiled(warehouse.scope(pack))
    except NotBuiltError:
        warehouse.ready(pack)
        tree, context = compiled(warehouse.scope(pack))
    warehouse.ready(pack, sources(tree))
    params = {"as_of": as_of, "as_of_day": local_day(as_of, "UTC"), **context.literals.values}
    return tree.sql("duckdb", comments=False), params, context.request.by
