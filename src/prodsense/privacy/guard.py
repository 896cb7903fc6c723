"""An engine that lets a role see what it may: each statement is rewritten before it runs.

Every relation that a SELECT names is replaced by a subquery with the columns and rows that the role may see;
everything that is not a SELECT over known relations is refused. Whatever is asked through the guard, by whichever
path, can therefore only be answered from what the role may see.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from prodsense.errors import EngineError, ForbiddenError, SqlError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from prodsense.engines.base import Engine, Params, Sql
    from prodsense.privacy.roles import Grants

_counter = itertools.count(1)
#: Engine → relation → its columns, as far as known. They change with the definitions, so hardly while a process runs;
#: a column that is new is not shown before it is known, and a statement that fails makes all be looked up again.
_known: WeakKeyDictionary[Any, dict[str, Mapping[str, str]]] = WeakKeyDictionary()

#: Functions that look beyond the rows of a statement: files, settings, the process, other statements.
_OUTSIDE = frozenset({
    "getenv", "current_setting", "set_config", "getvariable", "nextval", "currval", "write_log", "query", "query_table",
    "glob", "sniff_csv", "version", "current_database", "current_schema", "current_schemas", "current_catalog",
    "current_user", "session_user", "user", "current_query", "txid_current", "json_execute_serialized_sql", "reflect",
    "java_method", "try_reflect", "input_file_name",
})  # fmt: skip
_OUTSIDE_PREFIXES = ("read_", "pg_", "duckdb_", "pragma_", "parquet_", "scan_", "http_", "sqlite_", "postgres_")


class Guard:
    """An `Engine` (see `prodsense.engines.base`) that answers as far as `grants` allow. It writes nothing."""

    def __init__(self, engine: Engine, grants: Grants):
        self._engine = engine
        self.grants = grants
        self.name = engine.name
        self.dialect = engine.dialect
        self.location = engine.location
        self.read_only = True
        self.dear_statements = engine.dear_statements
        self._offered: set[str] = set()
        # Names of bound values that no parameter of a caller can have, also where guards are nested.
        self._prefix = f"role{next(_counter)}_"

    def __repr__(self) -> str:
        return f"Guard({self._engine!r}, {self.grants.name!r})"

    # -- reading -----------------------------------------------------------------------------------

    def query(self, sql: Sql, params: Params | None = None) -> pa.Table:
        """As the engine's own, over what the role may see. Raises ForbiddenError, naming what it may not."""
        tree, bound = self.guarded(sql, params)
        try:
            return self._engine.query(tree, bound)
        except EngineError as error:
            _known.pop(self._engine, None)
            self._explain(sql)
            if self.grants.raw_sql:
                raise
            # An engine's message can quote values, also of rows out of sight.
            raise EngineError("the statement fails on the data; a condition or parameter does not fit it") from error

    def guarded(self, sql: Sql, params: Params | None = None) -> tuple[exp.Query, dict[str, Any]]:
        """The statement as it runs, with its parameters."""
        from sqlglot import exp

        from prodsense.engines.dialect import parse

        tree = parse(sql) if isinstance(sql, str) else sql.copy()
        if not isinstance(tree, exp.Query):
            raise ForbiddenError(f"role {self.grants.name} may only read: {tree.key.upper()} is refused")
        _refuse_outside(tree, self.grants.name)
        bound = {name: value for name, value in (params or {}).items() if not name.startswith(self._prefix)}
        used: dict[str, Any] = {}
        for table in list(tree.find_all(exp.Table)):
            self._replace(table, used)
        for column in tree.find_all(exp.Column):
            # A subquery is known by its alias alone.
            if column.args.get("db") is not None:
                column.set("db", None)
                column.set("catalog", None)
        return tree, {**bound, **used}

    def _replace(self, table: exp.Table, used: dict[str, Any]) -> None:
        from sqlglot import exp

        if not isinstance(table.this, exp.Identifier):
            if isinstance(table.this, (exp.GenerateSeries, exp.Unnest)):
                return
            raise ForbiddenError(f"role {self.grants.name} may read tables and models only, not {table.sql('duckdb')}")
        if not table.db and not table.catalog:
            if table.name.lower() in _visible_ctes(table) or table.name in self._offered:
                return
            raise ForbiddenError(f"role {self.grants.name} may not read {table.name}")
        if table.catalog:
            raise ForbiddenError(f"role {self.grants.name} may not read {table.sql('duckdb')}")
        relation = f"{table.db.lower()}.{table.name.lower()}"
        condition, columns = self._open(relation)
        shown = self._shown(relation, columns)
        if not condition and len(shown) == len(columns):
            return
        inner = exp.select(*(exp.column(name, quoted=True) for name in shown)).from_(
            exp.table_(table.name.lower(), db=table.db.lower(), quoted=True)
        )
        if condition:
            inner = inner.where(self._condition(relation, condition, used))
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name.lower()))
        kept = {key: table.args[key] for key in ("joins", "pivots", "laterals", "sample") if table.args.get(key)}
        known = {"this", "db", "catalog", "alias", "joins", "pivots", "laterals", "sample"}
        if odd := [key for key, value in table.args.items() if value and key not in known]:
            raise ForbiddenError(f"role {self.grants.name} may not read {table.name} with {odd[0].upper()}")
        table.replace(exp.Subquery(this=inner, alias=alias, **kept))

    def _open(self, relation: str) -> tuple[str, Mapping[str, str]]:
        """The condition on an open relation's rows, and all of its columns; ForbiddenError where it is closed."""
        condition = self.grants.condition(relation)
        if condition is None:
            raise ForbiddenError(f"role {self.grants.name} may not read {relation}")
        known = _known.setdefault(self._engine, {})
        if relation not in known:
            columns = self._engine.columns(relation)
            if columns is None:
                raise SqlError(f"no relation named {relation}")
            known[relation] = columns
        return condition, known[relation]

    def _shown(self, relation: str, columns: Mapping[str, str]) -> list[str]:
        shown = [name for name in columns if not self.grants.hides(relation, name)]
        if not shown:
            raise ForbiddenError(f"role {self.grants.name} may see no column of {relation}")
        return shown

    def _condition(self, relation: str, text: str, used: dict[str, Any]) -> exp.Expression:
        """A row condition with the actor's values bound; a comparison with several values becomes IN."""
        from sqlglot import exp

        from prodsense.contracts.sql import qualify_tables, refuse_clock
        from prodsense.engines.dialect import parse

        origin = f"role {self.grants.name}, {relation}"
        tree = parse(text, origin)
        refuse_clock(tree, origin)
        qualify_tables(tree, relation.rpartition(".")[0])

        def bind(node: exp.Expression) -> exp.Expression:
            if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Placeholder):
                values = self._value(node.expression.name, origin)
                if isinstance(values, tuple):
                    names = [f"{self._prefix}{node.expression.name}_{i}" for i in range(len(values))]
                    used.update(zip(names, values, strict=True))
                    return exp.In(this=node.this.copy(), expressions=[exp.Placeholder(this=name) for name in names])
            if isinstance(node, exp.Placeholder):
                value = self._value(node.name, origin)
                if isinstance(value, tuple):
                    raise SqlError(f"{origin}: several values of {node.name} fit only {node.name} = :{node.name}")
                used[self._prefix + node.name] = value
                return exp.Placeholder(this=self._prefix + node.name)
            return node

        return exp.Paren(this=tree.transform(bind))

    def _value(self, name: str, origin: str) -> Any:
        if name not in self.grants.values:
            raise SqlError(f"{origin}: reads :{name}, which is no attribute of the role")
        return self.grants.values[name]

    def _explain(self, sql: Sql) -> None:
        """Raise ForbiddenError when a failed statement names a hidden column."""
        from sqlglot import exp

        from prodsense.contracts.sql import sources
        from prodsense.engines.dialect import parse

        tree = parse(sql) if isinstance(sql, str) else sql
        named = {column.name.lower() for column in tree.find_all(exp.Column)}
        for relation in sorted(sources(tree)):
            if "." not in relation:
                continue
            for column in self._engine.columns(relation) or {}:
                if column.lower() in named and self.grants.hides(relation, column):
                    raise ForbiddenError(f"role {self.grants.name} may not see {column} of {relation}")

    def relations(self, schema: str | None = None) -> dict[str, str]:
        """Those that the role may read."""
        found = self._engine.relations(schema)
        return {name: kind for name, kind in found.items() if self.grants.condition(name) is not None}

    def columns(self, relation: str) -> dict[str, str] | None:
        """Those that the role may see; ForbiddenError for a relation that is closed to it."""
        if relation in self._offered:
            return self._engine.columns(relation)
        if self.grants.condition(relation.lower()) is None:
            raise ForbiddenError(f"role {self.grants.name} may not read {relation}")
        columns = self._engine.columns(relation)
        return None if columns is None else {name: columns[name] for name in self._shown(relation, columns)}

    def is_empty(self, relation: str) -> bool:
        from prodsense.engines.base import quoted

        return not self.query(f"SELECT 1 AS one FROM {quoted(relation)} LIMIT 1").num_rows

    def partition_rows(self, relation: str) -> dict[str | None, int] | None:
        # Counted by the engine over all rows.
        return None

    @contextmanager
    def temporary(self, data: Any) -> Iterator[str]:
        with self._engine.temporary(data) as name:
            self._offered.add(name)
            try:
                yield name
            finally:
                self._offered.discard(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._engine.transaction():
            yield

    def render(self, sql: Sql) -> str:
        from prodsense.engines.dialect import render

        return render(sql, self.dialect)

    def close(self) -> None:
        self._engine.close()

    # -- writing -----------------------------------------------------------------------------------

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ForbiddenError(f"role {self.grants.name} may only read")

    def execute(self, sql: Sql, params: Params | None = None) -> None:
        self._refuse()

    def create_table(
        self, relation: str, columns: Mapping[str, str], partition: str = "", defaults: Mapping[str, str] | None = None
    ) -> None:
        self._refuse()

    def create_view(self, relation: str, select: Sql) -> None:
        self._refuse()

    def replace(self, relation: str, select: Sql, params: Params | None = None, partition: str = "") -> int:
        self._refuse()

    def replace_partitions(
        self, relation: str, select: Sql, column: str, values: Sequence[Any], params: Params | None = None
    ) -> int:
        self._refuse()

    def insert(self, relation: str, select: Sql, params: Params | None = None) -> int:
        self._refuse()

    def append(self, relation: str, rows: pa.Table) -> int:
        self._refuse()

    def overwrite(self, relation: str, rows: pa.Table) -> None:
        self._refuse()

    def merge(self, relation: str, select: Sql, key: Sequence[str], params: Params | None = None) -> None:
        self._refuse()

    def delete(self, relation: str, where: Sql, params: Params | None = None) -> int:
        self._refuse()

    def drop(self, relation: str) -> None:
        self._refuse()


@cache
def _refused_nodes() -> tuple[type, ...]:
    from sqlglot import exp

    names = ("DML", "DDL", "Command", "Into", "Describe", "Summarize", "Show", "Copy", "Set", "Pragma", "Attach",
             "Detach", "Use", "Drop", "Alter", "Delete", "Update", "Insert", "Merge", "Create")  # fmt: skip
    # SELECT itself may be counted among these by some releases of SQLGlot.
    return tuple(kind for name in names if isinstance(kind := getattr(exp, name, None), type)
                 and not issubclass(exp.Select, kind))  # fmt: skip


def _refuse_outside(tree: exp.Expression, role: str) -> None:
    """Refuse statements inside a statement that do more than read, and functions that look beyond the rows."""
    from sqlglot import exp

    for node in tree.walk():
        if isinstance(node, _refused_nodes()):
            what = type(node).__name__.upper()
            raise ForbiddenError(f"role {role} may only read: {what} is refused")
        if isinstance(node, exp.Lateral) and not isinstance(node.this, (exp.Subquery, exp.Unnest, exp.GenerateSeries)):
            raise ForbiddenError(f"role {role} may read tables and models only, not {node.this.sql('duckdb')}")
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            if name in _OUTSIDE or name.startswith(_OUTSIDE_PREFIXES):
                raise ForbiddenError(f"role {role} may not call {name}()")


def _visible_ctes(table: exp.Expression) -> set[str]:
    """Names of the CTEs that stand for a bare name at `table`: not the one that it is part of, nor later ones."""
    from sqlglot import exp

    names: set[str] = set()
    child: exp.Expression = table
    within: exp.Expression | None = None
    parent: exp.Expression | None = table.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            within = child
        with_ = parent.args.get("with_") or parent.args.get("with")
        if isinstance(with_, exp.With):
            ctes = list(with_.expressions)
            if child is with_:
                last = next(place for place, cte in enumerate(ctes) if cte is within)
                ctes = ctes[: last + bool(with_.args.get("recursive"))]
            names |= {cte.alias_or_name.lower() for cte in ctes}
        child, parent = parent, parent.parent
    return names
