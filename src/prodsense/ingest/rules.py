"""A contract as SQL: typed values, and one CASE that names the first rule a row breaks.

Text is cast with TRY_CAST, so no cell can abort a load; columns that are typed already are cast only
where their type differs. Nothing is rounded or cut in silence: '3.0' is the integer 3, '3.7' breaks a
rule; a DATE with a time of day, a DECIMAL with too many places and text over its length do too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prodsense.engines.base import comma
from prodsense.engines.dialect import render

if TYPE_CHECKING:
    from prodsense.contracts.tables import Column, Table
    from prodsense.engines.base import Engine

INTEGERS = frozenset({
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
})  # fmt: skip
FLOATS = frozenset({"FLOAT", "DOUBLE"})
STAMPS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
ZONED = "TIMESTAMP WITH TIME ZONE"
_SPELLINGS = {"TIMESTAMPTZ": ZONED, "REAL": "FLOAT", "INT": "INTEGER", "TEXT": "VARCHAR", "DATETIME": "TIMESTAMP"}

#: Rules that are no condition on a row's own columns.
MALFORMED, FIELDS, ENCODING, EMPTY = "malformed", "fields", "encoding", "empty"
REFERENCE, UNIQUE, FORGOTTEN = "reference", "unique", "forgotten"


@dataclass(frozen=True)
class Rule:
    """A condition under which a row is refused.

    `reason` may hold ``{cell}``, the offending cell's text; `todo` says what to do about it.
    """

    kind: str
    column: str
    condition: str
    reason: str
    todo: str
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """The contract over one source: `values` are the typed columns, `present` those that the source has,
    `rules` in the order they are tried."""

    values: Mapping[str, str]
    rules: Sequence[Rule]
    present: Sequence[str]

    def typed(self, scan: str, extra: Sequence[str] = ()) -> str:
        """SELECT of the typed columns alone, for rows that are known to be sound."""
        columns = [*(f'{value} AS "{name}"' for name, value in self.values.items()), *(f"s.{name}" for name in extra)]
        return f"SELECT {', '.join(columns)} FROM ({scan}) AS s"

    def unsound(self, scan: str) -> str:
        """SELECT of one row for the first rows that break a rule: the cheapest way to see that none does."""
        broken = " OR ".join(f"({rule.condition})" for rule in self.rules) or "FALSE"
        return f"SELECT 1 FROM ({self._inner(scan)}) AS typed WHERE {broken} LIMIT 1"

    def _inner(self, scan: str, passed: str = "") -> str:
        raw = "".join(f's."{name}" AS "raw.{name}", ' for name in self.present)
        typed = ", ".join(f'{value} AS "{name}"' for name, value in self.values.items())
        return f"SELECT {raw}{typed}{passed} FROM ({scan}) AS s"

    def select(self, scan: str, extra: Sequence[str] = (), first: int = 1, cells: bool = True) -> str:
        """SELECT of the typed columns, `extra` columns of the scan, `_rule` (0: sound) and `_cell`.

        Rules are numbered from `first` in their order.
        """
        passed = "".join(f", s.{name}" for name in extra)
        inner = self._inner(scan, passed)
        cases = " ".join(f"WHEN {rule.condition} THEN {number}" for number, rule in enumerate(self.rules, first))
        ruled = f"SELECT *, CAST(CASE {cases} ELSE 0 END AS SMALLINT) AS _rule FROM ({inner}) AS typed"
        columns = comma(self.values) + "".join(f", {name}" for name in extra) + ", _rule"
        if not cells:
            return f"SELECT {columns} FROM ({ruled}) AS ruled"
        shown = " ".join(
            f"WHEN {number} THEN {_shown(rule)}" for number, rule in enumerate(self.rules, first) if rule.shows
        )
        cell = f"CASE WHEN _rule > 0 THEN LEFT(CASE _rule {shown} END, 200) END" if shown else "CAST(NULL AS VARCHAR)"
        return f"SELECT {columns}, {cell} AS _cell FROM ({ruled}) AS ruled"


def check(engine: Engine, table: Table, types: Mapping[str, str]) -> Checked:
    """Compile the contract of `table` for a source whose contracted columns have `types`.

    Columns not in `types` are absent there: they take their default, or NULL. `engine` writes CHECK
    conditions in its dialect.
    """
    values: dict[str, str] = {}
    rules: list[Rule] = []
    present = [f'"raw.{name}"' for name in table.columns if name in types]
    if present:
        rules.append(Rule(
            EMPTY, "", " AND ".join(f"{name} IS NULL" for name in present), "no contracted column has a value",
            "give the row its values, or drop it",
        ))  # fmt: skip
    from prodsense.ingest.forgotten import rules as forgotten

    # First of all: what is refused for this is not kept, whatever else is wrong with it.
    rules[:0] = forgotten(engine, table, types)
    for name, column in table.columns.items():
        if name not in types:
            values[name] = f"CAST({column.default or 'NULL'} AS {column.type})"
            continue
        source, target = normal(types[name]), normal(column.type)
        values[name] = _value(f's."{name}"', source, target, column)
        rules += _column_rules(column, source, target)
    for condition in table.checks:
        shown = ", ".join(condition.columns)
        rules.append(Rule(
            "check", shown, f"NOT ({render(condition.sql, engine.dialect)})",
            f"{condition.sql} does not hold ({{cell}})", "correct the values, or the CHECK in the contract",
            condition.columns,
        ))  # fmt: skip
    return Checked(values, rules, [name for name in table.columns if name in types])


def normal(type_name: str) -> str:
    """DuckDB's own spelling of a type."""
    upper = type_name.upper().replace(", ", ",")
    return _SPELLINGS.get(upper, upper)


def _shown(rule: Rule) -> str:
    """SQL for the text of the cells that a rule is about."""
    texts = [f"COALESCE(CAST(\"raw.{c}\" AS VARCHAR), 'NULL')" for c in rule.shows]
    if rule.kind != "check":
        return texts[0]
    # A check may name columns that the source lacks; those are shown by their value.
    parts = [f"'{c} = ' || COALESCE(CAST(\"{c}\" AS VARCHAR), 'NULL')" for c in rule.shows]
    return " || ', ' || ".join(parts)


def _value(raw: str, source: str, target: str, column: Column) -> str:
    typed = _cast(raw, source, target)
    if column.default is not None and not column.nullable:
        return f"CASE WHEN {raw} IS NULL THEN CAST({column.default} AS {column.type}) ELSE {typed} END"
    return typed


def _cast(raw: str, source: str, target: str) -> str:
    if source == target:
        return raw
    if target == "VARCHAR":
        return f"CAST({raw} AS VARCHAR)"
    if target == "TIMESTAMP" and source == "VARCHAR":
        # TRY_CAST to TIMESTAMP drops an offset or zone unseen; it is only safe where there is none.
        plain = f"({raw} LIKE '____-__-_____:__:__' OR {raw} LIKE '____-__-_____:__:__Z')"
        zoned = f"({raw} LIKE '%+%' OR SUBSTR({raw}, 9) LIKE '%-%' OR LOWER(RIGHT({raw}, 1)) BETWEEN 'a' AND 'y')"
        return (
            f"CASE WHEN {plain} THEN TRY_CAST({raw} AS TIMESTAMP)"
            f" WHEN {zoned} THEN TRY_CAST({raw} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
            f" ELSE TRY_CAST({raw} AS TIMESTAMP) END"
        )
    if target in STAMPS and source == ZONED:
        return f"TRY_CAST({raw} AT TIME ZONE 'UTC' AS {target})"
    if target == "DATE" and source == ZONED:
        return f"TRY_CAST({raw} AT TIME ZONE 'UTC' AS DATE)"
    if source != "VARCHAR" and not _castable(source, target):
        raw = f"CAST({raw} AS VARCHAR)"
    return f"TRY_CAST({raw} AS {target})"


def _castable(source: str, target: str) -> bool:
    """Whether a typed value may be cast straight; others go by their text, where it either reads or not."""
    numbers = _numeric(source) and _numeric(target)
    times = source in STAMPS | {"DATE", ZONED} and target in STAMPS | {"DATE", ZONED}
    return numbers or times


def _numeric(type_name: str) -> bool:
    return type_name in INTEGERS | FLOATS or type_name.startswith("DECIMAL")


def _column_rules(column: Column, source: str, target: str) -> list[Rule]:
    name = column.name
    raw, value = f'"raw.{name}"', f'"{name}"'
    rules: list[Rule] = []

    def add(kind: str, condition: str, reason: str, todo: str) -> None:
        rules.append(Rule(kind, name, condition, reason, todo, (name,)))

    if column.required:
        rules.append(Rule(
            "required", name, f"{raw} IS NULL", f"{name} is missing, and the contract says NOT NULL",
            f"fill {name}, or give it a DEFAULT in the contract",
        ))  # fmt: skip
    if source != target:
        unread = f"{raw} IS NOT NULL AND {value} IS NULL"
        if _numeric(target):
            number = f"TRY_CAST({raw} AS DOUBLE)" if source == "VARCHAR" else "1" if _numeric(source) else "NULL"
            add("range", f"{unread} AND {number} IS NOT NULL", f"{name} is {{cell}}, which does not fit {target}",
                f"correct {name}, or widen its type in the contract")  # fmt: skip
        if target != "VARCHAR":
            add("type", unread, f"{name} is {{cell}}, which is no {target}",
                f"write {name} as {_example(target)}, or change its type in the contract")  # fmt: skip
        rules += _loss_rules(column, source, target)
    if target in FLOATS:
        add("finite", f"NOT ISFINITE({value})", f"{name} is {{cell}}, which is no finite number",
            f"leave {name} empty where it is not known")  # fmt: skip
    if target in STAMPS | {"DATE", ZONED} and source in STAMPS | {"DATE", ZONED, "VARCHAR"}:
        add("finite", f"NOT ISFINITE({value})", f"{name} is {{cell}}, which is no moment",
            f"leave {name} empty where it is not known")  # fmt: skip
    if column.length is not None:
        longer = f"{name} is longer than {column.length} characters: {{cell}}"
        add("length", f"LENGTH({value}) > {column.length}", longer,
            f"shorten {name}, or widen VARCHAR({column.length}) in the contract")  # fmt: skip
    return rules


def _loss_rules(column: Column, source: str, target: str) -> list[Rule]:
    """Rules against casts that would lose a part of the value without an error."""
    name = column.name
    raw, value = f'"raw.{name}"', f'"{name}"'
    inexact = source in FLOATS or source.startswith("DECIMAL")
    fraction = f"({raw} LIKE '%.%' OR {raw} LIKE '%e%' OR {raw} LIKE '%E%')" if source == "VARCHAR" else ""
    if target in INTEGERS and (fraction or inexact):
        differs = f"TRY_CAST({raw} AS DOUBLE) <> CAST({value} AS DOUBLE)"
        if source in FLOATS:
            # From 2^53 on a DOUBLE does not hold every integer: which one was meant is lost.
            differs += f" OR ABS({raw}) >= 9007199254740992"
        return [Rule(
            "whole", name, f"{fraction} AND {differs}" if fraction else differs,
            f"{name} is {{cell}}, which is no whole number", f"round {name} yourself, or make it DECIMAL or DOUBLE",
            (name,),
        )]  # fmt: skip
    if target.startswith("DECIMAL") and (fraction or inexact):
        # Binary fractions are never exact: what differs by less than rounding noise is meant to be equal.
        number = f"TRY_CAST({raw} AS DOUBLE)"
        differs = f"ABS({number} - CAST({value} AS DOUBLE)) > 1e-9 * GREATEST(1, ABS({number}))"
        return [Rule(
            "places", name, f"{fraction} AND {differs}" if fraction else differs,
            f"{name} is {{cell}}, which has more decimal places than {target}",
            f"round {name} yourself, or widen its type in the contract", (name,),
        )]  # fmt: skip
    if target == "DATE" and source in STAMPS | {ZONED, "VARCHAR"}:
        if source == "VARCHAR":
            differs = f"LENGTH({raw}) > 10 AND TRY_CAST({raw} AS TIMESTAMP) <> CAST({value} AS TIMESTAMP)"
        else:
            moment = f"({raw} AT TIME ZONE 'UTC')" if source == ZONED else raw
            differs = f"CAST({moment} AS TIMESTAMP) <> CAST({value} AS TIMESTAMP)"
        return [Rule(
            "date", name, differs, f"{name} is {{cell}}, a moment where the contract has a DATE",
            f"cut {name} to its day, or make it TIMESTAMP in the contract", (name,),
        )]  # fmt: skip
    return []


def _example(target: str) -> str:
    if target in INTEGERS:
        return "a whole number such as 42"
    if _numeric(target):
        return "a number such as 4.2"
    shown = {"DATE": "2024-01-31", "BOOLEAN": "true or false", "TIME": "13:05:00"}
    if target in STAMPS or target == ZONED:
        return "2024-01-31 13:05:00 (UTC, or with an offset)"
    return shown.get(re.sub(r"\(.*", "", target), f"a {target}")
