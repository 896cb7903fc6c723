"""Columns of models by reading their SQL alone: names, types and what each derives from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from prodsense.contracts.sql import bind_columns
from prodsense.engines.dialect import expand_macros
from prodsense.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

    from prodsense.build.graph import Graph

#: Type of a column whose type the SQL alone does not tell.
UNKNOWN = "UNKNOWN"


class ColumnReader:
    """Reads the columns of relations of a graph on demand; each model is bound once."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self._bound: dict[str, exp.Expression] = {}
        self._types: dict[str, dict[str, str]] = {}
        self._direct: dict[str, dict[str, tuple[str, ...]]] = {}
        self._origins: dict[str, tuple[str, ...]] = {}

    def bound(self, name: str) -> exp.Expression:
        """The model's SELECT with stars written out and every column bound; SqlError with file and line."""
        if name not in self._bound:
            node = self.graph.nodes[name]
            if node.error or node.tree is None:
                raise SqlError(node.error)
            relations = {read: self.types(read) for read in node.reads}
            self._bound[name] = bind_columns(node.tree, relations, node.model.path or name)
        return self._bound[name]

    def names(self, relation: str) -> list[str]:
        """Output columns in order (of a model, duplicates kept)."""
        if relation in self.graph.nodes:
            return [name.lower() for name in cast("exp.Query", self.bound(relation)).named_selects]
        return list(self.types(relation))

    def types(self, relation: str) -> dict[str, str]:
        """Column → type of a table (its contract's) or a model (inferred; `UNKNOWN` where it cannot be)."""
        if relation not in self._types:
            if relation in self.graph.tables:
                columns = self.graph.tables[relation].columns
                self._types[relation] = {c.name: c.type for c in columns.values()}
            elif relation in self.graph.nodes:
                self._types[relation] = self._inferred(relation)
            elif relation in self.system_tables:
                self._types[relation] = dict(self.system_tables[relation])
            else:
                raise SqlError(f"no relation named {relation}")
        return self._types[relation]

    @cached_property
    def system_tables(self) -> Mapping[str, Mapping[str, str]]:
        from prodsense.ingest.ledger import TABLES

        return TABLES

    def _inferred(self, name: str) -> dict[str, str]:
        from sqlglot.errors import SqlglotError
        from sqlglot.optimizer.annotate_types import annotate_types

        bound = self.bound(name)
        schema: dict[str, object] = {}
        for read in self.graph.nodes[name].reads:
            db, _, table = read.rpartition(".")
            cast("dict[str, object]", schema.setdefault(db, {}))[table] = {
                column: kind for column, kind in self.types(read).items() if kind != UNKNOWN
            }
        selects: list[exp.Expression]
        try:
            typed = annotate_types(expand_macros(bound, "duckdb"), schema=schema, dialect="duckdb")
            selects = cast("list[exp.Expression]", cast("exp.Query", typed).selects)
        except SqlglotError:
            selects = []
        types = [s.type.sql("duckdb") if s.type is not None else UNKNOWN for s in selects]
        names = self.names(name)
        if len(types) != len(names):
            types = [UNKNOWN] * len(names)
        return {
            column: {"INT": "INTEGER", "TEXT": "VARCHAR", "NULL": UNKNOWN}.get(kind, kind)
            for column, kind in zip(names, types, strict=True)
        }

    def direct(self, name: str) -> dict[str, tuple[str, ...]]:
        """Output column of a model → ``pack.relation.column`` of the relations that it reads itself."""
        from sqlglot import exp
        from sqlglot.lineage import Node, lineage

        if name not in self._direct:
            found = cast("dict[str, Node]", lineage(None, self.bound(name), schema={}, dialect="duckdb"))
            by_column: dict[str, tuple[str, ...]] = {}
            for column, node in found.items():
                leaves = set()
                for leaf in node.walk():
                    if not leaf.downstream and isinstance(leaf.expression, exp.Table) and leaf.expression.db:
                        table = leaf.expression
                        source = leaf.name.rpartition(".")[2].strip('"')
                        leaves.add(f"{table.db}.{table.name}.{source}".lower())
                by_column[column.lower()] = tuple(sorted(leaves))
            self._direct[name] = by_column
        return self._direct[name]

    def origins(self, column: str) -> tuple[str, ...]:
        """Follow ``pack.relation.column`` down to columns of contracted tables, sorted.

        Empty for what derives from no column: a constant, or a count of rows.
        """
        if column not in self._origins:
            relation, _, name = column.rpartition(".")
            if relation in self.graph.nodes:
                parts = self.direct(relation).get(name)
                if parts is None:
                    raise SqlError(f"{relation} has no column {name}")
                self._origins[column] = tuple(sorted({o for part in parts for o in self.origins(part)}))
            else:
                self._origins[column] = (column,)
        return self._origins[column]
