"""Who was forgotten: their rows are refused when a file brings them again.

Kept is no name but a salted digest of the value, by relation and column. Rows that refer to a forgotten row are
refused with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import SYSTEM_SCHEMA, comma
from prodsense.engines.dialect import render
from prodsense.ingest import ledger
from prodsense.ingest.rules import FORGOTTEN, Rule

if TYPE_CHECKING:
    from prodsense.contracts.tables import Table
    from prodsense.engines.base import Engine

RELATION = f"{SYSTEM_SCHEMA}.forgotten"
#: `condition` narrows which rows the value is meant for; empty for all. One salt for a warehouse.
COLUMNS = {
    "seq": "BIGINT", "relation": "VARCHAR", "column_name": "VARCHAR", "condition": "VARCHAR", "digest": "VARCHAR",
    "salt": "VARCHAR", "at": "TIMESTAMP",
}  # fmt: skip


def rules(engine: Engine, table: Table, typed: Iterable[str]) -> list[Rule]:
    """Rules that refuse the rows of forgotten people, over those columns of `table` that a source has (`typed`)."""
    if engine.columns(RELATION) is None:
        return []
    parents = {(r.table, r.target[0]): r.columns[0] for r in table.references if len(r.target) == 1}
    known = engine.query(f"SELECT DISTINCT relation, column_name, condition, salt FROM {RELATION}").to_pylist()
    found = []
    for entry in sorted(known, key=lambda row: (row["relation"], row["column_name"], row["condition"])):
        where = (entry["relation"], entry["column_name"])
        columns = [entry["column_name"]] if entry["relation"] == table.relation else []
        if where in parents and parents[where] not in columns:
            columns.append(parents[where])
        for column in columns:
            if column not in typed:
                continue
            digests = f"SELECT digest FROM {RELATION} WHERE " + " AND ".join(
                f"{name} = {_text(entry[name])}" for name in ("relation", "column_name", "condition")
            )
            condition = f"{digest_sql(comma([column]), entry['salt'])} IN ({digests})"
            if entry["condition"]:
                condition = f"({render(entry['condition'], 'duckdb')}) AND {condition}"
            found.append(Rule(
                FORGOTTEN, column, f"COALESCE({condition}, FALSE)", "is about somebody who was forgotten",
                "nothing: it is left out on purpose",
            ))  # fmt: skip
    return found


def digest_sql(column: str, salt: str) -> str:
    """SQL of the digest of a column's value, on DuckDB."""
    return f"SHA256({_text(salt)} || CAST({column} AS VARCHAR))"


def digest(value: Any, salt: str) -> str:
    """The same of a value in Python; texts and whole numbers are written as DuckDB writes them."""
    import hashlib

    return hashlib.sha256(f"{salt}{value}".encode()).hexdigest()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def record(engine: Engine, seq: int, entries: Sequence[tuple[str, str, str, Any]]) -> None:
    """Remember values by (relation, column, condition, value); inside a transaction."""
    import secrets

    import pyarrow as pa

    engine.create_table(RELATION, COLUMNS)
    held = engine.query(f"SELECT MIN(salt) AS salt FROM {RELATION}")["salt"][0].as_py()
    salt = held or secrets.token_hex(16)
    at = ledger.now()
    rows = [
        {"seq": seq, "relation": relation, "column_name": column, "condition": condition, "digest": digest(value, salt),
         "salt": salt, "at": at}
        for relation, column, condition, value in dict.fromkeys(entries)
    ]  # fmt: skip
    kinds = {"seq": pa.int64(), "at": pa.timestamp("us")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    engine.append(RELATION, pa.Table.from_pylist(rows, schema=schema))
