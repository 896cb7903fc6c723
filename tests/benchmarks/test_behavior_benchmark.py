"""The benchmark of behaviour runs, and its sides agree: a small clickstream, each question."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_all_sides_agree_on_a_small_clickstream() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/behavior/run.py"), "--events", "100000", "--rounds", "1",
         "--peers", "duckdb_sql"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    table = [line for line in run.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 9 and "failed" not in run.stdout
    assert table[0].startswith("| question, ") and "| prodsense | DuckDB SQL |" in table[0]
    assert all(line.count("x), ") == 1 for line in table[2:] if "this project only" not in line)
    assert "event log, one day named: " in run.stdout
