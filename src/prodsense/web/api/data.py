"""Data coming in: loads, quarantine, and the jobs that load and build."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, StrictBool

from prodsense.errors import UsageError
from prodsense.web import jobs
from prodsense.web.api.common import (
    JobAnswer,
    RowsAnswer,
    Word,
    documented,
    found,
    give,
    problems,
)
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may

router = APIRouter(prefix="/api/v1", tags=["data"])

Limit = Annotated[int, Query(ge=1, le=10_000)]


@router.get("/loads", dependencies=[may("data")], response_model=RowsAnswer, responses=documented())
def loads(request: Request, limit: Limit = 200) -> Response:
    """What was loaded, the newest first: read = accepted + duplicate + quarantined."""
    return give(request, lambda wh: newest(wh, "loads", limit))


@router.get("/quarantine", dependencies=[may("admin")], response_model=RowsAnswer, responses=documented())
def quarantine(request: Request, limit: Limit = 200) -> Response:
    """Rows that their contract refuses, with the reason and the original text, the newest first.

    They hold what stood in the file, personal data too: they are for admins.
    """
    return give(request, lambda wh: newest(wh, "quarantine", limit))


def newest(warehouse: Any, table: str, limit: int) -> dict[str, Any]:
    """The newest rows of one of the project's own tables; `table` is one of our own words."""
    if warehouse.engine.columns(f"prodsense.{table}") is None:
        return {"rows": []}
    sql = f"SELECT * FROM prodsense.{table} ORDER BY load_id DESC, relation LIMIT {int(limit)}"
    return {"rows": warehouse.engine.query(sql).to_pylist()}


# -- jobs --------------------------------------------------------------------------------------------


class BuildRequest(BaseModel):
    """Which models: of one pack, or all; with `full` all days anew."""

    model_config = {"extra": "forbid"}
    pack: str | None = None
    full: StrictBool = False


@router.get("/jobs", dependencies=[may("admin")], responses=problems())
def list_jobs(site: CurrentSite) -> list[JobAnswer]:
    """The last loads and builds, the newest first."""
    return [JobAnswer(**plain(job)) for job in site.jobs.list()]


@router.get("/jobs/{number}", dependencies=[may("admin")], responses=problems(404))
def job(site: CurrentSite, number: int) -> JobAnswer:
    """How far a load or build is."""
    return JobAnswer(**plain(found(site.jobs.get(number), "job")))


@router.post("/build", status_code=202, dependencies=[may("admin")], responses=problems(400, 404))
def build(site: CurrentSite, who: CurrentActor, asked: BuildRequest) -> JobAnswer:
    """Bring the models up to date, all at once for readers; returns the job that does it."""
    if asked.pack is not None:
        site.warehouse.pack(asked.pack)
    return JobAnswer(**plain(site.jobs.submit("build", who.name, jobs.build_job(asked.pack, asked.full))))


@router.post("/refresh", status_code=202, dependencies=[may("admin")], responses=problems(409))
def refresh(site: CurrentSite, who: CurrentActor) -> JobAnswer:
    """Load the project's sources, build, and run the detectors; what ``--every`` does by itself."""
    if site.project is None or not site.project.pack:
        raise WebError(409, "there is no project whose sources could be loaded: start the server in its folder")
    return JobAnswer(**plain(site.jobs.submit("refresh", who.name, jobs.refresh_job(site.project))))


@router.post("/ingest", status_code=202, dependencies=[may("admin")], responses=problems(400, 404))
def ingest(
    site: CurrentSite, who: CurrentActor, files: Annotated[list[UploadFile], File(description="CSV, Parquet, NDJSON")],
    table: Annotated[Word | None, Form()] = None, pack: Annotated[Word | None, Form()] = None,
) -> JobAnswer:
    """Load files into contracted tables: the one named, or those that the files are named after."""
    if pack is not None:
        site.warehouse.pack(pack)
    folder = Path(tempfile.mkdtemp(prefix="prodsense-"))
    try:
        kept = [keep(upload, folder) for upload in files]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

    return JobAnswer(**plain(site.jobs.submit("ingest", who.name, jobs.load_job(folder, kept, table, pack))))


def keep(upload: UploadFile, folder: Path) -> Path:
    """Write an upload into `folder` under its own name, of which only the last part is taken."""
    name = Path((upload.filename or "").replace("\\", "/")).name
    if not name or name.startswith(".") or not name.isprintable() or len(name) > 200 or any(c in name for c in "*?[]"):
        raise UsageError(f"a file cannot be named {name!r}")
    target = folder / name
    if target.exists():
        raise UsageError(f"{name} is sent twice")
    with target.open("wb") as out:
        shutil.copyfileobj(upload.file, out)
    return target


def plain(job: jobs.Job) -> dict[str, Any]:
    """A job as JSON holds it."""
    from prodsense.metrics.result import plain as as_json

    return {**job.to_dict(), "answer": as_json(job.answer)}
