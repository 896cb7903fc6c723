"""A lake: tables as folders of Parquet, and one manifest that names the folders of the current snapshot.

Writers put new folders beside the old ones and publish them by renaming the manifest, so that a
transaction over any number of tables becomes visible at once, and a killed writer leaves the old
snapshot. Folders that no snapshot names are swept when the next writer opens the lake.

Layout: ``manifest.json``, ``owner.lock``, ``data/<schema>/<table>/<version>[/<partition>=<value>]/*.parquet``.
A manifest holds ``tables`` (columns, partition, parts: dir, value, rows) and ``views`` (name → SQL).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from prodsense.errors import EngineError, LockedError

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
#: Folders of a killed or superseded write are kept this long for readers of an older snapshot.
SWEEP_AFTER_SECONDS = 3600
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class Lake:
    """The folder at `root`. One process may write; readers see the snapshot they opened."""

    def __init__(self, root: str | Path, *, read_only: bool = False):
        self.root = Path(root).expanduser().absolute()
        self._lock_file: Any = None
        if read_only:
            if not (self.root / MANIFEST).exists():
                raise EngineError(f"{self.root} holds no lake; load data first: prodsense ingest -w spark://{self.root}")
        else:
            self.root.mkdir(parents=True, exist_ok=True)
            self._own()
        self.manifest = self._read_manifest()
        if not read_only:
            self._sweep()

    def remember(self) -> dict[str, Any]:
        """A copy of the manifest, to go back to."""
        return deepcopy(self.manifest)

    def close(self) -> None:
        """Let another process write."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _own(self) -> None:
        import fcntl

        path = self.root / "owner.lock"
        self._lock_file = path.open("a+")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.seek(0)
            owner = self._lock_file.read().strip() or "unknown"
            self._lock_file.close()
            raise LockedError(
                f"{self.root} is in use by process {owner}: a lake has one writer; wait for it or open it read-only"
            ) from None
        self._lock_file.truncate(0)
        self._lock_file.write(str(os.getpid()))
        self._lock_file.flush()

    def _read_manifest(self) -> dict[str, Any]:
        path = self.root / MANIFEST
        if not path.exists():
            return {"snapshot": 0, "tables": {}, "views": {}}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EngineError(f"{path} cannot be read: {error}") from None

    def publish(self) -> None:
        """Make the current manifest the lake's snapshot, by one rename."""
        self.manifest["snapshot"] += 1
        path = self.root / f"{MANIFEST}.{os.getpid()}"
        with path.open("w", encoding="utf-8") as file:
            json.dump(self.manifest, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        path.replace(self.root / MANIFEST)

    def _sweep(self) -> None:
        """Remove folders that the snapshot does not name and that are too old to be anyone's."""
        named = {part["dir"] for table in self.manifest["tables"].values() for part in table["parts"]}
        kept = {str(Path(d).parents[0]) for d in named} | named
        oldest = time.time() - SWEEP_AFTER_SECONDS
        for version in self.root.glob("data/*/*/*"):
            relative = str(version.relative_to(self.root))
            if relative not in kept and version.stat().st_mtime < oldest:
                shutil.rmtree(version, ignore_errors=True)


def written_parts(target: Path, version: str, partition: str) -> tuple[list[dict[str, Any]], int]:
    """The folders just written below `target`, with their partition's value and rows (from the footers)."""

    import pyarrow.parquet as pq

    def rows(folder: Path) -> int:
        return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))

    if not partition:
        count = rows(target)
        return ([{"dir": version, "value": None, "rows": count}] if count else []), count
    parts: list[dict[str, Any]] = []
    for folder in sorted(target.glob(f"{partition}=*")):
        value = unquote(folder.name.split("=", 1)[1])
        parts.append({
            "dir": f"{version}/{folder.name}", "value": None if value == _NULL_PARTITION else value,
            "rows": rows(folder),
        })
    return parts, sum(part["rows"] for part in parts)


def write_rows(
    target: Path, version: str, rows: pa.Table, columns: Mapping[str, str], partition: str
) -> tuple[list[dict[str, Any]], int]:
    """Write Arrow rows below `target` as a table of `columns` (Spark's types); parts and rows as `written_parts`.

    Raises EngineError for a column that the table has not, or values that do not fit its type.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    table = conformed(rows, columns, version)
    if not table.num_rows:
        return [], 0
    split = ds.partitioning(pa.schema([table.schema.field(partition)]), flavor="hive") if partition else None
    ds.write_dataset(
        table, target, format="parquet", partitioning=split, max_partitions=100_000, max_open_files=900,
        basename_template="part-{i}.parquet",
    )
    return written_parts(target, version, partition)


def conformed(rows: pa.Table, columns: Mapping[str, str], origin: str) -> pa.Table:
    """`rows` with just these columns (Spark's types), NULL where there are none.

    Raises EngineError, naming `origin`, for a column that is not among them or values that do not fit.
    """
    import pyarrow as pa

    by_name = {name.lower(): name for name in rows.column_names}
    unknown = set(by_name) - {name.lower() for name in columns}
    if unknown:
        raise EngineError(f"{origin}: no column {', '.join(sorted(unknown))}")
    arrays = []
    for name, kind in columns.items():
        stored = _arrow_type(kind)
        try:
            arrays.append(
                rows[by_name[name.lower()]].cast(stored) if name.lower() in by_name else pa.nulls(rows.num_rows, stored)
            )
        except pa.ArrowException as error:
            raise EngineError(f"{origin}: {name} does not fit {kind}: {error}") from None
    return pa.table(dict(zip(columns, arrays, strict=True)))


def without_zone(table: pa.Table) -> pa.Table:
    """Times as the project's results carry them: UTC, microseconds, no zone."""
    import pyarrow as pa

    fields = [f.with_type(pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    kind = kind.upper()
    if kind.startswith("DECIMAL("):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    # A time with UTC meaning, as Spark's TIMESTAMP; without it Spark would read another type.
    plain = {
        "STRING": pa.string(), "BIGINT": pa.int64(), "INT": pa.int32(), "SMALLINT": pa.int16(), "TINYINT": pa.int8(),
        "DOUBLE": pa.float64(), "FLOAT": pa.float32(), "BOOLEAN": pa.bool_(), "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"), "BINARY": pa.binary(),
    }  # fmt: skip
    if kind not in plain:
        raise EngineError(f"a lake cannot hold {kind} columns from Arrow")
    return plain[kind]


def arrow_rows(data: Any) -> pa.Table:
    """Arrow data, or a frame of pandas or Polars, as a table."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    return pa.Table.from_pandas(data, preserve_index=False)


def readable_rows(table: pa.Table) -> pa.Table:
    """The rows in types that Spark reads from Parquet: times with UTC meaning, whole numbers signed."""
    import pyarrow as pa

    def readable(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return readable(kind.value_type)
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", tz="UTC")
        if pa.types.is_unsigned_integer(kind):
            return pa.int64()
        return pa.string() if pa.types.is_null(kind) or pa.types.is_large_string(kind) else kind

    return table.cast(pa.schema([field.with_type(readable(field.type)) for field in table.schema]))
