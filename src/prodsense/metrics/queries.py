"""Run named, parameterised queries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from prodsense.contracts.sql import bind_columns, parse_select, placeholders, qualify_tables, sources
from prodsense.contracts.vocabulary import REQUIRED, Param, Query
from prodsense.errors import EngineError, SqlError, UsageError, did_you_mean
from prodsense.metrics import periods
from prodsense.metrics.filters import Literals, bind_filter, read_filter
from prodsense.metrics.result import Rows
from prodsense.metrics.scope import Scope

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.engines.base import Engine


def run_query(
    engine: Engine, query: Query | str, params: Mapping[str, Any] | None, scope: Scope
) -> Rows:
    """Run a query with the given parameters, the others at their defaults.

    `as_of` defaults to the newest value of the query's declared source (a DATE means the end of that day).
    Raises UsageError for an unknown, missing or ill-typed parameter.
    """
    if isinstance(query, str):
        query = scope.query(query)
    tree = query_tree(query, scope)
    given = {name: value for name, value in (params or {}).items() if name != "as_of" or value is not None}
    known = declared(query, tree)
    if "as_of" in known and known["as_of"].default is REQUIRED and "as_of" not in given:
        given["as_of"] = newest_of(engine, query, scope)
    values = coerce_params(known.values(), given, query.name)
    used = {name: value for name, value in values.items() if name in placeholders(tree)}
    table = engine.query(tree, used)
    return Rows(arrow=table, dialect=engine.dialect, statements=((tree, used),), units=_units(query, scope, table))


def query_tree(query: Query, scope: Scope) -> exp.Query:
    """The query's SELECT with its tables named in full."""
    from sqlglot import exp

    tree = qualify_tables(parse_select(query.sql, query.path or f"{scope.pack}.{query.name}"), scope.pack)
    assert isinstance(tree, exp.Query)
    return tree


def declared(query: Query, tree: exp.Query) -> dict[str, Param]:
    """The query's parameters by name, `as_of` among them where the SQL reads it."""
    known = {param.name: param for param in query.params}
    if "as_of" in placeholders(tree) and "as_of" not in known:
        known = {"as_of": Param("as_of", "timestamp", REQUIRED, "The moment to look back from."), **known}
    return known


def coerce_params(params: Iterable[Param], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Typed values of all parameters of `owner`; UsageError for an unknown, missing or ill-typed one."""
    known = {param.name: param for param in params}
    for key in given:
        if key not in known:
            hint = did_you_mean(key, set(known)) or f" It takes: {', '.join(known) or 'none'}"
            raise UsageError(f"{owner} has no parameter {key}.{hint}")
    values: dict[str, Any] = {}
    for param in known.values():
        value = given.get(param.name, param.default)
        if value is REQUIRED:
            raise UsageError(f"{owner} needs the parameter {param.name} ({param.type}): --param {param.name}=...")
        values[param.name] = coerce(value, param, owner)
    return values


def show(engine: Engine, relation: str, limit: int | None = 20, where: str | None = None) -> Rows:
    """Rows of `relation` ("schema.name") as they are stored, at most `limit` of those for which `where` holds."""
    from sqlglot import exp

    columns = engine.columns(relation)
    if columns is None:
        raise UsageError(f"no relation named {relation}")
    if limit is not None and limit < 0:
        raise UsageError(f"limit is {limit}; it is a number of rows, 0 or more")
    schema, _, name = relation.rpartition(".")
    tree = exp.select("*").from_(exp.table_(name, db=schema, quoted=True))
    literals = Literals()
    if where and where.strip():
        by_name = {column.lower(): column for column in columns}

        def resolve(word: str) -> tuple[exp.Expression, str]:
            if word not in by_name:
                raise UsageError(f"where: {relation} has no column {word}.{did_you_mean(word, set(by_name))}")
            return exp.column(by_name[word], quoted=True), columns[by_name[word]]

        tree = tree.where(bind_filter(read_filter(where), resolve, literals))
    if limit is not None:
        tree = tree.limit(limit)
    try:
        table = engine.query(tree, literals.values)
    except EngineError as error:
        if where:
            raise UsageError(f"where does not fit the data: {error}") from None
        raise
    return Rows(arrow=table, dialect=engine.dialect, statements=((tree, dict(literals.values)),), title=relation)


def coerce(value: Any, param: Param, owner: str) -> Any:
    """`value` (often text from a shell) as the parameter's type; UsageError when it is none."""
    if value is None:
        return None
    error = UsageError(f"{owner}: {param.name} should be a {param.type}, not {value!r}")
    text = str(value).strip()
    match param.type:
        case "integer":
            try:
                number = int(text) if not isinstance(value, float) else int(value)
            except (ValueError, OverflowError):
                raise error from None
            if isinstance(value, bool) or (isinstance(value, float) and number != value) or abs(number) >= 2**63:
                raise error
            return number
        case "number":
            try:
                real = float(text)
            except ValueError:
                raise error from None
            if isinstance(value, bool) or not math.isfinite(real):
                raise error
            return real
        case "boolean":
            found = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}.get(text.lower())
            if found is None:
                raise error
            return found
        case "date":
            if isinstance(value, datetime):
                return value.date()
            return value if isinstance(value, date) else periods.read_day(text, f"{owner}: {param.name}")
        case "timestamp":
            return periods.read_moment(value, "UTC", f"{owner}: {param.name}")
    if "\0" in text:
        raise error
    return str(value)


def newest_of(engine: Engine, query: Query, scope: Scope) -> datetime:
    """The newest moment of the query's declared as_of source; the epoch where that holds no rows."""
    from sqlglot import exp

    relation, column = as_of_source(query, scope)
    schema, _, name = relation.rpartition(".")
    newest = exp.cast(exp.Max(this=exp.column(column)), "TIMESTAMP")
    found = engine.query(exp.select(exp.alias_(newest, "newest")).from_(exp.table_(name, db=schema)))
    moment = found.column("newest")[0].as_py()
    if moment is None:
        return periods.end_of_day(date(1970, 1, 1), "UTC")
    if scope.relation(relation).is_day(column):
        return periods.end_of_day(moment.date(), "UTC")
    return moment


def as_of_source(query: Query, scope: Scope) -> tuple[str, str]:
    """(relation, column) of the query's `as_of`; SqlError when it is not declared or does not exist."""
    origin = query.path or f"{scope.pack}.{query.name}"
    relation, _, column = query.as_of.rpartition(".")
    if not relation:
        raise SqlError(f"{origin}: reads :as_of but does not say where its default comes from ('as_of: table.column')")
    columns = scope.relation(relation, origin).columns
    if column not in columns:
        raise SqlError(f"{origin}: as_of: {relation} has no column {column}.{did_you_mean(column, set(columns))}")
    return scope.full(relation), column


def bound(query: Query, scope: Scope) -> exp.Expression:
    """The query with each column resolved against its sources; SqlError for what does not exist."""
    from prodsense.engines.dialect import expand_macros

    tree = query_tree(query, scope)
    origin = query.path or f"{scope.pack}.{query.name}"
    relations = {name: scope.relation(name, origin).columns for name in sources(tree)}
    return bind_columns(expand_macros(tree, "duckdb"), relations, origin)


def _units(query: Query, scope: Scope, table: Any) -> dict[str, str]:
    """Units of output columns that carry the name of a contracted column, or of their own suffix."""
    contracted = {
        column.name: column.unit
        for name in sources(query_tree(query, scope))
        for column in getattr(scope.tables.get(name.rpartition(".")[2]), "columns", {}).values()
        if column.unit
    }
    return {name: contracted[name] for name in table.column_names if name in contracted}
