"""Changing the data while they are read: loads and builds, one after the other, in one thread beside the readers.

A build is one transaction: readers go from the last complete version to the next, and never see some models new and
others old.
"""

from __future__ import annotations

import itertools
import logging
import queue
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prodsense.errors import ProdsenseError

if TYPE_CHECKING:
    from prodsense.build.report import BuildReport
    from prodsense.project import Project
    from prodsense.warehouse import Warehouse
    from prodsense.web.site import Site

State = Literal["waiting", "running", "done", "failed"]

log = logging.getLogger("prodsense.web")


@dataclass
class Job:
    """One change: who asked for it, how far it is, what came of it."""

    id: int
    kind: str
    by: str
    asked_at: datetime
    state: State = "waiting"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    doing: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    finished: threading.Event = field(default_factory=threading.Event, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        names = ("id", "kind", "by", "asked_at", "state", "started_at", "finished_at", "doing", "answer", "error")
        return {name: getattr(self, name) for name in names}


Work = Callable[["Warehouse", Job], dict[str, Any]]


class Jobs:
    """The thread that changes the data, and the last jobs."""

    _KEPT = 100

    def __init__(self, site: Site):
        self._site = site
        self._numbers = itertools.count(1)
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._waiting: queue.Queue[tuple[Job, Work] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, kind: str, by: str, work: Work) -> Job:
        """Queue a change; it runs when those before it are done."""
        with self._lock:
            job = Job(next(self._numbers), kind, by, _now())
            self._jobs[job.id] = job
            while len(self._jobs) > self._KEPT:
                self._jobs.popitem(last=False)
            self._waiting.put((job, work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="prodsense-jobs", daemon=True)
                self._thread.start()
        return job

    def get(self, number: int) -> Job | None:
        return self._jobs.get(number)

    def list(self) -> list[Job]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    @property
    def busy(self) -> bool:
        """Whether a change is under way or waits."""
        return any(job.state in ("waiting", "running") for job in self.list())

    def stop(self, seconds: float = 30.0) -> None:
        """Let the job that runs come to its end; those that wait are dropped."""
        with self._lock:
            thread = self._thread
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._waiting.put(None)
        if thread is not None:
            thread.join(seconds)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            job, work = item
            job.state, job.started_at = "running", _now()
            try:
                with self._site.writer() as warehouse:
                    job.answer = work(warehouse, job)
                job.state = "done"
            except ProdsenseError as error:
                job.state, job.error = "failed", error.message
            except Exception as error:
                log.exception("job %s (%s) failed", job.id, job.kind)
                job.state, job.error = "failed", f"internal: {type(error).__name__}; see the server's log"
            job.doing, job.finished_at = "", _now()
            job.finished.set()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


# -- what jobs do --------------------------------------------------------------------------------------


def build_at_once(
    warehouse: Warehouse, pack: str | None = None, *, full: bool = False, told: Callable[[str], None] | None = None
) -> BuildReport:
    """Build all models in one transaction.

    One that fails is left, with those that stand on it, in its last good version; the others are then built, again
    at once, and the failure is recorded for `prodsense doctor`.
    """
    from prodsense.build.graph import Graph
    from prodsense.ingest.ledger import next_seq
    from prodsense.metrics.rollups import build_rollups
    from prodsense.web.snapshot import state_of

    models, tables = warehouse.definitions([pack] if pack else warehouse.packs)
    graph = Graph(models, tables)
    left = set(models)
    rolled = True
    failed: set[str] = set()
    current = ""

    def model(name: str, position: int, count: int) -> None:
        nonlocal current
        current = name
        if told:
            told(f"{name} ({position + 1} of {count})")

    while True:
        current = ""
        try:
            with warehouse.engine.transaction():
                before = state_of(warehouse.engine)
                report = warehouse.build(pack, full=full, only=sorted(left), progress=model)
                broken = {one.model for one in report.failed}
                if broken:
                    raise _Again
                current = ""
                for name in ([pack] if pack else warehouse.packs) if rolled else ():
                    build_rollups(warehouse.engine, warehouse.pack(name), models, tables, full=full)
                if state_of(warehouse.engine) != before:
                    # A view made anew changes no row: say that it is another version all the same.
                    next_seq(warehouse.engine)
            break
        except _Again:
            pass
        except ProdsenseError:
            # A failure inside the engine ends the transaction: the model that was being built is the one.
            if not current and not rolled:
                raise
            # Without the sums for dashboards everything is there all the same, only slower.
            rolled = bool(current) and rolled
            broken = {current} if current else set()
        failed |= broken
        left -= broken.union(*(graph.downstream(name) for name in broken))
    if failed:
        # Their state says why; nothing else of them changes.
        told_why = warehouse.build(pack, full=full, only=sorted(set(models) - left))
        merged = [one for one in told_why if one.model not in {m.model for m in report}]
        report = type(report)((*report, *merged), report.seconds + told_why.seconds)
    return report


class _Again(Exception):  # noqa: N818
    """Roll back, and build without what failed."""


def build_job(pack: str | None = None, full: bool = False) -> Work:
    """Bring the models up to date."""

    def work(warehouse: Warehouse, job: Job) -> dict[str, Any]:
        def told(line: str) -> None:
            job.doing = line

        report = build_at_once(warehouse, pack, full=full, told=told)
        return report.to_dict()

    return work


def load_job(folder: Path, files: list[Path], table: str | None, pack: str | None) -> Work:
    """Load files that were put into `folder`, which goes when they are loaded; they are known by their names alone."""

    def work(warehouse: Warehouse, job: Job) -> dict[str, Any]:
        from prodsense.ingest.discover import Sent

        sources = [Sent(str(file), file.name) for file in files]
        try:
            reports, refused = warehouse.ingest_each(sources, table=table, pack=pack)
        except ProdsenseError as error:
            raise type(error)(error.message.replace(f"{folder}/", "")) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        # What the engine itself says of a file names where it lay.
        refused = [line.replace(f"{folder}/", "") for line in refused]
        if refused and not reports:
            raise ProdsenseError(refused[0])
        return {"rows": [loaded(one) for report in reports for one in report], "refused": refused}

    return work


def refresh_job(project: Project) -> Work:
    """Load the project's sources, build, and put what detectors find into the queue."""

    def work(warehouse: Warehouse, job: Job) -> dict[str, Any]:
        from prodsense.ingest import load_mapped

        pack = warehouse.pack(project.pack)
        job.doing = "loading the sources"
        tables = {table.relation: table for table in pack.tables.values()}
        report = load_mapped(warehouse.engine, tables, project.folder)
        answer: dict[str, Any] = {"rows": [loaded(one) for one in report]}
        answer["build"] = build_job(project.pack)(warehouse, job)
        if pack.detectors:
            job.doing = "looking for what is off"
            answer["findings"] = len(warehouse.detect(pack=project.pack, queue=True))
        return answer

    return work


def loaded(load: Any) -> dict[str, Any]:
    """The counts of a load."""
    names = ("table", "source", "read", "accepted", "updated", "duplicate", "quarantined", "released", "skipped")
    return {name: getattr(load, name) for name in names}


class Timer:
    """Asks for a job every so many seconds, unless the one before is still waiting or running."""

    def __init__(self, jobs: Jobs, seconds: float, kind: str, make: Callable[[], Work]):
        self._jobs, self._seconds, self._kind, self._make = jobs, seconds, kind, make
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prodsense-timer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        last: Job | None = None
        while not self._stopped.wait(self._seconds):
            if last is None or last.finished.is_set():
                last = self._jobs.submit(self._kind, "timer", self._make())

    def stop(self) -> None:
        self._stopped.set()
