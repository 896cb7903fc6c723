"""Contracted tables, read from a pack's `schema.sql`.

The schema is plain DDL. A comment above a table describes it and carries directives
(``-- partition: date_partition``); the comment behind a column describes it and may end in its
unit in square brackets (``-- Goods total before fees. [cents]``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prodsense.errors import ContractError

if TYPE_CHECKING:
    from sqlglot import exp

_DIRECTIVE = re.compile(r"^\s*(partition|time|key)\s*:\s*(.+?)\s*$")
#: SQLGlot's word for a type (a pattern) → the engine's.
_SPELLINGS = {r"TEXT(\(\d+\))?": "VARCHAR", "INT": "INTEGER", "INT128": "HUGEINT", "REAL": "FLOAT"}
#: A statement with the comment lines above it, at the start of a line or behind a semicolon.
_STATEMENT = re.compile(
    r"(?im)(?:^|(?<=;))(?:[ \t]*(?:--[^\n]*)?\n)*[ \t]*"
    r"(?P<verb>create\s+table\s+(?:if\s+not\s+exists\s+)?\"?(?P<table>\w+)|"
    r"create\s+\w+|insert|alter|drop|update|delete|select|with)\b"
)
_UNIT = re.compile(r"\s*\[([^\]]+)\]\s*$")


@dataclass(frozen=True)
class Column:
    """One column: `type` is DuckDB's spelling without a text length, `default` a SQL literal."""

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    length: int | None = None
    says: str = ""
    unit: str = ""

    @property
    def required(self) -> bool:
        """Whether a file must bring this column."""
        return not self.nullable and self.default is None


@dataclass(frozen=True)
class Reference:
    """Many rows of this table point to one row of `table` ("pack.name")."""

    columns: tuple[str, ...]
    table: str
    target: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A condition that holds for each row, or is NULL; `columns` are those it reads."""

    sql: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A contracted source table."""

    name: str
    pack: str
    says: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    checks: tuple[Check, ...] = ()
    partition: str = ""
    time: str = ""
    path: str = ""
    line: int = 0

    @property
    def relation(self) -> str:
        """The table's name in the engine, ``pack.name``."""
        return f"{self.pack}.{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row for dedup and merge: primary key, else the first unique key."""
        return self.primary_key or (self.uniques[0] if self.uniques else ())


def scan_schema(text: str) -> list[tuple[str, str]]:
    """Return (name, description) of each table by text alone, for a listing that parses no SQL."""
    found = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("--"):
            comment.append(stripped[2:].strip())
            continue
        if created := re.match(r"(?i)create\s+table\s+(\w+)", stripped):
            says = " ".join(part for part in comment if not _DIRECTIVE.match(part))
            found.append((created.group(1), says))
        comment = []
    return found


def read_schema(text: str, pack: str, path: str = "schema.sql") -> dict[str, Table]:
    """Parse DDL into tables by name, in file order.

    Raises ContractError that names the file and table for what a contract cannot hold.
    """
    return dict(Schema(text, pack, path))


class Schema(Mapping[str, Table]):
    """The tables of a schema by name, in file order; each is parsed when it is first asked for.

    To list names costs no parsing. Raises ContractError as `read_schema`, for a table when it is read.
    """

    def __init__(self, text: str, pack: str, path: str = "schema.sql"):
        self._text, self._pack, self._path = text, pack, path
        self._statements = _statements(text, path)
        self._read: dict[str, Table] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)

    def __contains__(self, name: object) -> bool:
        return name in self._statements

    def __getitem__(self, name: str) -> Table:
        table = self._declared(name)
        return replace(table, references=tuple(self._resolved(table, reference) for reference in table.references))

    def _declared(self, name: str) -> Table:
        """The table with its references as they are written, which may leave out the columns of the parent."""
        if name not in self._read:
            statement, line = self._statements[name]
            self._read[name] = _table(_create(statement, line, self._path), self._pack, self._path, line)
        return self._read[name]

    def _resolved(self, table: Table, reference: Reference) -> Reference:
        schema, name = reference.table.split(".")
        where = f"{self._path}:{table.line}: {table.name} references {name}"
        if schema != self._pack:
            return replace(reference, target=reference.target or reference.columns)
        if name not in self._statements:
            raise ContractError(f"{where}, which is no table here")
        target = self._declared(name)
        columns = reference.target or target.primary_key
        if columns != target.primary_key and columns not in target.uniques:
            raise ContractError(f"{where}({', '.join(columns)}), which is not a key")
        return replace(reference, target=columns)


def _statements(text: str, path: str) -> dict[str, tuple[str, int]]:
    """Table → (its CREATE statement with the comment above it, the statement's line), by text alone."""
    found: dict[str, tuple[str, int]] = {}
    starts: list[tuple[str, int, int]] = []
    for match in _STATEMENT.finditer(text):
        line = text.count("\n", 0, match.start("verb")) + 1
        if not match["table"]:
            raise ContractError(f"{path}:{line}: only CREATE TABLE belongs in a schema, not {match['verb'].upper()}")
        starts.append((match["table"].lower(), match.start(), line))
    for index, (name, start, line) in enumerate(starts):
        if name in found:
            raise ContractError(f"{path}:{line}: table {name} is declared twice")
        end = starts[index + 1][1] if index + 1 < len(starts) else len(text)
        # Blank lines in place of what stands before keep the parser's line numbers true.
        found[name] = ("\n" * text.count("\n", 0, start) + text[start:end], line)
    return found


def _create(statement: str, line: int, path: str) -> exp.Create:
    from sqlglot import exp, parse
    from sqlglot.errors import ParseError, TokenError

    from prodsense.engines.source import Contract

    try:
        parsed = [s for s in parse(statement, read=Contract) if s is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        where = f"{path}:{first.get('line', line)}"
        raise ContractError(f"{where}: {first.get('description', error)} near {first.get('highlight')!r}") from None
    except TokenError as error:
        raise ContractError(f"{path}:{line}: {error}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Create) or parsed[0].kind != "TABLE":
        kind = next((s.key.upper() for s in parsed if not isinstance(s, exp.Create)), "several statements")
        raise ContractError(f"{path}:{line}: only CREATE TABLE belongs in a schema, not {kind}")
    return parsed[0]


def _table(create: exp.Create, pack: str, path: str, line: int) -> Table:
    from sqlglot import exp

    schema = create.this
    if not isinstance(schema, exp.Schema):
        raise ContractError(f"{path}: CREATE TABLE {schema.sql()} has no column list")
    name = schema.this.name.lower()
    directives, says = _header(create)
    columns: dict[str, Column] = {}
    primary: tuple[str, ...] = ()
    uniques: list[tuple[str, ...]] = []
    references: list[Reference] = []
    checks: list[Check] = []
    for part in schema.expressions:
        if isinstance(part, exp.Constraint):
            part = part.expressions[0]
        if isinstance(part, exp.ColumnDef):
            column, key, unique, reference, own_checks = _column(part, pack)
            if column.name in columns:
                raise ContractError(f"{path}:{line}: {name}.{column.name} is declared twice")
            columns[column.name] = column
            primary = (column.name,) if key else primary
            uniques += [(column.name,)] if unique else []
            references += [reference] if reference else []
            checks += own_checks
        elif isinstance(part, exp.PrimaryKey):
            primary = _names(part.expressions)
        elif isinstance(part, exp.UniqueColumnConstraint):
            uniques.append(_names(part.this.expressions if isinstance(part.this, exp.Schema) else part.expressions))
        elif isinstance(part, exp.ForeignKey):
            references.append(_reference(part.args["reference"], _names(part.expressions), pack))
        elif isinstance(part, exp.CheckColumnConstraint):
            checks.append(_check(part.this))
        else:
            raise ContractError(f"{path}:{line}: {name}: cannot read {part.sql('duckdb')!r} in a contract")
    for key_column in primary:
        if key_column in columns:
            columns[key_column] = replace(columns[key_column], nullable=False)
    table = Table(
        name, pack, says, columns, primary, tuple(uniques), tuple(references), tuple(checks),
        directives.get("partition", ""), directives.get("time", "") or directives.get("partition", ""), path, line,
    )
    for what, names in (("primary key", primary), *(("unique key", u) for u in uniques),
                        ("partition", (table.partition,)), ("time", (table.time,)),
                        *(("reference", r.columns) for r in references),
                        *(("check", c.columns) for c in checks)):
        for column_name in filter(None, names):
            if column_name not in columns:
                raise ContractError(f"{path}:{line}: {name}: {what} names {column_name}, which is no column of it")
    return table


def _header(create: exp.Create) -> tuple[dict[str, str], str]:
    directives: dict[str, str] = {}
    says: list[str] = []
    for line in create.comments or []:
        for text in line.strip().splitlines():
            if found := _DIRECTIVE.match(text):
                directives[found.group(1)] = found.group(2)
            elif text.strip():
                says.append(text.strip())
    return directives, " ".join(says)


def _names(expressions: list[exp.Expression]) -> tuple[str, ...]:
    return tuple(e.name.lower() for e in expressions)


def _column(
    part: exp.ColumnDef, pack: str
) -> tuple[Column, bool, bool, Reference | None, list[Check]]:
    from sqlglot import exp

    name = part.name.lower()
    key = unique = False
    nullable, default = True, None
    reference: Reference | None = None
    checks: list[Check] = []
    for constraint in part.args.get("constraints") or []:
        kind = constraint.kind
        if isinstance(kind, exp.PrimaryKeyColumnConstraint):
            key, nullable = True, False
        elif isinstance(kind, exp.UniqueColumnConstraint):
            unique = True
        elif isinstance(kind, exp.NotNullColumnConstraint):
            nullable = bool(kind.args.get("allow_null"))
        elif isinstance(kind, exp.DefaultColumnConstraint):
            default = kind.this.sql("duckdb", comments=False)
        elif isinstance(kind, exp.CheckColumnConstraint):
            checks.append(_check(kind.this))
        elif isinstance(kind, exp.Reference):
            reference = _reference(kind, (name,), pack)
        else:
            raise ContractError(f"{name}: cannot read constraint {constraint.sql('duckdb')!r}")
    # Behind a table's last column, which no comma ends, the comment hangs on the innermost node.
    comments = part.comments or [c for node in part.walk() for c in node.comments or []]
    says = " ".join(c.strip() for c in comments)
    unit = ""
    if found := _UNIT.search(says):
        unit, says = found.group(1), says[: found.start()]
    kind = part.args["kind"]
    length = None
    if kind.is_type("varchar", "text", "char", "nvarchar"):
        if kind.expressions:
            length = int(kind.expressions[0].name)
        type_name = "VARCHAR"
    else:
        type_name = kind.sql("duckdb").upper().replace(", ", ",")
    # As the engine spells them, in lists too.
    for written, spelled in _SPELLINGS.items():
        type_name = re.sub(rf"\b{written}(?!\w)", spelled, type_name)
    return Column(name, type_name, nullable, default, length, says, unit), key, unique, reference, checks


def _check(condition: exp.Expression) -> Check:
    from sqlglot import exp

    columns = tuple(dict.fromkeys(c.name.lower() for c in condition.find_all(exp.Column)))
    return Check(condition.sql("duckdb", comments=False), columns)


def _reference(node: exp.Expression, columns: tuple[str, ...], pack: str) -> Reference:
    from sqlglot import exp

    target = node.this
    if isinstance(target, exp.Schema):
        table, target_columns = target.this, _names(target.expressions)
    else:
        table, target_columns = target, ()
    schema = table.db or pack
    return Reference(columns, f"{schema}.{table.name.lower()}", target_columns)
