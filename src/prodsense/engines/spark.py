"""Spark: the same definitions on a distributed engine, over a lake of Parquet (`prodsense.engines.lake`).

Views are kept as text and written into the queries that read them; they are always fresh.
Times are UTC: the session runs with time zone UTC, and results carry times without a zone, as
DuckDB's do.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import Params
from prodsense.engines.dialect import expand_macros, parse, unordered, write
from prodsense.engines.lake import Lake, arrow_rows, conformed, readable_rows, without_zone, write_rows, written_parts
from prodsense.engines.records import Records, is_record
from prodsense.errors import EngineError, SqlError, UnsupportedError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from prodsense.engines.base import Sql

#: More folders than this in one unpartitioned table are written together at the next append.
COMPACT_ABOVE = 32
_TO_SPARK = {"VARCHAR": "STRING", "JSON": "STRING", "INTEGER": "INT", "HUGEINT": "DECIMAL(38,0)", "REAL": "FLOAT"}
_FROM_SPARK = {"string": "VARCHAR", "int": "INTEGER", "timestamp_ntz": "TIMESTAMP"}
_counter = itertools.count(1)

#: What a session of our own is started with; an existing session keeps its own.
SESSION = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
    "spark.log.level": "ERROR",
    # Errors carry the SQL's own position; Python's call sites cost time in every call.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC",
}
#: For a few thousand rows (tests, demos) it is planning and compiling that takes the time: do less of it.
TINY = {
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
#: Settings of the SQL session that results depend on; set on a session of our own making only.
SEMANTICS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    # The lake writes folders and names them in its manifest: no marker files are needed.
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


class SparkEngine:
    """See `prodsense.engines.base.Engine`. `location` is the lake's folder, seen by driver and workers."""

    name = "spark"
    dialect = "spark"
    dear_statements = True

    def __init__(
        self,
        location: str | Path | None = None,
        *,
        session: Any = None,
        read_only: bool = False,
        options: Mapping[str, str] | None = None,
    ):
        self._owns_session = session is None
        self.session = start_session(options or {}) if session is None else _own_settings(session)
        if location is None:
            location = str(self.session.conf.get("spark.sql.warehouse.dir")).removeprefix("file:") + "/prodsense"
        self.location = str(location)
        if "://" in self.location and not self.location.startswith("file://"):
            raise UnsupportedError(
                f"{self.location}: a lake needs a folder that can be renamed into; mount the store as a path"
            )
        self.read_only = read_only
        self._lake = Lake(self.location.removeprefix("file://"), read_only=read_only)
        self._records = Records(self._lake)
        self._view_columns: dict[str, dict[str, str]] = {}
        self._depth = 0
        self._registered: dict[str, str] = {}

    # -- statements --------------------------------------------------------------------------------

    def render(self, sql: Sql) -> str:
        return write(self._resolve(sql), "spark")

    def _resolve(self, sql: Sql) -> exp.Expression:
        """Expand macros and views, and name the session's temporary views in place of relations."""
        from sqlglot import exp

        tree = expand_macros(parse(sql) if isinstance(sql, str) else sql, "spark")
        for _ in range(50):
            views = [
                table for table in tree.find_all(exp.Table)
                if table.db and f"{table.db}.{table.name}".lower() in self._lake.manifest["views"]
            ]
            if not views:
                break
            for table in views:
                text = self._lake.manifest["views"][f"{table.db}.{table.name}".lower()]
                inner = expand_macros(parse(text), "spark")
                subquery = exp.Subquery(
                    this=inner, alias=exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
                )
                if table.args.get("joins"):
                    subquery.set("joins", table.args["joins"])
                if table is tree:
                    tree = subquery
                else:
                    table.replace(subquery)
        else:
            raise SqlError("views refer to each other in a circle")
        for table in list(tree.find_all(exp.Table)):
            if not table.db:
                continue
            relation = f"{table.db}.{table.name}".lower()
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            table.set("this", exp.to_identifier(self._register(relation)))
            table.set("db", None)
            table.set("catalog", None)
        for column in tree.find_all(exp.Column):
            if column.args.get("db"):
                column.set("db", None)
        return tree

    def _frame(self, sql: Sql, params: Params | None = None) -> Any:
        from sqlglot import exp

        tree = self._resolve(sql)
        used = {p.name for p in tree.find_all(exp.Placeholder)}
        given = {name: _aware(params[name]) for name in used if params and name in params}
        missing = used - set(given)
        if missing:
            raise EngineError(f"no value for parameter {', '.join(sorted(missing))}")
        return self._run(lambda: self.session.sql(write(tree, "spark"), args=given or None))

    def _run(self, action: Any) -> Any:
        from pyspark.errors import PySparkException

        try:
            return action()
        except PySparkException as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise EngineError(lines[0] if lines else type(error).__name__) from error

    def query(self, sql: Sql, params: Params | None = None) -> pa.Table:
        tree = parse(sql) if isinstance(sql, str) else sql
        if self._records.only(tree):
            return self._records.query(tree, params)
        frame = self._frame(tree, params)
        return without_zone(self._run(frame.toArrow))

    def execute(self, sql: Sql, params: Params | None = None) -> None:
        from sqlglot import exp

        tree = parse(sql) if isinstance(sql, str) else sql
        if isinstance(tree, exp.Insert) and isinstance(tree.expression, exp.Query):
            target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
            self.insert(f"{target.db}.{target.name}", tree.expression, params)
        elif isinstance(tree, exp.Delete):
            where = tree.args.get("where")
            self.delete(f"{tree.this.db}.{tree.this.name}", where.this if where else exp.true(), params)
        elif isinstance(tree, exp.Drop):
            for table in tree.find_all(exp.Table):
                self.drop(f"{table.db}.{table.name}")
        elif isinstance(tree, exp.Query):
            self._run(self._frame(tree, params).collect)
        else:
            raise UnsupportedError(f"{tree.key.upper()} is not run on spark; use the engine's own methods")

    # -- relations ---------------------------------------------------------------------------------

    def relations(self, schema: str | None = None) -> dict[str, str]:
        manifest = self._lake.manifest
        found = dict.fromkeys(manifest["tables"], "table") | dict.fromkeys(manifest["views"], "view")
        return {name: kind for name, kind in sorted(found.items()) if schema is None or name.split(".")[0] == schema}

    def columns(self, relation: str) -> dict[str, str] | None:
        if relation in self._lake.manifest["tables"]:
            return {n: _from_spark(t) for n, t in self._lake.manifest["tables"][relation]["columns"].items()}
        if relation in self._lake.manifest["views"]:
            if relation not in self._view_columns:
                fields = self._frame(self._lake.manifest["views"][relation]).schema.fields
                self._view_columns[relation] = {f.name: _from_spark(f.dataType.simpleString()) for f in fields}
            return self._view_columns[relation]
        return None

    def create_table(
        self,
        relation: str,
        columns: Mapping[str, str],
        partition: str = "",
        defaults: Mapping[str, str] | None = None,
    ) -> None:
        with self.transaction():
            table = self._lake.manifest["tables"].get(relation)
            wanted = {name: _to_spark(kind) for name, kind in columns.items()}
            if table is None:
                table = {"columns": wanted, "partition": partition, "parts": []}
                if is_record(relation, partition):
                    table["record"] = True
                self._lake.manifest["tables"][relation] = table
                return
            added = {name: kind for name, kind in wanted.items() if name not in table["columns"]}
            if not added:
                return
            with_default = {n: defaults[n] for n in added if defaults and defaults.get(n)}
            if with_default and table["parts"]:
                chosen = ", ".join(f"CAST({value} AS {wanted[n]}) AS {_tick(n)}" for n, value in with_default.items())
                frame = self._run(
                    lambda: self.session.sql(f"SELECT *, {chosen} FROM {self._register(relation)}")
                )
                table["columns"] |= added
                self._store(relation, frame, keep=lambda part: False)
            else:
                # A folder without the column reads as NULL under the wider schema.
                table["columns"] |= added
            self._forget(relation)

    def _forget(self, relation: str) -> None:
        """Rows or columns of `relation` are about to be others."""
        self._registered.pop(relation, None)
        self._view_columns.clear()

    def create_view(self, relation: str, select: Sql) -> None:
        from sqlglot import exp

        text = select if isinstance(select, str) else select.sql("duckdb", comments=False)
        tree = parse(text)
        if not isinstance(tree, exp.Query):
            raise SqlError(f"{relation}: a view is one SELECT")
        if self._lake.manifest["views"].get(relation) == text:
            return
        with self.transaction():
            self._frame(text)  # Unknown tables and columns are errors now, not at first use.
            self._lake.manifest["views"][relation] = text
            self._forget(relation)

    def drop(self, relation: str) -> None:
        with self.transaction():
            self._lake.manifest["tables"].pop(relation, None)
            self._lake.manifest["views"].pop(relation, None)
            self._forget(relation)

    # -- rows --------------------------------------------------------------------------------------

    def replace(self, relation: str, select: Sql, params: Params | None = None, partition: str = "") -> int:
        with self.transaction():
            frame = self._frame(unordered(select), params)
            table: dict[str, Any] = {
                "columns": {f.name: _stored(f.dataType.simpleString()) for f in frame.schema.fields},
                "partition": partition or (self._lake.manifest["tables"].get(relation) or {}).get("partition", ""),
                "parts": [],
            }
            # The rows may come from the table itself: its old folders stay until they are swept.
            self._lake.manifest["tables"][relation] = table
            self._view_columns.clear()
            return self._store(relation, frame, keep=lambda part: False)

    def replace_partitions(
        self, relation: str, select: Sql, column: str, values: Sequence[Any], params: Params | None = None
    ) -> int:
        with self.transaction():
            table = self._table(relation)
            if table["partition"] != column:
                frame = self._frame(select, params)
                texts = {_text(v) for v in values}
                kept = self.session.table(self._register(relation))
                from pyspark.sql import functions as f

                outside = kept.where(~f.col(column).cast("string").isin(sorted(t for t in texts if t is not None)))
                return self._store(relation, outside.unionByName(frame), keep=lambda part: False) - outside.count()
            replaced = {_text(v) for v in values}
            return self._store(relation, self._frame(select, params), keep=lambda p: p["value"] not in replaced)

    def insert(self, relation: str, select: Sql, params: Params | None = None) -> int:
        with self.transaction():
            return self._store(relation, self._frame(select, params), keep=lambda part: True)

    def append(self, relation: str, rows: pa.Table) -> int:
        import pyarrow as pa

        with self.transaction():
            table = self._table(relation)
            if not table["partition"] and len(table["parts"]) >= COMPACT_ABOVE:
                if not self._records.holds(relation):
                    with self.temporary(rows) as name:
                        return self.insert(relation, f"SELECT * FROM {name}")
                kept = conformed(self._records.read(relation), table["columns"], relation)
                self.overwrite(relation, pa.concat_tables([kept, conformed(rows, table["columns"], relation)]))
                return rows.num_rows
            return self._write(relation, rows, table["parts"])

    def overwrite(self, relation: str, rows: pa.Table) -> None:
        with self.transaction():
            self._write(relation, rows, [])

    def _write(self, relation: str, rows: pa.Table, beside: list[dict[str, Any]]) -> int:
        """Write Arrow rows from this process as new folders of a table; count them."""
        table = self._table(relation)
        version = _version(relation)
        parts, total = write_rows(self._lake.root / version, version, rows, table["columns"], table["partition"])
        self._lake.manifest["tables"][relation] = {**table, "parts": beside + parts}
        self._registered.pop(relation, None)
        return total

    def partition_rows(self, relation: str) -> dict[str | None, int] | None:
        table = self._lake.manifest["tables"].get(relation)
        if table is None or not table["partition"]:
            return None
        found: dict[str | None, int] = {}
        for part in table["parts"]:
            found[part["value"]] = found.get(part["value"], 0) + part["rows"]
        return {value: rows for value, rows in found.items() if rows}

    def is_empty(self, relation: str) -> bool:
        return not self._table(relation)["parts"]

    def merge(self, relation: str, select: Sql, key: Sequence[str], params: Params | None = None) -> None:
        with self.transaction():
            table = self._table(relation)
            new = self._frame(select, params).persist()
            old = self.session.table(self._register(relation))
            kept = old.join(new.select(*key), on=list(key), how="left_anti")
            partition = table["partition"]
            if partition:
                rows = old.join(new.select(*key), on=list(key), how="left_semi").select(partition).distinct().collect()
                touched = {_text(row[0]) for row in rows}
                from pyspark.sql import functions as f

                where = f.col(partition).cast("string").isin(sorted(t for t in touched if t is not None))
                kept = kept.where(where | f.col(partition).isNull() if None in touched else where)
                self._store(relation, kept.unionByName(new, allowMissingColumns=True),
                            keep=lambda part: part["value"] not in touched)
            else:
                self._store(relation, kept.unionByName(new, allowMissingColumns=True), keep=lambda part: False)
            new.unpersist()

    def delete(self, relation: str, where: Sql, params: Params | None = None) -> int:
        from sqlglot import exp

        condition = (parse(where) if isinstance(where, str) else where).copy()
        schema, _, name = relation.rpartition(".")
        source = exp.Table(this=exp.to_identifier(name), db=exp.to_identifier(schema))
        with self.transaction():
            table = self._table(relation)
            count = exp.select(exp.alias_(exp.func("count", exp.Star()), "n"))
            partition = table["partition"]
            if partition:
                hit = exp.select(exp.column(partition), exp.alias_(exp.func("count", exp.Star()), "n"))
                hit = hit.from_(source).where(condition).group_by(exp.column(partition))
                rows = self.query(hit, params).to_pylist()
                touched = {_text(row[partition]) for row in rows}
                deleted = sum(row["n"] for row in rows)
            else:
                touched = set()
                deleted = self.query(count.from_(source).where(condition), params).to_pylist()[0]["n"]
            if not deleted:
                return 0
            rest = exp.select("*").from_(source).where(
                exp.not_(exp.func("coalesce", exp.paren(condition), exp.false()))
            )
            frame = self._frame(rest, params)
            if partition:
                from pyspark.sql import functions as f

                here = f.col(partition).cast("string").isin(sorted(t for t in touched if t is not None))
                frame = frame.where(here | f.col(partition).isNull() if None in touched else here)
                self._store(relation, frame, keep=lambda part: part["value"] not in touched)
            else:
                self._store(relation, frame, keep=lambda part: False)
            return int(deleted)

    @contextmanager
    def temporary(self, data: Any) -> Iterator[str]:
        import pyarrow.parquet as pq
        from pyspark.sql.pandas.types import from_arrow_schema

        rows = readable_rows(arrow_rows(data))
        name = f"arrow_{next(_counter)}"
        folder = self._lake.root / "data" / "temporary" / "arrow" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        pq.write_table(rows, folder / "rows.parquet")
        self._run(lambda: (
            # With its schema given, Spark need not run a job to find it.
            self.session.read.schema(from_arrow_schema(rows.schema)).parquet(str(folder)).createOrReplaceTempView(name)
        ))
        try:
            yield name
        finally:
            self.session.catalog.dropTempView(name)
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self.read_only:
            raise EngineError(f"{self._lake.root} is open read-only")
        before = self._lake.remember() if self._depth == 0 else None
        self._depth += 1
        try:
            yield
            if before is not None and before != self._lake.manifest:
                self._lake.publish()
        except BaseException:
            if before is not None:
                self._lake.manifest = before
                self._registered.clear()
                self._view_columns.clear()
            raise
        finally:
            self._depth -= 1

    def close(self) -> None:
        self._records.close()
        self._lake.close()
        if self._owns_session:
            self.session.stop()

    # -- folders -----------------------------------------------------------------------------------

    def _table(self, relation: str) -> dict[str, Any]:
        try:
            return self._lake.manifest["tables"][relation]
        except KeyError:
            raise EngineError(f"no table {relation} in {self._lake.root}") from None

    def _register(self, relation: str) -> str:
        """The session's temporary view over a table's current folders."""
        name = relation.replace(".", "__")
        table = self._table(relation)
        stamp = json.dumps([table["columns"], [p["dir"] for p in table["parts"]]])
        if self._registered.get(relation) != stamp:
            self._run(lambda: self._read(table).createOrReplaceTempView(name))
            self._registered[relation] = stamp
        return name

    def _read(self, table: Mapping[str, Any]) -> Any:
        schema = ", ".join(f"{_tick(n)} {t}" for n, t in table["columns"].items())
        if not table["parts"]:
            return self.session.createDataFrame([], schema)
        versions: dict[str, list[str]] = {}
        for part in table["parts"]:
            base = str(Path(part["dir"]).parent) if table["partition"] else part["dir"]
            versions.setdefault(base, []).append(str(self._lake.root / part["dir"]))
        frames = []
        for base, folders in versions.items():
            reader = self.session.read.schema(schema)
            if table["partition"]:
                reader = reader.option("basePath", str(self._lake.root / base))
            frames.append(reader.parquet(*folders).select(*(_tick(n) for n in table["columns"])))
        whole = frames[0]
        for frame in frames[1:]:
            whole = whole.unionByName(frame)
        return whole

    def _store(self, relation: str, frame: Any, keep: Any) -> int:
        """Write `frame` as new folders of a table, beside the parts for which `keep` holds; count its rows."""
        from pyspark.sql import functions as f

        table = self._table(relation)
        names = {field.name.lower() for field in frame.schema.fields}
        unknown = names - {n.lower() for n in table["columns"]}
        if unknown:
            raise EngineError(f"{relation} has no column {', '.join(sorted(unknown))}")
        typed = frame.select(*(
            (f.col(_tick(n)) if n.lower() in names else f.lit(None)).cast(kind).alias(n)
            for n, kind in table["columns"].items()
        ))
        kept = [part for part in table["parts"] if keep(part)]
        partition = table["partition"]
        if not partition and len(kept) >= COMPACT_ABOVE:
            typed = self._read({**table, "parts": kept}).unionByName(typed)
            compacted = sum(part["rows"] for part in kept)
            kept = []
        else:
            compacted = 0
        version = _version(relation)
        target = self._lake.root / version
        writer = typed
        if partition:
            writer = typed.repartition(f.col(_tick(partition)))
        self._run(lambda: (
            writer.write.partitionBy(partition) if partition else writer.write
        ).parquet(str(target)))
        parts, total = written_parts(target, version, partition)
        self._lake.manifest["tables"][relation] = {**table, "parts": kept + parts}
        self._registered.pop(relation, None)
        return total - compacted


def connect(location: str, *, read_only: bool = False) -> SparkEngine:
    """An engine over Spark Connect: `location` is ``host:port/?lake=/folder``, the folder seen from here too.

    Further parts of a Connect URL (``/;token=...``) are passed on.
    """
    from urllib.parse import parse_qs

    server, _, query = location.partition("?")
    folder = parse_qs(query).get("lake", [""])[0]
    if not folder:
        raise UsageError(f"sc://{location} names no lake; write sc://{server.rstrip('/')}/?lake=/folder")
    remote = f"sc://{server}"
    return SparkEngine(folder, read_only=read_only, options={"remote": remote})


def start_session(options: Mapping[str, str]) -> Any:
    """A Spark of our own: `options` are ``master`` (default local[*]), ``remote``, and any ``spark.`` setting.

    Raises UnsupportedError when PySpark or Java is missing.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UnsupportedError("Spark needs the extra: pip install 'prodsense[spark]'") from None
    # PySpark writes each error as JSON to stderr before it raises it; the raised one is enough.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    remote = options.get("remote")
    builder = SparkSession.builder.appName("prodsense")
    if remote:
        try:
            return _own_settings(builder.remote(remote).getOrCreate())
        except ImportError as error:
            raise UnsupportedError(
                f"Spark Connect needs more packages ({str(error).splitlines()[0]}); install 'pyspark[connect]', or use"
                " spark:///folder"
            ) from None
    builder = builder.master(options.get("master", os.environ.get("PRODSENSE_SPARK_MASTER", "local[*]")))
    for key, value in {**SESSION, **{k: v for k, v in options.items() if k.startswith("spark.")}}.items():
        builder = builder.config(key, value)
    try:
        return _own_settings(builder.getOrCreate())
    except Exception as error:  # py4j raises its own kinds when there is no Java.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedError(f"Spark did not start: {first}; is Java 17 or newer installed (JAVA_HOME)?") from None


def _own_settings(session: Any) -> Any:
    """A session beside the given one (same cluster) whose SQL settings are ours to set."""
    own = session.newSession() if hasattr(session, "newSession") else session
    for key, value in SEMANTICS.items():
        own.conf.set(key, value)
    return own


def _to_spark(kind: str) -> str:
    return _TO_SPARK.get(kind.upper(), kind.upper())


def _from_spark(kind: str) -> str:
    return _FROM_SPARK.get(kind.lower(), kind.upper())


def _stored(kind: str) -> str:
    """The type a query's column is stored with: times always with UTC meaning, no NULL type."""
    return {"timestamp_ntz": "TIMESTAMP", "void": "STRING"}.get(kind, kind.upper())


def _version(relation: str) -> str:
    """A new folder for rows of `relation`, below the lake's root."""
    return f"data/{relation.replace('.', '/')}/{uuid.uuid4().hex[:12]}"


def _tick(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: Any) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, date | datetime) else str(value)


def _aware(value: Any) -> Any:
    """A parameter as Spark takes it: a time without zone is UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
