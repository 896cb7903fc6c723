"""How a dimension is reached from a metric's source: shortest many-to-one path, or a refusal with the reason.

Rules, in order:

1. The nearest home wins: the source itself before a relation one reference away, and so on.
2. Of several homes equally near, the one that the dimension names first.
3. Of several equally short paths to that home, the one whose reference comes first in a model's header (an
   author's order of preference). Foreign keys of a table have no such order: the request is refused, and the
   dimension should name a nearer home.
4. A path may only go from many to one. Where the home lies on the many side, each row of the source would be
   counted once a row there: the request is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prodsense.contracts.sql import parse
from prodsense.contracts.tables import Reference
from prodsense.contracts.vocabulary import Dimension
from prodsense.errors import SqlError, UsageError, did_you_mean
from prodsense.metrics.scope import Scope

if TYPE_CHECKING:
    from sqlglot import exp

Path = tuple[Reference, ...]


@dataclass(frozen=True)
class Route:
    """Where a dimension's value comes from: `path` leads from the source to `home`, `sql` is read there."""

    home: str
    path: Path
    sql: str


def route(scope: Scope, source: str, dimension: Dimension) -> Route:
    """The route from `source` ("pack.name") to `dimension`; UsageError with the reason when there is none.

    The home "*" yields a route with home "*": an expression on the source's own ``time``.
    """
    found = _find(scope, source, dimension)
    if found is None:
        raise UsageError(_refusal(scope, source, dimension))
    home, paths = found
    if home == "*":
        return Route("*", (), dimension.at["*"])
    sql = next(sql for name, sql in dimension.at.items() if scope.full(name) == home)
    return _shorten(source, Route(home, _only(scope, source, paths, dimension), sql))


def _find(scope: Scope, source: str, dimension: Dimension) -> tuple[str, list[Path]] | None:
    """The nearest home and all shortest paths to it (rules 1 and 2), or None."""
    homes = [scope.full(name) for name in dimension.at if name != "*"]
    for level in _levels(scope, source):
        for home in homes:
            if home in level:
                return home, level[home]
    return ("*", []) if "*" in dimension.at and scope.time(source) else None


def _levels(scope: Scope, source: str) -> Iterator[dict[str, list[Path]]]:
    """Relations by distance from `source`, each with all its shortest many-to-one paths."""
    seen = {source}
    level: dict[str, list[Path]] = {source: [()]}
    while level:
        yield level
        following: dict[str, list[Path]] = {}
        for name, paths in level.items():
            for reference in scope.references(name):
                if reference.table not in seen:
                    following.setdefault(reference.table, []).extend((*path, reference) for path in paths)
        seen |= following.keys()
        level = following


def _only(scope: Scope, source: str, paths: list[Path], dimension: Dimension) -> Path:
    """The one path to take of several equally short ones (rule 3)."""
    best = paths[0]
    for other in paths[1:]:
        split = next(i for i, (a, b) in enumerate(zip(best, other, strict=True)) if a != b)
        fork = best[split - 1].table if split else source
        declared = scope.references(fork)
        if not scope.is_model(fork):
            ways = " or ".join(", ".join(path[split].columns) for path in (best, other))
            raise UsageError(
                f"dimension {dimension.name} can be reached from {source} in two equally short ways"
                f" ({fork} by {ways}); name a nearer home for it in `at`"
            )
        if declared.index(other[split]) < declared.index(best[split]):
            best = other
    return best


def _shorten(source: str, found: Route) -> Route:
    """Drop last steps whose target is only read for its key: the foreign key holds the same value."""
    path, home, sql = found.path, found.home, found.sql.strip().lower()
    while path and sql in path[-1].target:
        step = path[-1]
        sql = step.columns[step.target.index(sql)]
        path = path[:-1]
        home = path[-1].table if path else source
    return found if path == found.path else Route(home, path, sql)


def reachable(scope: Scope, source: str) -> list[str]:
    """Names of the dimensions that `source` can be sliced by."""
    found = []
    for name, dimension in scope.dimensions.items():
        with suppress(UsageError):
            if (near := _find(scope, source, dimension)) is not None:
                if near[1]:
                    _only(scope, source, near[1], dimension)
                found.append(name)
    return sorted(found)


def _refusal(scope: Scope, source: str, dimension: Dimension) -> str:
    """Why `source` cannot be sliced by `dimension`, and what it can be sliced by."""
    homes = [scope.full(name) for name in dimension.at if name != "*"]
    works = ", ".join(reachable(scope, source)) or "none"
    if not homes:
        return f"{source} has no time, so it cannot be sliced by {dimension.name}; dimensions that work: {works}"
    for home in homes:
        for level in _levels(scope, home):
            if source in level:
                path = level[source][0]
                many = path[-2].table if len(path) > 1 else home
                return (
                    f"{source} cannot be sliced by {dimension.name}: it lies on {home}, and {many} has many rows"
                    f" for one of {source} (by {', '.join(path[-1].columns)}), so rows would be counted several times;"
                    f" dimensions that work: {works}"
                )
    return (
        f"{source} cannot be sliced by {dimension.name}: no many-to-one reference leads from it to"
        f" {' or '.join(homes)}, and a join by anything else would repeat rows; dimensions that work: {works}"
    )


def expression(scope: Scope, sql: str, home: str, alias: str, origin: str) -> exp.Expression:
    """Parse an expression over the columns of `home` and qualify them with `alias`; unknown columns raise SqlError."""
    from sqlglot import exp

    tree = parse(sql, origin)
    columns = scope.relation(home, origin).columns
    for column in tree.find_all(exp.Column):
        name = column.name.lower()
        if column.table or name not in columns:
            raise SqlError(f"{origin}: {home} has no column {column.sql('duckdb')}.{did_you_mean(name, set(columns))}")
        column.set("this", exp.to_identifier(name))
        column.set("table", exp.to_identifier(alias))
    return tree
