"""serve as a process: the way in, the file that it owns, its end; report for cron."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

import prodsense as ps


def start(*args: str, folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    """A server on a free port: the process, its address, and the link that signs in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prodsense", "serve", "--port", "0", *args],
        cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    address = process.stderr.readline()
    link = process.stderr.readline()
    found, way = re.search(r"http://\S+", address), re.search(r"http://\S+", link)
    assert found and way, address + link + (process.stderr.read() if process.poll() is not None else "")
    return process, found[0], way[0]


def run(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prodsense", *args], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with ps.open(tmp_path / "shop.duckdb") as warehouse:
        warehouse.ingest({"delivery.dim_customers": pa.table({"customer_id": [1, 2, 3]})})
    return tmp_path


@pytest.mark.versions
@pytest.mark.slow
def test_a_server_from_its_start_to_its_end(shop: Path) -> None:
    process, address, link = start("-w", "shop.duckdb", folder=shop)
    try:
        with httpx.Client(base_url=address, timeout=30) as client:
            assert client.get("/api/v1/health").json() == {"status": "ok"}
            token = re.search(r'name="csrf" value="([^"]+)"', client.get(link).text)
            assert token
            assert client.post(link, data={"csrf": token[1]}).status_code == 303
            rows = client.get("/api/v1/show/delivery.dim_customers").json()["rows"]
            assert sorted(row["customer_id"] for row in rows) == [1, 2, 3]
        refused = run("show", "delivery.dim_customers", "-w", "shop.duckdb", folder=shop)
        assert refused.returncode == 1 and f"it is served at {address}" in refused.stderr
        assert refused.stderr.count("\n") == 1
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    assert process.returncode in (0, 130) and "Traceback" not in rest, rest
    after = run("show", "delivery.dim_customers", "-w", "shop.duckdb", "--format", "csv", folder=shop)
    assert after.returncode == 0 and len(after.stdout.splitlines()) == 4
    assert (shop / "shop.web.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize(("args", "told"), [
    (("-w", "nothing.duckdb"), "no warehouse at nothing.duckdb"),
    (("-w", "shop.duckdb", "--every", "often"), "--every should be a length of time"),
    (("-w", "shop.duckdb", "--time-limit", "0s"), "--time-limit should be longer than 0"),
    (("-w", "shop.duckdb", "--every", "15m"), "--every loads a project's sources"),
])
def test_what_cannot_be_served_says_why(shop: Path, args: tuple[str, ...], told: str) -> None:
    refused = run("serve", "--port", "0", *args, folder=shop)
    assert refused.returncode in (1, 2) and told in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.slow
def test_report_writes_what_is_declared(shop: Path) -> None:
    none = run("report", "-w", "shop.duckdb", folder=shop)
    assert none.returncode == 2 and "no report is declared" in none.stderr
    (shop / "prodsense.toml").write_text(
        'pack = "delivery"\nwarehouse = "shop.duckdb"\n[[report]]\ndashboard = "batch_operations_monitor"\n'
        'role = "admin"\nevery = "1d"\nto = "out"\nname = "daily"\n'
    )
    unknown = run("report", "dayly", folder=shop)
    assert unknown.returncode == 2 and "Did you mean daily" in unknown.stderr
    written = run("report", folder=shop)
    assert written.returncode == 0, written.stderr
    files = [Path(line) for line in written.stdout.splitlines()]
    assert [file.suffix for file in files] == [".html", ".png"] and all(file.stat().st_size > 1000 for file in files)
