"""The web under load: a pack's dashboard over ten million fact rows, twenty readers at once, while a build runs.

    python benchmarks/web/run.py [--rows 10000000] [--readers 20] [--pause 0.2] [--keep FILE.duckdb]

A simulated city is copied until it has the rows, loaded as the pack's tables, and built. Measured, in this order:

* directly: every part of the dashboard asked in this process, alone, without any server (the best of three);
* the first page after the server's start, with nothing kept yet, up to its first byte and to its end;
* readers who ask for parts of the dashboards and for metrics, each looking at an answer for a fifth of a second, first
  alone and then while a full build runs. An answer counts as failed when it is no 200 or 304.

The load comes from this process, the server is another one: on two cores both share them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from prodsense.engines.base import comma, quoted
from prodsense.ingest import ensure_tables
from prodsense.ingest.ledger import touch
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse
from prodsense.warehouse import open as open_warehouse
from prodsense.web.jobs import build_at_once
from prodsense.web.store import Store, store_path

PACK = "delivery"
DASHBOARDS = ("batching_success_scorecard", "batch_operations_monitor")
#: Tables whose rows are shared by all copies of the city.
SHARED = {"dim_batching_algorithms"}
#: Ids of copy k are those of the city plus k times this.
APART = 1_000_000_000
#: What people ask beside the dashboards.
METRICS = (
    "name=on_time_rate&by=vehicle_type&grain=week",
    "name=actual_delivery_time&by=delivery_type&grain=day",
    "name=on_time_rate&by=restaurant_type&grain=week&compare=previous",
    "name=total_order_volume&by=restaurant_type",
    "name=actual_delivery_time&name=on_time_rate&by=time_of_day",
    "name=pct_orders_batched&by=geography",
    "name=order_fulfillment_rate&grain=month",
    "name=driver_utilization_rate&grain=week",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="fact rows, all tables together")
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds that a reader looks at an answer")
    parser.add_argument("--longest", type=float, default=120.0, help="seconds for which a build is waited for")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="use this warehouse, made when it is not there")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="prodsense-web-"))
    path = given.keep or folder / "city.duckdb"
    try:
        if not path.exists():
            make(path, given.rows)
        measure(path, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- the data ----------------------------------------------------------------------------------------


def make(path: Path, rows: int) -> None:
    """A warehouse with about `rows` fact rows, built."""
    city = load_pack(PACK).simulate(days=28, scale=0.5, seed=7).tables
    facts = sum(table.num_rows for name, table in city.items() if not name.startswith("dim_"))
    copies = max(1, round(rows / facts))
    started = time.perf_counter()
    with open_warehouse(path) as warehouse:
        contracts = load_pack(PACK).tables
        ensure_tables(warehouse.engine, {t.relation: t for t in contracts.values()})
        for name, table in city.items():
            copy(warehouse, contracts[name], table, 1 if name in SHARED else copies)
        loaded = time.perf_counter()
        report = build_at_once(warehouse)
        if not report.ok:
            sys.exit(str(report))
    print(f"{facts * copies:,} fact rows ({copies} copies of a city) in {loaded - started:.0f} s, "
          f"built in {time.perf_counter() - loaded:.0f} s", flush=True)  # fmt: skip


def copy(warehouse: Warehouse, contract: Any, table: Any, copies: int) -> None:
    """Load a table `copies` times, each copy with ids of its own."""
    shared = {c for r in contract.references if r.table.split(".")[1] in SHARED for c in r.columns}
    keys = {c for key in (contract.primary_key, *contract.uniques) for c in key}
    keys |= {c for reference in contract.references for c in reference.columns}
    picked = []
    for column in table.column_names:
        kind, name = contract.columns[column].type, comma([column])
        if column in keys - shared and copies > 1 and kind == "BIGINT":
            picked.append(f"{name} + k * {APART} AS {name}")
        elif column in keys - shared and copies > 1 and kind == "VARCHAR" and column.endswith("id"):
            picked.append(f"{name} || '-' || k AS {name}")
        else:
            picked.append(name)
    with warehouse.engine.temporary(table) as source:
        warehouse.engine.raw(  # type: ignore[attr-defined]
            f"INSERT INTO {quoted(contract.relation)} BY NAME SELECT {', '.join(picked)} FROM {source},"
            f" range({copies}) AS copies(k)"
        )
    touch(warehouse.engine, contract.relation, [None])


# -- measuring ---------------------------------------------------------------------------------------


def measure(path: Path, given: argparse.Namespace) -> None:
    """Print the table."""
    readers = given.readers
    direct = sorted(asked_directly(path))
    store = Store(store_path(str(path)))
    if store.user("bench") is None:
        store.add_user("bench", "admin")
    _, token = store.add_token("bench", "bench", "admin", days=1)
    store.close()
    print(f"directly, alone: {spread(direct)}")
    with served(path) as (address, link):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, timeout=120) as client:
            first(client, link)
            client.headers.update(headers)
            asked = addresses(client)
            started = time.perf_counter()
            for question in asked:
                client.get(question).raise_for_status()
            print(f"{len(asked)} parts and metrics once, nothing kept: {time.perf_counter() - started:.1f} s")
        told = asyncio.run(load(address, headers, asked, given, build=False))
        report("warm", readers, told, direct)
        told = asyncio.run(load(address, headers, asked, given, build=True))
        report("warm, while a full build runs", readers, told, direct)


def asked_directly(path: Path) -> Iterator[float]:
    """Seconds of each part of the dashboards in this process, the best of three."""
    from prodsense.charts.dashboards import chart_view, headline_tiles
    from prodsense.charts.fetching import PackFetch

    with open_warehouse(path, read_only=True) as warehouse:
        pack = warehouse.pack(PACK)
        fetch = PackFetch(warehouse, pack, {})
        for name in DASHBOARDS:
            for section in pack.dashboards[name].sections:
                calls = [lambda s=section: headline_tiles(s.metrics, fetch)] if section.metrics else []
                calls += [lambda c=chart: chart_view(c, fetch, pack.charts) for chart in section.charts]
                for call in calls:
                    yield min(timed(call) for _ in range(3))


def timed(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@contextmanager
def served(path: Path) -> Iterator[tuple[str, str]]:
    """The server as a process: its address and the link that signs in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prodsense", "serve", "--port", "0", "--rate", "100000000", "-w", str(path)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        lines = process.stderr.readline(), process.stderr.readline()
        found = [re.search(r"http://\S+", line) for line in lines]
        if not all(found):
            sys.exit("".join(lines) + process.stderr.read())
        yield found[0][0], found[1][0]  # type: ignore[index]
    finally:
        process.terminate()
        process.wait(60)


def first(client: httpx.Client, link: str) -> None:
    """The first dashboard page after the start, as a browser gets it."""
    token = re.search(r'name="csrf" value="([^"]+)"', client.get(link).text)
    if token is None:
        sys.exit("the sign-in page holds no token")
    client.post(link, data={"csrf": token[1]})
    for path in ("/", f"/dashboards/{PACK}.{DASHBOARDS[0]}"):
        started = time.perf_counter()
        with client.stream("GET", path) as answer:
            for _ in answer.iter_raw(1):
                break
            begun = time.perf_counter() - started
            status = answer.status_code
        print(f"first content of {path}: {begun * 1000:.0f} ms ({status})")


def addresses(client: httpx.Client) -> list[str]:
    """What readers ask for: each part of the dashboards, and the metrics."""
    found = [f"/api/v1/metric?{question}" for question in METRICS]
    for name in DASHBOARDS:
        for section in client.get(f"/api/v1/dashboards/{PACK}.{name}").json()["rows"]:
            found += [section["numbers"]] if section["metrics"] else []
            found += [chart["href"] for chart in section["charts"]]
    return found


async def load(
    address: str, headers: dict[str, str], asked: list[str], given: argparse.Namespace, *, build: bool
) -> dict[str, Any]:
    """Readers until the time is over (and the build, where one runs)."""
    readers, seconds = given.readers, given.seconds
    taken: list[float] = []
    failed: list[str] = []
    limits = httpx.Limits(max_connections=readers + 2, max_keepalive_connections=readers + 2)
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=120, limits=limits) as client:
        over = asyncio.Event()

        async def read(seed: int) -> None:
            draw = random.Random(seed)
            while not over.is_set():
                question = draw.choice(asked)
                started = time.perf_counter()
                answer = await client.get(question)
                taken.append(time.perf_counter() - started)
                if answer.status_code not in (200, 304):
                    failed.append(f"{answer.status_code} {question}")
                await asyncio.sleep(given.pause)

        started = time.perf_counter()
        tasks = [asyncio.create_task(read(seed)) for seed in range(readers)]
        built = 0.0
        if build:
            job = (await client.post("/api/v1/build", json={"full": True})).json()
            while True:
                await asyncio.sleep(1)
                if time.perf_counter() - started > given.longest:
                    built = -1.0
                    break
                state = (await client.get(f"/api/v1/jobs/{job['id']}")).json()
                if state["state"] in ("done", "failed"):
                    built = time.perf_counter() - started
                    failed += [state["error"]] if state["state"] == "failed" else []
                    break
        await asyncio.sleep(max(0.0, seconds - (time.perf_counter() - started)))
        over.set()
        await asyncio.gather(*tasks)
        return {"taken": taken, "failed": failed, "seconds": time.perf_counter() - started, "built": built}


def report(what: str, readers: int, told: dict[str, Any], direct: list[float]) -> None:
    """One line a load."""
    taken, failed = sorted(told["taken"]), told["failed"]
    ratio = at(taken, 0.95) / at(direct, 0.95)
    built = f"; the build took {told['built']:.0f} s" if told["built"] > 0 else ""
    built = "; the build was still running" if told["built"] < 0 else built
    print(
        f"{readers} readers, {what}: {len(taken):,} answers, {len(taken) / told['seconds']:,.0f} a second,"
        f" {spread(taken)}, {len(failed)} failed; p95 is {ratio:.2f} times the direct one{built}"
    )
    for line in failed[:3]:
        print(f"  failed: {line}")


def spread(taken: list[float]) -> str:
    return (
        f"median {statistics.median(taken) * 1000:.0f} ms, p95 {at(taken, 0.95) * 1000:.0f} ms,"
        f" p99 {at(taken, 0.99) * 1000:.0f} ms, longest {taken[-1] * 1000:.0f} ms"
    )


def at(taken: list[float], share: float) -> float:
    """The value that this share stays within."""
    return taken[min(len(taken) - 1, int(share * len(taken)))]


if __name__ == "__main__":
    main()
