"""The lake under the Spark engine: one writer, snapshots, sweeping."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from prodsense.engines import lake as lakes
from prodsense.engines.lake import Lake
from prodsense.errors import EngineError, LockedError, UnsupportedError


def test_a_second_writer_is_told_who_owns_the_lake(tmp_path: Path) -> None:
    first = Lake(tmp_path)
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        Lake(tmp_path)
    first.close()
    Lake(tmp_path).close()


def test_reading_needs_a_lake(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="prodsense ingest"):
        Lake(tmp_path, read_only=True)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / lakes.MANIFEST).write_text("{")
    with pytest.raises(EngineError, match=r"manifest\.json cannot be read"):
        Lake(tmp_path)


def test_old_folders_that_no_snapshot_names_are_swept(tmp_path: Path) -> None:
    named, orphan, fresh = (tmp_path / "data/s/t" / name for name in ("v1", "v2", "v3"))
    for folder in (named, orphan, fresh):
        folder.mkdir(parents=True)
    old = 1_000_000_000
    for folder in (named, orphan):
        os.utime(folder, (old, old))
    lake = Lake(tmp_path)
    lake.manifest["tables"]["s.t"] = {"columns": {}, "partition": "", "parts": [{"dir": "data/s/t/v1", "value": None}]}
    lake.publish()
    lake.close()
    named.exists() or named.mkdir(parents=True)
    orphan.mkdir(parents=True, exist_ok=True)
    os.utime(orphan, (old, old))
    os.utime(named, (old, old))
    Lake(tmp_path).close()
    assert (named.exists(), orphan.exists(), fresh.exists()) == (True, False, True)


def test_a_remote_store_is_refused_with_a_way_out() -> None:
    from prodsense.engines.spark import SparkEngine

    with pytest.raises(UnsupportedError, match="mount"):
        SparkEngine("s3a://bucket/lake", session=_Session())


class _Session:
    """Just enough of a session to get to the check of the location."""

    class conf:  # noqa: N801
        @staticmethod
        def set(key: str, value: str) -> None: ...


@pytest.mark.spark
def test_readers_keep_their_snapshot_while_a_writer_goes_on(tmp_path: Path, spark_session: Any) -> None:
    from prodsense.engines.spark import SparkEngine

    writer = SparkEngine(tmp_path, session=spark_session)
    writer.replace("s.t", "SELECT 1 AS x")
    reader = SparkEngine(tmp_path, session=spark_session, read_only=True)
    writer.replace("s.t", "SELECT 2 AS x")
    assert reader.query("SELECT x FROM s.t")["x"].to_pylist() == [1]
    assert SparkEngine(tmp_path, session=spark_session, read_only=True).query("SELECT x FROM s.t")["x"].to_pylist() == [2]
    writer.close()


@pytest.mark.spark
def test_many_appends_are_written_together(tmp_path: Path, spark_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from prodsense.engines import spark

    monkeypatch.setattr(spark, "COMPACT_ABOVE", 3)
    engine = spark.SparkEngine(tmp_path, session=spark_session)
    engine.create_table("s.t", {"x": "BIGINT"})
    for value in range(5):
        with engine.temporary(pa.table({"x": [value]})) as name:
            assert engine.insert("s.t", f"SELECT * FROM {name}") == 1
    assert sorted(engine.query("SELECT x FROM s.t")["x"].to_pylist()) == [0, 1, 2, 3, 4]
    assert len(engine._lake.manifest["tables"]["s.t"]["parts"]) <= 3
    engine.close()
