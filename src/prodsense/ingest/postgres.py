"""A PostgreSQL table as a source, read in batches through a server-side cursor.

``postgresql://user@host/db?table=schema.name``; needs the extra ``prodsense[postgres]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from prodsense.errors import ContractError, UnsupportedError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows fetched at a time.
BATCH = 50_000

#: PostgreSQL type → Arrow type; all others travel as text and are cast by the contract.
_ARROW = {
    "bool": "bool", "int2": "int16", "int4": "int32", "int8": "int64", "float4": "float32", "float8": "float64",
    "date": "date32",
}  # fmt: skip


def split_url(url: str) -> tuple[str, str]:
    """(connection URL, ``schema.name``) of a source URL; UsageError when it names no table."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    table = options.pop("table", "")
    if not re.fullmatch(r"[^.]+(\.[^.]+)?", table):
        raise UsageError("a PostgreSQL source names its table: postgresql://user@host/db?table=schema.name")
    return urlunsplit(parts._replace(query=urlencode(options))), table


def table_of(url: str) -> str:
    """The bare table name that a source URL reads."""
    return split_url(url)[1].split(".")[-1]


@contextmanager
def read_table(url: str) -> Iterator[pa.RecordBatchReader]:
    """Offer the rows of a PostgreSQL table as a stream of Arrow batches, all of one snapshot.

    Raises UnsupportedError without psycopg, ContractError when the server or the table cannot be read.
    """
    import pyarrow as pa

    try:
        import psycopg
        from psycopg import sql
    except ImportError:
        raise UnsupportedError("reading PostgreSQL needs psycopg: pip install 'prodsense[postgres]'") from None
    target, table = split_url(url)
    schema, _, name = table.rpartition(".")
    try:
        connection = psycopg.connect(target, connect_timeout=10)
    except psycopg.Error as error:
        raise ContractError(f"PostgreSQL cannot be reached: {str(error).strip().splitlines()[0]}") from None
    with connection:
        try:
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("SET TIME ZONE 'UTC'")
            relation = sql.Identifier(schema, name) if schema else sql.Identifier(name)
            probe = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation))
            columns = [(c.name, _type_name(connection, c.type_code)) for c in probe.description or ()]
            picked = sql.SQL(", ").join(
                sql.Identifier(column) if kind in _ARROW else sql.SQL("{}::text").format(sql.Identifier(column))
                for column, kind in columns
            )
            cursor = connection.cursor(name="prodsense_ingest", binary=False)
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(picked, relation))
        except psycopg.Error as error:
            raise ContractError(f"{table}: {str(error).strip().splitlines()[0]}") from None
        shape = pa.schema([(column, _arrow(kind)) for column, kind in columns])

        def batches() -> Iterator[pa.RecordBatch]:
            while rows := cursor.fetchmany(BATCH):
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array(values, field.type)
                        for values, field in zip(zip(*rows, strict=True), shape, strict=True)
                    ],
                    schema=shape,
                )

        try:
            yield pa.RecordBatchReader.from_batches(shape, batches())
        finally:
            cursor.close()


def _type_name(connection: Any, oid: int) -> str:
    info = connection.adapters.types.get(oid)
    return info.name if info else ""


def _arrow(kind: str) -> pa.DataType:
    import pyarrow as pa

    named = _ARROW.get(kind)
    return getattr(pa, {"bool": "bool_"}.get(named, named))() if named else pa.string()
