"""A PostgreSQL table as a source, against a real server.

PRODSENSE_TEST_POSTGRES names one (``postgresql://user@host/db``); else one is started where its programs are.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodsense.errors import ContractError, UsageError
from prodsense.ingest import ingest
from prodsense.ingest.postgres import split_url

pytestmark = pytest.mark.postgres


def program(name: str) -> str | None:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(places[0]) if places else None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if given := os.environ.get("PRODSENSE_TEST_POSTGRES"):
        yield given
        return
    initdb, postgres = program("initdb"), program("postgres")
    if not initdb or not postgres:
        pytest.skip("no PostgreSQL: set PRODSENSE_TEST_POSTGRES, or install initdb and postgres")
    prefix: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="prodsense-pg-"))
    if os.geteuid() == 0:
        # The server refuses to run as root.
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            owner = pwd.getpwnam("nobody")
        if not shutil.which("runuser"):
            pytest.skip("PostgreSQL will not run as root, and runuser is not there to change user")
        prefix = ["runuser", "-u", owner.pw_name, "--"]
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [*prefix, initdb, "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    process = subprocess.Popen(
        [*prefix, postgres, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1",
         "-c", "fsync=off"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    url = f"postgresql://tester@127.0.0.1:{port}/postgres"
    try:
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(url: str) -> None:
    import time

    import psycopg

    for _ in range(100):
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.Error:
            time.sleep(0.1)
    pytest.fail("the PostgreSQL server did not start")


@pytest.fixture
def orders(server: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('DROP SCHEMA IF EXISTS "my shop" CASCADE')
        connection.execute('CREATE SCHEMA "my shop"')
        connection.execute(
            'CREATE TABLE "my shop".fact_orders (order_id bigint, day date, at timestamptz, amount numeric,'
            " n int, score float8, ok boolean, note text, extra jsonb)"
        )
        connection.execute(
            "INSERT INTO \"my shop\".fact_orders VALUES"
            " (1, '2024-01-01', '2024-01-01 10:00+02', 12.50, 3, 0.5, true, 'ünï', '{}'),"
            " (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
            " (3, '2024-01-02', NULL, 1.234, NULL, NULL, NULL, NULL, NULL),"
            " (4, '2024-01-02', NULL, 'NaN', NULL, NULL, NULL, NULL, NULL),"
            " (5, '2024-01-02', NULL, NULL, NULL, 'NaN', NULL, NULL, NULL),"
            " (6, '2024-01-02', NULL, 7, -5, 1e10, false, 'x', NULL)"
        )
        yield server + "?table=my%20shop.fact_orders"


def test_rows_of_a_table(orders: str, engine: Any, tables: Any, rows: Any) -> None:
    report = ingest(engine, tables, orders)
    assert (report.read, report.accepted, report.quarantined) == (6, 2, 4), str(report)
    assert rows("shop.fact_orders", "order_id, at, amount, n, score, ok, note") == [
        {"order_id": 1, "at": datetime(2024, 1, 1, 8), "amount": Decimal("12.50"), "n": 3, "score": 0.5, "ok": True,
         "note": "ünï"},
        {"order_id": 6, "at": None, "amount": Decimal("7.00"), "n": -5, "score": 1e10, "ok": False, "note": "x"},
    ]  # fmt: skip
    held = rows("prodsense.quarantine", "row_number, rule, column_name")
    assert [tuple(h.values()) for h in held] == [
        (2, "required", "day"), (3, "places", "amount"), (4, "range", "amount"), (5, "finite", "score"),
    ]  # fmt: skip
    assert ingest(engine, tables, orders).duplicate == 2


def test_more_rows_than_one_batch(server: str, engine: Any, tables: Any, rows: Any, monkeypatch: Any) -> None:
    import psycopg

    from prodsense.ingest import postgres

    monkeypatch.setattr(postgres, "BATCH", 100)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS events")
        connection.execute(
            "CREATE TABLE events AS SELECT now()::timestamp AS at, i::text AS name FROM generate_series(1, 250) i"
        )
    assert ingest(engine, tables, server + "?table=public.events").accepted == 250
    assert rows("shop.events", "COUNT(DISTINCT name) AS n") == [{"n": 250}]


def test_what_cannot_be_read(server: str, engine: Any, tables: Any) -> None:
    with pytest.raises(ContractError, match="does not exist"):
        ingest(engine, tables, server + "?table=nowhere.fact_orders")
    with pytest.raises(ContractError, match="cannot be reached"):
        ingest(engine, tables, "postgresql://nobody@127.0.0.1:1/x?table=fact_orders")
    with pytest.raises(UsageError, match="names its table"):
        ingest(engine, tables, server)


def test_urls() -> None:
    url = "postgresql://u:p@h/db?sslmode=require"
    assert split_url(url + "&table=a.b") == (url, "a.b")
