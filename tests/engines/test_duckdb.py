"""The DuckDB file: one owner, many readers, clear errors. What every engine does: test_protocol.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from prodsense.engines import open_engine
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import EngineError, LockedError, UsageError

#: Opens the file, says so, and keeps it until its input ends.
HOLDER = """
import sys
from prodsense.engines.duckdb import DuckDBEngine
engine = DuckDBEngine(sys.argv[1], read_only=sys.argv[2] == "read")
print("open", flush=True)
sys.stdin.read()
engine.close()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    engine = DuckDBEngine(path)
    engine.replace("shop.orders", "SELECT 1 AS id")
    engine.close()
    return path


@pytest.fixture
def hold(warehouse: Path) -> Iterator[object]:
    """Start a process that keeps the warehouse open in a mode; returns its id."""
    holders: list[subprocess.Popen[str]] = []

    def start(mode: str) -> int:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(warehouse), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        return holder.pid

    yield start
    for holder in holders:
        holder.communicate()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_another_process_writes_is_locked_and_the_error_says_by_whom(
    warehouse: Path, hold: object, read_only: bool
) -> None:
    pid = hold("write")  # type: ignore[operator]
    with pytest.raises(LockedError) as caught:
        DuckDBEngine(warehouse, read_only=read_only)
    message = caught.value.message
    assert str(warehouse) in message
    assert f"process {pid}" in message
    assert "one owner" in message
    assert "\n" not in message


def test_readers_share_a_file_and_keep_writers_out(warehouse: Path, hold: object) -> None:
    hold("read")  # type: ignore[operator]
    reader = DuckDBEngine(warehouse, read_only=True)
    assert reader.query("SELECT id FROM shop.orders")["id"].to_pylist() == [1]
    reader.close()
    with pytest.raises(LockedError):
        DuckDBEngine(warehouse)


def test_closing_releases_the_file(warehouse: Path, hold: object) -> None:
    DuckDBEngine(warehouse).close()
    hold("write")  # type: ignore[operator]


def test_a_read_only_warehouse_refuses_writes_and_absent_files(warehouse: Path, tmp_path: Path) -> None:
    reader = DuckDBEngine(warehouse, read_only=True)
    with pytest.raises(EngineError, match="read-only"):
        reader.insert("shop.orders", "SELECT 2 AS id")
    reader.close()
    with pytest.raises(EngineError, match=r"absent\.duckdb"):
        DuckDBEngine(tmp_path / "absent.duckdb", read_only=True)
    assert not (tmp_path / "absent.duckdb").exists()


def test_a_file_that_is_no_warehouse(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, however long it may be " * 200)
    with pytest.raises(EngineError, match=r"notes\.txt is no warehouse that can be read"):
        DuckDBEngine(path)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="its folder does not exist"):
        DuckDBEngine(tmp_path / "nowhere" / "w.duckdb")


def test_names_of_files_are_never_read_as_sql_or_as_a_schema(tmp_path: Path) -> None:
    for name in ("shop.duckdb", "it's; DROP TABLE x.duckdb", "wäre ho.duckdb"):
        engine = DuckDBEngine(tmp_path / name)
        engine.replace("shop.orders", "SELECT 7 AS id")
        assert engine.query("SELECT shop.orders.id FROM shop.orders")["id"].to_pylist() == [7]
        engine.close()
        assert (tmp_path / name).exists()


def test_times_are_utc_whatever_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    engine = DuckDBEngine()
    found = engine.query("SELECT CAST(CAST('2024-01-01 00:00:00+02:00' AS TIMESTAMPTZ) AS TIMESTAMP) AS t")
    assert found["t"].to_pylist() == [datetime(2023, 12, 31, 22)]


def test_engines_are_chosen_by_url(tmp_path: Path) -> None:
    engine = open_engine(f"duckdb://{tmp_path / 'x.duckdb'}")
    assert (engine.name, engine.location) == ("duckdb", str(tmp_path / "x.duckdb"))
    engine.close()
    assert open_engine(":memory:").location == ":memory:"
    with pytest.raises(UsageError, match="no engine for oracle://; known: duckdb"):
        open_engine("oracle://x")
