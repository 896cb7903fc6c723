"""What every engine can do: the protocol between the project and a database.

Relations are named ``schema.name``. SQL arrives in the source dialect (text or SQLGlot tree) and
is rendered by the engine; parameters are bound by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    Sql: TypeAlias = str | exp.Expression

Params = Mapping[str, Any]

#: Where the project keeps its own records in a warehouse.
SYSTEM_SCHEMA = "prodsense"


class Engine(Protocol):
    """One database session that owns a warehouse."""

    name: str
    dialect: str
    location: str
    read_only: bool
    #: A statement costs a large part of a second whatever its rows: checks that ask many are left out.
    dear_statements: bool

    def query(self, sql: Sql, params: Params | None = None) -> pa.Table:
        """Run a SELECT and return its rows. Parameters not used by `sql` are ignored."""
        ...

    def execute(self, sql: Sql, params: Params | None = None) -> None:
        """Run a statement for its effect."""
        ...

    def relations(self, schema: str | None = None) -> dict[str, str]:
        """Existing relations, name → ``table`` or ``view``."""
        ...

    def columns(self, relation: str) -> dict[str, str] | None:
        """Column → type in DuckDB's spelling; None when there is no such relation."""
        ...

    def create_table(
        self, relation: str, columns: Mapping[str, str], partition: str = "", defaults: Mapping[str, str] | None = None
    ) -> None:
        """Create an empty table if there is none; add columns that an existing one lacks."""
        ...

    def create_view(self, relation: str, select: Sql) -> None:
        """Create or replace a view."""
        ...

    def replace(self, relation: str, select: Sql, params: Params | None = None, partition: str = "") -> int:
        """Replace a whole table by the rows of `select`; return their number."""
        ...

    def replace_partitions(
        self, relation: str, select: Sql, column: str, values: Sequence[Any], params: Params | None = None
    ) -> int:
        """Replace the rows whose `column` is one of `values` by the rows of `select`; return their number."""
        ...

    def insert(self, relation: str, select: Sql, params: Params | None = None) -> int:
        """Append the rows of `select`, matched by column name; return their number."""
        ...

    def append(self, relation: str, rows: pa.Table) -> int:
        """Append Arrow rows, matched by column name; return their number. The cheap way for few rows."""
        ...

    def overwrite(self, relation: str, rows: pa.Table) -> None:
        """Put Arrow rows, matched by column name, in place of all rows of a table; it keeps its columns."""
        ...

    def partition_rows(self, relation: str) -> dict[str | None, int] | None:
        """Rows of each partition, by its value as text, where the engine keeps them apart and counted; else None."""
        ...

    def is_empty(self, relation: str) -> bool:
        """Whether a table holds no row, without reading it."""
        ...

    def merge(self, relation: str, select: Sql, key: Sequence[str], params: Params | None = None) -> None:
        """Rows of `select` take the place of rows with the same key, or are appended."""
        ...

    def delete(self, relation: str, where: Sql, params: Params | None = None) -> int:
        """Delete the rows for which `where` is true; return their number."""
        ...

    def drop(self, relation: str) -> None:
        """Drop a table or view if it exists."""
        ...

    def temporary(self, data: Any) -> AbstractContextManager[str]:
        """Offer Arrow data (or a pandas or Polars frame) as a relation for a while; yields its name."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; nested use joins the outer transaction."""
        ...

    def close(self) -> None:
        """Release the warehouse."""
        ...


def quoted(relation: str) -> str:
    """Quote ``schema.name`` (each part) for SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in relation.split("."))


def comma(names: Iterable[str]) -> str:
    """Quoted, comma-separated column names."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
