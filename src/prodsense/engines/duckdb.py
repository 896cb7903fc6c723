"""DuckDB inside this process: the default engine.

A warehouse file has one owning process. It is attached under a fixed catalogue name, so that a file
called like a pack (``delivery.duckdb``) cannot make ``delivery.fact_orders`` ambiguous.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prodsense.engines.base import Params, comma, quoted
from prodsense.engines.dialect import render
from prodsense.errors import EngineError, LockedError, ProdsenseError, TooLongError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from prodsense.engines.base import Sql

#: The catalogue name under which the warehouse is attached.
CATALOG = "warehouse"

_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
E = TypeVar("E", bound="DuckDBEngine")
_counter = itertools.count(1)


class DuckDBEngine:
    """See `prodsense.engines.base.Engine`. `location` is a path or ``:memory:``."""

    name = "duckdb"
    dialect = "duckdb"
    dear_statements = False

    def __init__(self, location: str | Path = ":memory:", *, read_only: bool = False, threads: int | None = None):
        import duckdb

        self.location = str(location)
        self.read_only = read_only
        self._lock = threading.RLock()
        self._depth = 0
        self._con = duckdb.connect(config={"threads": threads} if threads else {})
        path = self.location
        if path != ":memory:" and not Path(path).expanduser().parent.is_dir():
            raise EngineError(f"{path}: its folder does not exist; create it or name another warehouse")
        target = path if path == ":memory:" else str(Path(path).expanduser())
        options = " (READ_ONLY)" if read_only else ""
        try:
            self._con.execute(f"ATTACH '{target.replace(chr(39), chr(39) * 2)}' AS {CATALOG}{options}")
        except duckdb.Error as error:
            self._con.close()
            raise _cannot_open(path, error) from None
        self._settle()
        if path != ":memory:":
            spill = target + ".tmp"
            self._con.execute(f"SET temp_directory = '{spill.replace(chr(39), chr(39) * 2)}'")

    def _settle(self) -> None:
        """Settings that DuckDB keeps apart for each session."""
        # Times are UTC (DESIGN §7); a machine's zone must not leak into casts of timestamps with an offset.
        self._con.execute(f"USE {CATALOG}.main; SET TimeZone = 'UTC'; SET enable_progress_bar = false")

    def session(self) -> DuckDBEngine:
        """Another session on the same warehouse, for another thread; closing it leaves the warehouse open."""
        return self._beside(DuckDBEngine)

    def reader(self) -> DuckDBReader:
        """Another session that only reads: inside `transaction` only, where it sees one version of everything,
        whatever others write."""
        found = self._beside(DuckDBReader)
        found.read_only = True
        return found

    def _beside(self, kind: type[E]) -> E:
        other = object.__new__(kind)
        other.location, other.read_only = self.location, self.read_only
        other._lock, other._depth = threading.RLock(), 0
        with self._lock:
            other._con = self._con.cursor()
        other._settle()
        return other

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The raw connection, for what only DuckDB does (reading files)."""
        return self._con

    def render(self, sql: Sql) -> str:
        return render(sql, self.dialect)

    def query(self, sql: Sql, params: Params | None = None) -> pa.Table:
        return self._run(self.render(sql), params, fetch=True)

    def execute(self, sql: Sql, params: Params | None = None) -> None:
        self._run(self.render(sql), params)

    def raw(self, sql: str, params: Params | None = None, *, fetch: bool = False) -> Any:
        """Run DuckDB's own SQL as it stands; only engine code and file scans do that."""
        return self._run(sql, params, fetch=fetch)

    def _run(self, sql: str, params: Params | None = None, *, fetch: bool = False) -> Any:
        import duckdb

        used = {name: params[name] for name in set(_PARAMETER.findall(sql)) if name in params} if params else None
        with self._lock:
            try:
                if fetch:
                    return self._con.sql(sql, params=used or None).to_arrow_table()
                return self._con.execute(sql, used or None)
            except duckdb.Error as error:
                raise EngineError(_first_line(error)) from error

    def _count(self, sql: str, params: Params | None = None) -> int:
        with self._lock:
            rows = self._run(sql, params).fetchall()
            return int(rows[0][0]) if rows else 0

    def relations(self, schema: str | None = None) -> dict[str, str]:
        rows = self._run(
            "SELECT schema_name || '.' || table_name, 'table' FROM duckdb_tables() WHERE database_name = $catalog"
            " UNION ALL SELECT schema_name || '.' || view_name, 'view' FROM duckdb_views()"
            " WHERE database_name = $catalog AND NOT internal",
            {"catalog": CATALOG},
        ).fetchall()
        return {name: kind for name, kind in rows if schema is None or name.split(".")[0] == schema}

    def columns(self, relation: str) -> dict[str, str] | None:
        schema, _, name = relation.rpartition(".")
        rows = self._run(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = $catalog"
            " AND schema_name = $schema AND table_name = $name ORDER BY column_index",
            {"catalog": CATALOG, "schema": schema or "main", "name": name},
        ).fetchall()
        return dict(rows) or None

    def described(self) -> dict[str, tuple[str, dict[str, str]]]:
        """All relations with their kind and columns, in one question."""
        found = {name: (kind, dict[str, str]()) for name, kind in self.relations().items()}
        rows = self._run(
            "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE database_name = $catalog ORDER BY schema_name, table_name, column_index",
            {"catalog": CATALOG},
        ).fetchall()
        for name, column, kind in rows:
            if name in found:
                found[name][1][column] = kind
        return found

    def create_table(
        self, relation: str, columns: Mapping[str, str], partition: str = "", defaults: Mapping[str, str] | None = None
    ) -> None:
        self._create_schema(relation)
        existing = self.columns(relation)
        if existing is None:
            body = ", ".join(f"{comma([name])} {kind}" for name, kind in columns.items())
            self._run(f"CREATE TABLE {quoted(relation)} ({body})")
            return
        for name, kind in columns.items():
            if name not in existing:
                default = f" DEFAULT {defaults[name]}" if defaults and defaults.get(name) else ""
                self._run(f"ALTER TABLE {quoted(relation)} ADD COLUMN {comma([name])} {kind}{default}")

    def create_view(self, relation: str, select: Sql) -> None:
        self._create_schema(relation)
        self._run(f"CREATE OR REPLACE VIEW {quoted(relation)} AS {self.render(select)}")

    def replace(self, relation: str, select: Sql, params: Params | None = None, partition: str = "") -> int:
        self._create_schema(relation)
        return self._count(f"CREATE OR REPLACE TABLE {quoted(relation)} AS {self.render(select)}", params)

    def replace_partitions(
        self, relation: str, select: Sql, column: str, values: Sequence[Any], params: Params | None = None
    ) -> int:
        import pyarrow as pa

        with self.transaction(), self.temporary(pa.table({"value": list(values)})) as wanted:
            self._run(f"DELETE FROM {quoted(relation)} WHERE {comma([column])} IN (SELECT value FROM {wanted})")
            return self.insert(relation, select, params)

    def insert(self, relation: str, select: Sql, params: Params | None = None) -> int:
        return self._count(f"INSERT INTO {quoted(relation)} BY NAME {self.render(select)}", params)

    def append(self, relation: str, rows: pa.Table) -> int:
        with self.temporary(rows) as name:
            return self._count(f"INSERT INTO {quoted(relation)} BY NAME FROM {name}")

    def overwrite(self, relation: str, rows: pa.Table) -> None:
        with self.transaction():
            self._run(f"DELETE FROM {quoted(relation)}")
            self.append(relation, rows)

    def partition_rows(self, relation: str) -> dict[str | None, int] | None:
        return None

    def is_empty(self, relation: str) -> bool:
        return not self._run(f"FROM {quoted(relation)} LIMIT 1").fetchall()

    def merge(self, relation: str, select: Sql, key: Sequence[str], params: Params | None = None) -> None:
        # Staged once: `select` may read the very rows that are deleted.
        staged = f"temp.main.merge_{next(_counter)}"
        with self.transaction():
            self._run(f"CREATE TEMP TABLE {staged} AS {self.render(select)}", params)
            match = " AND ".join(f"old.{comma([k])} = new.{comma([k])}" for k in key)
            self._run(f"DELETE FROM {quoted(relation)} AS old USING {staged} AS new WHERE {match}")
            self._run(f"INSERT INTO {quoted(relation)} BY NAME SELECT * FROM {staged}")
            self._run(f"DROP TABLE {staged}")

    def delete(self, relation: str, where: Sql, params: Params | None = None) -> int:
        return self._count(f"DELETE FROM {quoted(relation)} WHERE {self.render(where)}", params)

    def drop(self, relation: str) -> None:
        kind = self.relations().get(relation)
        if kind:
            self._run(f"DROP {kind} {quoted(relation)}")

    @contextmanager
    def temporary(self, data: Any) -> Iterator[str]:
        name = f"arrow_{next(_counter)}"
        with self._lock:
            self._con.register(name, data)
        try:
            yield name
        finally:
            with self._lock, suppress(Exception):
                self._con.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            if self._depth == 0:
                self._run("BEGIN TRANSACTION")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    with suppress(ProdsenseError):
                        self._run("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._run("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._con.close()

    def _create_schema(self, relation: str) -> None:
        schema, _, _ = relation.rpartition(".")
        if schema:
            self._run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")


class DuckDBReader(DuckDBEngine):
    """A session that only reads. A statement that fails does not spoil the transaction for those after it."""

    #: What exists in the version that is read (`described`), where the caller knows it: it is then not asked again.
    known: Mapping[str, tuple[str, dict[str, str]]] | None = None
    #: Why it answers no more (`give_up`); whoever gave it up empties this again.
    given_up: str = ""

    def give_up(self, why: str) -> None:
        """Stop the statement that runs, from another thread: it and all that follow it raise TooLongError."""
        self.given_up = why
        self._con.interrupt()

    def relations(self, schema: str | None = None) -> dict[str, str]:
        if self.known is None:
            return super().relations(schema)
        return {n: kind for n, (kind, _) in self.known.items() if schema is None or n.split(".")[0] == schema}

    def columns(self, relation: str) -> dict[str, str] | None:
        if self.known is None or "." not in relation:
            return super().columns(relation)
        found = self.known.get(relation)
        return dict(found[1]) if found else None

    def _run(self, sql: str, params: Params | None = None, *, fetch: bool = False) -> Any:
        if sql == "BEGIN TRANSACTION":
            sql = "BEGIN TRANSACTION READ ONLY"
        elif sql not in ("COMMIT", "ROLLBACK"):
            if not self._depth:
                raise EngineError("a session that only reads asks inside transaction()")
            if self.given_up:
                raise TooLongError(self.given_up)
        try:
            return super()._run(sql, params, fetch=fetch)
        except EngineError:
            if self._depth:
                # DuckDB refuses everything after an error until the end of the transaction: go on in a new one.
                with self._lock:
                    self._con.execute("ROLLBACK")
                    self._con.execute("BEGIN TRANSACTION READ ONLY")
            if self.given_up:
                raise TooLongError(self.given_up) from None
            raise


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _cannot_open(path: str, error: Exception) -> ProdsenseError:
    text = str(error)
    if "lock" in text.lower():
        holder = re.search(r"held in (.+?) \(PID (\d+)\)", text)
        who = f"process {holder.group(2)} ({holder.group(1)})" if holder else "another process"
        return LockedError(
            f"{path} is in use by {who}: a warehouse file has one owner; wait for it, stop it, or use another file (-w)"
        )
    if "does not exist" in text or "cannot open" in text.lower():
        return EngineError(f"{path} cannot be opened: {_first_line(error)}")
    return EngineError(f"{path} is no warehouse that can be read: {_first_line(error)}")
