"""Names of metrics and dimensions as SQL identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

#: Words that an engine reads as something else where a column is meant: reserved ones, and those that
#: silently give another value (``SELECT user``).
SPECIAL = frozenset({
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
    "binary", "both", "case", "cast", "check", "collate", "column", "concurrently", "constraint", "create",
    "cross", "current_date", "current_role", "current_time", "current_timestamp", "current_user", "default",
    "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "false", "fetch", "for",
    "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner",
    "intersect", "interval", "into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit",
    "localtime", "localtimestamp", "minus", "natural", "not", "notnull", "null", "offset", "on", "only", "or",
    "order", "outer", "overlaps", "pivot", "placing", "primary", "qualify", "references", "returning", "right",
    "row", "rows", "select", "session_user", "similar", "some", "symmetric", "table", "then", "to", "trailing",
    "true", "union", "unique", "unpivot", "user", "using", "variadic", "verbose", "when", "where", "window",
    "with",
})  # fmt: skip


def ident(name: str) -> exp.Identifier:
    """`name` as an identifier, quoted where it must be."""
    from sqlglot import exp

    return exp.to_identifier(name, quoted=name in SPECIAL)


def written(name: str) -> str:
    """`name` as it stands in a SQL text."""
    return f'"{name}"' if name in SPECIAL else name


def column(name: str, table: str | None = None) -> exp.Column:
    """The column `name` of a CTE."""
    from sqlglot import exp

    return exp.column(ident(name), table=table)
