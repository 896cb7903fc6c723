"""Read SQL texts: parse, name their sources, qualify table names, resolve columns.

All texts are in the project's source dialect, a subset of DuckDB's (docs/sql.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prodsense.engines.dialect import parse
from prodsense.errors import SqlError, did_you_mean

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = [
    "bind_columns", "parse", "parse_select", "placeholders", "qualify_tables", "refuse_clock", "sources",
    "split_header",
]  # fmt: skip

#: Functions that read the clock: a definition must take :as_of instead.
CLOCK_FUNCTIONS = frozenset(
    {"current_date", "current_timestamp", "current_time", "now", "today", "get_current_timestamp", "localtimestamp"}
)


def parse_select(sql: str, origin: str = "sql") -> exp.Query:
    """Parse one SELECT (or WITH … SELECT, or UNION); anything else and clock reads are refused."""
    from sqlglot import exp

    tree = parse(sql, origin)
    if not isinstance(tree, exp.Query):
        raise SqlError(f"{origin}: expected a SELECT, found {tree.key.upper()}")
    refuse_clock(tree, origin)
    return tree


def refuse_clock(tree: exp.Expression, origin: str) -> None:
    """Raise SqlError when `tree` reads the clock."""
    from sqlglot import exp

    for node in tree.walk():
        named = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
        if isinstance(node, exp.Func) and named.replace("currentdate", "current_date").replace(
            "currenttimestamp", "current_timestamp"
        ) in CLOCK_FUNCTIONS | {"currenttime", "currentdatetime", "localtime"}:
            raise SqlError(f"{origin}: {node.sql('duckdb')} reads the clock; take :as_of instead")


def split_header(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Split a SQL file's leading comment into description lines and ``key: value`` directives."""
    says: list[str] = []
    directives: dict[str, list[str]] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped.startswith("--"):
            if stripped:
                break
            continue
        content = stripped[2:].strip()
        # Several short directives may share a line, parted by wide space (DESIGN §4's example).
        parts = re.split(r"\s{2,}(?=[a-z_]+:\s)", content)
        if re.match(r"^(key|partition|late|spread|time|kind|references|completes|column|param|as_of)\s*:", content):
            for part in parts:
                key, _, value = part.partition(":")
                directives.setdefault(key.strip(), []).append(value.strip())
        elif content:
            says.append(content)
    return says, directives


def sources(tree: exp.Expression, schema: str = "") -> set[str]:
    """Names of the relations that `tree` reads, CTEs left out; bare names get `schema`."""
    from sqlglot import exp

    found = set()
    for table in tree.find_all(exp.Table):
        if not table.name or (not table.db and table.name.lower() in _ctes_above(table)):
            continue
        found.add(f"{(table.db or schema).lower()}.{table.name.lower()}".lstrip("."))
    return found


def qualify_tables(tree: exp.Expression, schema: str) -> exp.Expression:
    """Give each bare table name of `tree` the schema (in place); its bare name stays as alias."""
    from sqlglot import exp

    for table in list(tree.find_all(exp.Table)):
        if table.db or not table.name or table.name.lower() in _ctes_above(table):
            continue
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name.lower())))
        table.set("this", exp.to_identifier(table.name.lower()))
        table.set("db", exp.to_identifier(schema))
    return tree


def _ctes_above(node: exp.Expression) -> set[str]:
    """Names of the CTEs that `node` can see."""
    from sqlglot import exp

    names: set[str] = set()
    current: exp.Expression | None = node
    while current is not None:
        with_ = current.args.get("with_") or current.args.get("with")
        if isinstance(with_, exp.With):
            names |= {cte.alias_or_name.lower() for cte in with_.expressions}
        current = current.parent
    return names


def placeholders(tree: exp.Expression) -> set[str]:
    """Names of the parameters in `tree`."""
    from sqlglot import exp

    found = {p.name for p in tree.find_all(exp.Placeholder) if p.name}
    return found | {p.name for p in tree.find_all(exp.Parameter) if p.name}


def bind_columns(
    tree: exp.Expression, relations: Mapping[str, Mapping[str, str]], origin: str = "sql"
) -> exp.Expression:
    """Resolve each column of a SELECT against `relations` ("schema.name" → column → type).

    Returns a new tree in which every column names its source. Raises SqlError for an unknown
    relation or column, with the nearest known names.
    """
    from sqlglot import exp
    from sqlglot.errors import OptimizeError, SchemaError, SqlglotError
    from sqlglot.optimizer.qualify import qualify

    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, columns in relations.items():
        db, _, table = name.rpartition(".")
        schema.setdefault(db, {})[table] = dict(columns)
    for name in sources(tree):
        if name not in relations:
            raise SqlError(f"{origin}: no relation named {name}.{did_you_mean(name, list(relations))}")
    try:
        return qualify(
            tree.copy(), schema=schema, dialect="duckdb", quote_identifiers=False, identify=False,
            validate_qualify_columns=True,
        )
    except (OptimizeError, SchemaError) as error:
        message = str(error).split("\n")[0]
        unknown = re.search(r"(?:Column '?|Unknown column: )\"?([\w.\"]+)", message)
        hint = ""
        if unknown:
            word = unknown.group(1).replace('"', "").split(".")[-1]
            homes = sorted(s for s in sources(tree) if word in relations.get(s, {}))
            known = {c for s in sources(tree) for c in relations.get(s, {})}
            hint = did_you_mean(word, known - {word})
            if len(homes) > 1:
                hint = f" It is a column of {' and '.join(homes)}: say which."
            for column in tree.find_all(exp.Column):
                if column.name.lower() == word.lower() and (line := column.this.meta.get("line")):
                    origin = f"{origin}:{line}"
                    break
        raise SqlError(f"{origin}: {message}.{hint}") from None
    except SqlglotError as error:
        raise SqlError(f"{origin}: {error}") from None
