"""Contracts for other tools: an ER diagram in Mermaid, JSON Schema of a row or an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.contracts.tables import Column, Reference, Table
    from prodsense.contracts.vocabulary import Event

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: SQL type without its arguments → JSON Schema; types that are not here allow any value.
_JSON_TYPES: Mapping[str, Mapping[str, Any]] = {
    **{name: {"type": "integer"} for name in ("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT")},
    **{name: {"type": "number"} for name in ("FLOAT", "REAL", "DOUBLE", "DECIMAL", "NUMERIC")},
    **{name: {"type": "string"} for name in ("VARCHAR", "TEXT")},
    "BOOLEAN": {"type": "boolean"},
    "DATE": {"type": "string", "format": "date"},
    **{name: {"type": "string", "format": "date-time"} for name in ("TIMESTAMP", "TIMESTAMPTZ")},
}


# -- ER diagram ------------------------------------------------------------------------------------


def er_diagram(tables: Mapping[str, Table]) -> str:
    """Mermaid text of an ``erDiagram``: each table with its columns and keys, each reference as a line.

    Tables of other packs that are referred to appear by their full name, without columns.
    """
    lines = ["erDiagram"]
    for table in tables.values():
        lines += [_relation(table, reference) for reference in table.references]
    for table in tables.values():
        foreign = {column for reference in table.references for column in reference.columns}
        unique = {key[0] for key in table.uniques if len(key) == 1}
        lines.append(f"    {_entity(table.name)} {{")
        lines += [
            f"        {_attribute(column, table.primary_key, foreign, unique)}" for column in table.columns.values()
        ]
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _relation(table: Table, reference: Reference) -> str:
    pack, _, parent = reference.table.rpartition(".")
    optional = any(table.columns[column].nullable for column in reference.columns)
    single = reference.columns == table.primary_key or reference.columns in table.uniques
    ends = ("|o" if optional else "||") + "--" + ("o|" if single else "o{")
    target = _entity(parent if pack == table.pack else reference.table)
    return f"    {target} {ends} {_entity(table.name)} : {_entity('_'.join(reference.columns))}"


def _entity(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', "'") + '"'


def _attribute(column: Column, primary: Iterable[str], foreign: set[str], unique: set[str]) -> str:
    keys = [sign for sign, names in (("PK", primary), ("FK", foreign), ("UK", unique)) if column.name in names]
    # Mermaid takes letters, digits, _, - and brackets in a type: DECIMAL(10,8) becomes DECIMAL_10_8.
    kind = re.sub(r"[^A-Za-z0-9_\[\]]+", "_", column.type).strip("_")
    meaning = column.says + (f" [{column.unit}]" if column.unit else "")
    comment = '"' + meaning.replace('"', "'") + '"' if meaning else ""
    return " ".join(part for part in (kind, column.name, ", ".join(keys), comment) if part)


# -- JSON Schema -----------------------------------------------------------------------------------


def json_schema(table: Table) -> dict[str, Any]:
    """JSON Schema (2020-12) of one row of a table as a file may bring it.

    Types, lengths, the columns that must be there, and those CHECKs that are about one column and its
    literals (``IN``, ``BETWEEN``, comparisons). Other CHECKs and references need more than one row or column
    and are left to the loader. Columns beyond the contract are allowed: the loader ignores them.
    """
    properties = {}
    for column in table.columns.values():
        schema = _typed(column.type)
        if column.length is not None:
            schema["maxLength"] = column.length
        for check in table.checks:
            if check.columns == (column.name,):
                schema |= _rules(check.sql)
        # A cell may be empty where the column is nullable or its default takes over.
        if column.nullable or column.default is not None:
            schema = _or_null(schema)
        properties[column.name] = _described(schema, column.says, column.unit)
    return {
        "$schema": SCHEMA_DIALECT,
        "title": table.relation,
        "description": table.says,
        "type": "object",
        "properties": properties,
        "required": [column.name for column in table.columns.values() if column.required],
    }


def event_schema(event: Event, pack: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event of a version: its name and version, then its fields."""
    properties: dict[str, Any] = {"event": {"const": event.name}, "version": {"const": event.version}}
    for field in event.fields:
        schema = _typed(field.type)
        properties[field.name] = _described(schema if field.required else _or_null(schema), field.says, field.unit)
    return {
        "$schema": SCHEMA_DIALECT,
        "title": f"{pack}.{event.name} v{event.version}",
        "description": event.says,
        "type": "object",
        "properties": properties,
        "required": ["event", "version", *(field.name for field in event.fields if field.required)],
    }


def _typed(kind: str) -> dict[str, Any]:
    """JSON Schema of a SQL type in DuckDB's spelling."""
    if kind.endswith("[]"):
        return {"type": "array", "items": _typed(kind[:-2])}
    base, _, rest = kind.upper().partition("(")
    schema = dict(_JSON_TYPES.get(base.strip(), {}))
    if base.strip() == "VARCHAR" and (length := rest.rstrip(") ")).isdigit():
        schema["maxLength"] = int(length)
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" not in schema:
        return schema
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def _described(schema: dict[str, Any], says: str, unit: str) -> dict[str, Any]:
    meaning = says + (f" [{unit}]" if unit else "")
    return {**schema, "description": meaning} if meaning else schema


def _rules(sql: str) -> dict[str, Any]:
    """What JSON Schema can say of a condition on one column; other conditions say nothing."""
    from sqlglot import exp

    from prodsense.engines.dialect import parse

    found: dict[str, Any] = {}
    tree = parse(sql)
    for part in tree.flatten() if isinstance(tree, exp.And) else [tree]:
        part = part.unnest()
        if not isinstance(part.this, exp.Column):
            continue
        if isinstance(part, exp.In) and part.expressions:
            values = [_literal(value) for value in part.expressions]
            if None not in values:
                found["enum"] = values
        elif isinstance(part, exp.Between):
            _bound(found, "minimum", part.args["low"])
            _bound(found, "maximum", part.args["high"])
        else:
            keyword = {
                exp.GTE: "minimum", exp.GT: "exclusiveMinimum", exp.LTE: "maximum", exp.LT: "exclusiveMaximum",
            }.get(type(part))
            if keyword:
                _bound(found, keyword, part.expression)
    return found


def _bound(found: dict[str, Any], keyword: str, node: exp.Expression) -> None:
    value = _literal(node)
    if isinstance(value, int | float):
        found[keyword] = value


def _literal(node: exp.Expression) -> Any:
    """The value of a literal; None for anything else."""
    from sqlglot import exp

    if isinstance(node, exp.Neg):
        value = _literal(node.this)
        return -value if isinstance(value, int | float) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.this
    return float(node.this) if re.search(r"[.eE]", node.this) else int(node.this)
