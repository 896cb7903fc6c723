"""Where a method's rows come from: a relation of an engine, a file, or data in memory, with columns by name.

What every method does before its first statement stands here once: find the relation, find the columns as it
spells them, refuse a condition that does not parse, and say what there is where a name is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prodsense.engines.base import quoted
from prodsense.errors import EngineError, UnsupportedError, UsageError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine

#: Endings of files that can be read in place.
FILES = (".csv", ".tsv", ".parquet", ".ndjson", ".jsonl")


def is_file(name: str) -> bool:
    """Whether `name` is meant as a file to read in place, by its ending."""
    return Path(name).suffix.lower() in FILES


def read_file(path: str | Path) -> pa.Table:
    """A file as Arrow data; types of CSV and NDJSON are found by reading."""
    file = Path(path).expanduser()
    ending = file.suffix.lower()
    if ending not in FILES:
        raise UsageError(f"{path}: not a file to read in place; the ending should be one of {', '.join(FILES)}")
    if not file.is_file():
        raise UsageError(f"{path}: there is no such file")
    from prodsense.engines.duckdb import DuckDBEngine

    quoted_path = "'" + str(file).replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("'", "''") + "'"
    reader = {".parquet": "read_parquet", ".csv": "read_csv", ".tsv": "read_csv"}.get(ending, "read_ndjson")
    engine = DuckDBEngine()
    try:
        # A whole file is looked at before a type is chosen: a guess from a sample can fail in the middle.
        whole = "" if ending == ".parquet" else ", sample_size = -1"
        return engine.raw(f"SELECT * FROM {reader}({quoted_path}{whole})", fetch=True)
    except EngineError as error:
        raise UsageError(f"{path} cannot be read: {error.message}") from None
    finally:
        engine.close()


def read_data(data: Any) -> Any:
    """Data that an engine can register: of a file, an answer, Arrow data, a frame or rows; else UnsupportedError."""
    import pyarrow as pa

    if isinstance(data, str | Path):
        return read_file(data)
    if isinstance(data, pa.Table):
        return data
    if isinstance(getattr(data, "arrow", None), pa.Table):
        return data.arrow
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    if hasattr(data, "to_arrow"):
        return data.to_arrow()
    if isinstance(data, Mapping):
        return pa.table(dict(data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return pa.Table.from_pylist(list(data))
    raise UnsupportedError(
        f"rows cannot be read from {type(data).__name__};"
        " give a file, an Arrow table, a pandas or Polars frame, or rows"
    )


class Holder:
    """What holds data in memory for as long as it is used; see `held`."""

    _owned: ExitStack | None

    def close(self) -> None:
        """Release the engine and data of `read`; nothing to do for a relation of a warehouse."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def held(rows: pa.Table, engine: Engine | None) -> Iterator[tuple[Engine, str, ExitStack]]:
    """Rows as a relation of an engine, by default one in memory, and what releases them: at once if the block fails."""
    from prodsense.engines import open_engine

    owned = ExitStack()
    try:
        if engine is None:
            engine = open_engine(":memory:")
            owned.callback(engine.close)
        yield engine, owned.enter_context(engine.temporary(rows)), owned
    except BaseException:
        owned.close()
        raise


def relation_columns(engine: Engine, relation: str) -> dict[str, Any]:
    """Column of a relation → its Arrow type; UsageError when there is no such relation."""
    try:
        found = engine.query(f"SELECT * FROM {quoted(relation)} LIMIT 0")
    except EngineError:
        known = set(engine.relations())
        if "." not in relation:
            known |= {name.split(".")[-1] for name in known}
        raise UsageError(f"no table, view or model named {relation}.{did_you_mean(relation, known)}") from None
    return {name: found.schema.field(name).type for name in found.column_names}


def find_column(schema: Mapping[str, Any], name: str, role: str, label: str) -> str:
    """The column called `name` as the relation spells it; UsageError, naming `label` and `role`, when there is none."""
    if name in schema:
        return name
    same = [column for column in schema if column.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    hint = did_you_mean(name, set(schema)) or f" It has: {', '.join(schema)}"
    raise UsageError(f"{label} has no column {name} (asked for as {role}).{hint}")


def find_number(schema: Mapping[str, Any], name: str, role: str, label: str) -> str:
    """`find_column`, of a column that holds numbers; UsageError when it holds something else."""
    import pyarrow as pa

    column = find_column(schema, name, role, label)
    kind = schema[column]
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    if not any(test(kind) for test in tests):
        raise UsageError(f"{label}: {column} holds {kind}, not numbers (asked for as {role})")
    return column


def condition_sql(where: str, schema: Mapping[str, Any] | None = None, label: str = "") -> str:
    """A user's condition as SQL that may stand in a statement; empty for none, SqlError when it does not parse.

    With the `schema` of the relation called `label`, UsageError for a column that it does not have.
    """
    if not where:
        return ""
    from sqlglot import exp

    from prodsense.engines.dialect import render
    from prodsense.metrics.filters import read_filter

    tree = read_filter(where)
    for column in tree.find_all(exp.Column) if schema is not None else ():
        find_column(schema or {}, column.name, "condition", label)
    return render(tree, "duckdb")
