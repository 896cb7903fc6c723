"""How DuckDB reads files: each function returns a SELECT, or the columns, of files of one format.

A scan offers columns under the names asked for and ``_file``, the place of a row's file in the list.
Rows come in file order. Text formats come as text: casting is the contract's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prodsense.engines.duckdb import DuckDBEngine

#: Longest row that is read at full speed; longer ones take the tolerant reader.
MAX_ROW_BYTES = 16 * 1024 * 1024


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A quoted identifier."""
    return '"' + text.replace('"', '""') + '"'


def _list(files: Sequence[str]) -> str:
    # Brackets, stars and question marks in a real file's name must not act as a pattern again.
    escaped = (file.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]") for file in files)
    return "[" + ", ".join(literal(file) for file in escaped) + "]"


def _columns(mapping: Mapping[str, str]) -> str:
    return "".join(f"{name(source)} AS {name(target)}, " for target, source in mapping.items())


def parquet_columns(engine: DuckDBEngine, files: Sequence[str]) -> dict[str, str]:
    """Column → type over all `files`, by name."""
    rows = engine.raw(f"DESCRIBE SELECT * FROM {_parquet(files)}").fetchall()
    return {row[0]: row[1] for row in rows}


def _parquet(files: Sequence[str]) -> str:
    union = ", union_by_name = true" if len(files) > 1 else ""
    return f"read_parquet({_list(files)}{union}, hive_partitioning = false)"


def parquet(files: Sequence[str], mapping: Mapping[str, str]) -> str:
    """Parquet files; `mapping` is offered name → file's name."""
    return f"SELECT {_columns(mapping)}file_index AS _file FROM {_parquet(files)}"


def parquet_rows(file: str) -> str:
    """All columns of one file and ``_row``, the row's number from 1."""
    return f"SELECT *, file_row_number + 1 AS _row FROM {_parquet([file])}"


def csv(files: Sequence[str], header: Sequence[str], delimiter: str, mapping: Mapping[str, int]) -> str:
    """CSV files with a header of so many fields, strictly read; `mapping` is offered name → field number."""
    spec = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(header)))
    picked = "".join(f"c{i} AS {name(target)}, " for target, i in mapping.items())
    return (
        f"SELECT {picked}file_index AS _file FROM read_csv({_list(files)}, auto_detect = false, header = true,"
        f" delim = {literal(delimiter)}, quote = '\"', escape = '\"', strict_mode = true,"
        f" max_line_size = {MAX_ROW_BYTES}, buffer_size = {2 * MAX_ROW_BYTES}, columns = {{{spec}}})"
    )


def json_lines(files: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str] | None = None) -> str:
    """Newline-delimited JSON objects, all columns as text.

    A line that is no object comes as a row of NULLs, blank lines not at all. With `types` (offered name →
    type) the engine parses straight into them, which is faster; what does not fit comes as NULL.
    """
    kinds = types or {}
    spec = ", ".join(f"{literal(key)}: '{kinds.get(target, 'VARCHAR')}'" for target, key in mapping.items())
    return (
        f"SELECT {_columns(mapping)}file_index AS _file FROM read_json({_list(files)}, format = 'newline_delimited',"
        f" ignore_errors = true, columns = {{{spec}}}, hive_partitioning = false)"
    )


def describe(engine: DuckDBEngine, select: str) -> dict[str, str]:
    """Column → type of any SELECT."""
    return {row[0]: row[1] for row in engine.raw(f"DESCRIBE {select}").fetchall()}
