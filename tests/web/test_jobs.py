"""Changing the data while they are read: readers see complete versions only, also when builds fail."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest
from web_shop import Served, tiny_orders

from prodsense.build.compute import Computer
from prodsense.contracts.vocabulary import Model
from prodsense.errors import EngineError, ProdsenseError
from prodsense.packs import load_pack
from prodsense.packs.pack import PackTables
from prodsense.warehouse import Warehouse
from prodsense.web.jobs import Job, Timer, build_at_once, build_job

#: Two models of which one stands on the other: cheap to build, and a mixture of versions shows in their numbers.
MODELS = {
    "delivery.by_day": Model(
        "by_day", "", "SELECT date_partition, COUNT(*) AS n FROM fact_orders GROUP BY date_partition",
        key=("date_partition",), partition="date_partition",
    ),
    "delivery.total": Model("total", "", "SELECT SUM(n) AS n FROM by_day"),
}
COUNTS = {
    "fact_orders": "SELECT COUNT(*) AS n FROM delivery.fact_orders",
    "by_day": "SELECT SUM(n) AS n FROM delivery.by_day",
    "total": "SELECT SUM(n) AS n FROM delivery.total",
}


@pytest.fixture
def two_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Warehouse, "definitions", lambda self, packs: (MODELS, PackTables([load_pack("delivery")])))


def run(served: Served, work: Any, kind: str = "test") -> Job:
    job = served.site.jobs.submit(kind, "tester", work)
    assert job.finished.wait(60)
    return job


def load(table: pa.Table) -> Any:
    def work(warehouse: Any, job: Job) -> dict[str, Any]:
        report = warehouse.ingest({"delivery.fact_orders": table})
        return {"accepted": report.accepted}

    return work


def load_parents(served: Served) -> None:
    def work(warehouse: Any, job: Job) -> dict[str, Any]:
        warehouse.ingest({
            "delivery.dim_customers": pa.table({"customer_id": [1, 2]}),
            "delivery.dim_restaurants": pa.table({
                "restaurant_id": [1], "restaurant_external_id": ["r"], "restaurant_name": ["R"],
                "restaurant_lat": [1.0], "restaurant_lng": [1.0],
            }),
        })  # fmt: skip
        return {}

    assert run(served, work).state == "done"


def counts(served: Served) -> dict[str, int]:
    with served.site.reader(served.actor("admin")) as warehouse:
        return {name: warehouse.engine.query(sql)["n"][0].as_py() for name, sql in COUNTS.items()}


def failing(monkeypatch: pytest.MonkeyPatch, model: str, how: str) -> None:
    """Make the build of a model fail: after its rows are written, or inside the engine, which ends the transaction."""
    plain = Computer.compute

    def compute(self: Computer, node: Any, plan: Any) -> Any:
        if node.name == model:
            if how == "inside":
                self.engine.query("SELECT CAST(o AS INT) AS n FROM (SELECT 'x' AS o)")
            done = plain(self, node, plan)  # its rows are written, then it fails
            raise EngineError(f"planted failure of {done.total} rows")
        return plain(self, node, plan)

    monkeypatch.setattr(Computer, "compute", compute)


@pytest.mark.slow
@pytest.mark.usefixtures("two_models")
@pytest.mark.parametrize("how", ["after", "inside"])
def test_readers_see_complete_versions_only(tiny: Served, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    load_parents(tiny)
    assert run(tiny, load(tiny_orders(5))).answer == {"accepted": 5}
    assert run(tiny, build_job()).state == "done"
    first = counts(tiny)
    assert set(first.values()) == {5}

    seen: set[tuple[int, ...]] = set()
    broken: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                seen.add(tuple(counts(tiny).values()))
                done.wait(0.002)
        except BaseException as error:
            broken.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        run(tiny, load(tiny_orders(3, first=5)))
        assert run(tiny, build_job()).state == "done"
        with monkeypatch.context() as patched:
            failing(patched, "delivery.total", how)
            run(tiny, load(tiny_orders(2, first=8)))
            job = run(tiny, build_job())
        modes = {one["model"]: one["mode"] for one in job.answer["models"]}
        assert job.state == "done" and modes == {"delivery.by_day": "incremental", "delivery.total": "failed"}
        assert run(tiny, build_job()).state == "done"
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not broken
    # (orders loaded, what both models count): loading and building are two steps; a failed model keeps its last version.
    assert seen <= {(5, 5, 5), (8, 5, 5), (8, 8, 8), (10, 8, 8), (10, 10, 8), (10, 10, 10)}
    assert counts(tiny) == dict.fromkeys(COUNTS, 10)


@pytest.mark.slow
def test_a_failure_is_recorded_and_its_dependants_wait(tiny: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    load_parents(tiny)
    run(tiny, load(tiny_orders(2)))
    with monkeypatch.context() as patched:
        failing(patched, "delivery.order_facts", "inside")
        job = run(tiny, build_job())
    modes = {one["model"]: one["mode"] for one in job.answer["models"]}
    assert modes["delivery.order_facts"] == "failed" and modes["delivery.orders"] == "skipped"
    assert modes["delivery.driver_time"] == "full"
    rows = tiny.client("admin").get("/api/v1/status").json()["rows"]
    assert "delivery.order_facts" in rows[0]["failed"]
    answer = tiny.client("admin").get("/api/v1/show/delivery.order_facts")
    assert answer.status_code == 409 and "not built" in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.usefixtures("two_models")
def test_a_build_for_readers_equals_any_other(tiny: Served) -> None:
    from prodsense.build import verify

    load_parents(tiny)
    for first in (0, 4, 2):
        run(tiny, load(tiny_orders(3, first=first)))
        run(tiny, build_job())
    with tiny.site.writer() as warehouse:
        models, tables = warehouse.definitions(["delivery"])
        assert verify(warehouse.engine, models, tables) == {}


def test_a_reader_keeps_its_version(tiny: Served) -> None:
    load_parents(tiny)
    run(tiny, load(tiny_orders(2)))
    with tiny.site.reader(tiny.actor("admin")) as warehouse:
        before = warehouse.engine.query(COUNTS["fact_orders"])["n"][0].as_py()
        run(tiny, load(tiny_orders(3, first=2)))
        assert warehouse.engine.query(COUNTS["fact_orders"])["n"][0].as_py() == before == 2
        with pytest.raises(EngineError):
            warehouse.engine.query("SELECT CAST(x AS INT) AS n FROM (SELECT 'no' AS x)")
        # A failed statement spoils nothing that comes after it.
        assert warehouse.engine.query(COUNTS["fact_orders"])["n"][0].as_py() == 5
        with pytest.raises(ProdsenseError):
            warehouse.ingest({"delivery.dim_customers": pa.table({"customer_id": [9]})})


def test_jobs_run_one_after_the_other_and_say_how_they_ended(tiny: Served) -> None:
    running: list[str] = []
    most = []

    def work(warehouse: Any, job: Job) -> dict[str, Any]:
        running.append(job.kind)
        most.append(len(running))
        running.remove(job.kind)
        if job.kind == "b":
            raise ProdsenseError("planted: no such file")
        if job.kind == "c":
            raise ValueError("planted, with a secret")
        return {"kind": job.kind}

    jobs = [tiny.site.jobs.submit(kind, "tester", work) for kind in "abc"]
    assert all(job.finished.wait(20) for job in jobs)
    assert max(most) == 1
    assert [(job.state, job.error) for job in jobs] == [
        ("done", ""), ("failed", "planted: no such file"),
        ("failed", "internal: ValueError; see the server's log"),
    ]
    assert [job.id for job in tiny.site.jobs.list()][:3] == [3, 2, 1]


@pytest.mark.versions
@pytest.mark.slow
def test_loading_and_building_through_the_api(tiny: Served) -> None:
    admin = tiny.client("admin")
    load_parents(tiny)
    files = [("files", ("fact_orders.csv", _csv(tiny_orders(4))))]
    before = tiny.site.version
    job = admin.post("/api/v1/ingest", files=files, data={"table": "delivery.fact_orders"}).json()
    assert tiny.site.jobs.get(job["id"]).finished.wait(30)  # type: ignore[union-attr]
    told = admin.get(f"/api/v1/jobs/{job['id']}").json()
    assert told["state"] == "done" and told["answer"]["rows"][0]["accepted"] == 4
    assert told["answer"]["rows"][0]["source"] == "fact_orders.csv"
    assert tiny.site.version != before
    job = admin.post("/api/v1/build", json={}).json()
    assert tiny.site.jobs.get(job["id"]).finished.wait(30)  # type: ignore[union-attr]
    answer = admin.get("/api/v1/metric?name=total_order_volume").json()
    assert answer["rows"][0]["total_order_volume"] == 4
    load = admin.get("/api/v1/loads").json()["rows"][0]
    assert (load["accepted"], load["source"]) == (4, "fact_orders.csv")
    with tiny.site.reader(tiny.actor("admin")) as warehouse:
        files_of = "SELECT path FROM prodsense.files WHERE sha256 IS NOT NULL"
        assert warehouse.engine.query(files_of).to_pylist() == [{"path": "fact_orders.csv"}]
    # A row that is refused is found by the file's name too.
    bad = [("files", ("more.csv", _csv(tiny_orders(2, first=9)).replace(b"delivered", b"eaten")))]
    job = admin.post("/api/v1/ingest", files=bad, data={"table": "delivery.fact_orders"}).json()
    assert tiny.site.jobs.get(job["id"]).finished.wait(30)  # type: ignore[union-attr]
    assert {row["file"] for row in admin.get("/api/v1/quarantine").json()["rows"]} == {"more.csv"}
    # The same file again changes nothing, and says so.
    job = admin.post("/api/v1/ingest", files=files, data={"table": "delivery.fact_orders"}).json()
    assert tiny.site.jobs.get(job["id"]).finished.wait(30)  # type: ignore[union-attr]
    assert admin.get(f"/api/v1/jobs/{job['id']}").json()["answer"]["rows"][0]["skipped"] is True


@pytest.mark.parametrize("name", ["../../evil.csv", ".hidden", "a*b.csv", "", "x" * 300 + ".csv"])
def test_an_upload_is_kept_inside_its_folder(tiny: Served, name: str, tmp_path: Any) -> None:
    import io
    from pathlib import Path

    from fastapi import UploadFile

    from prodsense.errors import UsageError
    from prodsense.web.api.data import keep

    try:
        kept = keep(UploadFile(io.BytesIO(b"a\n1\n"), filename=name), tmp_path)
    except UsageError:
        assert not list(Path(tmp_path).rglob("*.csv"))
    else:
        assert kept.parent == tmp_path and kept.name == "evil.csv"


def test_what_may_not_be_asked_of_jobs(tiny: Served) -> None:
    for role in ("analyst", "operations", "executive", "partner"):
        client = tiny.client(role)
        assert client.post("/api/v1/build", json={}).status_code == 403
        assert client.post("/api/v1/ingest", files=[("files", ("a.csv", b"a\n1\n"))]).status_code == 403
        assert client.get("/api/v1/jobs").status_code == 403
    admin = tiny.client("admin")
    assert admin.post("/api/v1/build", json={"pack": "nothing"}).status_code == 404
    assert admin.get("/api/v1/jobs/99").status_code == 404
    assert admin.post("/api/v1/refresh").status_code == 409


def test_a_timer_does_not_pile_up(tiny: Served) -> None:
    gate = threading.Event()
    started = []

    def make() -> Any:
        def work(warehouse: Any, job: Job) -> dict[str, Any]:
            started.append(job.id)
            gate.wait(10)
            return {}

        return work

    timer = Timer(tiny.site.jobs, 0.02, "refresh", make)
    gate.wait(0.5)
    assert len(tiny.site.jobs.list()) == len(started) == 1
    timer.stop()
    gate.set()


@pytest.mark.usefixtures("two_models")
def test_a_build_goes_on_without_what_failed(tiny: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    load_parents(tiny)
    run(tiny, load(tiny_orders(2)))
    failing(monkeypatch, "delivery.by_day", "after")
    with tiny.site.writer() as warehouse:
        report = build_at_once(warehouse)
    assert {one.model: one.mode for one in report} == {"delivery.by_day": "failed", "delivery.total": "skipped"}
    assert len({one.model for one in report}) == len(report)


def _csv(table: pa.Table) -> bytes:
    import io

    import pyarrow.csv

    out = io.BytesIO()
    pyarrow.csv.write_csv(table, out)
    return out.getvalue()
