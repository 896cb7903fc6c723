"""Whether the server is up, who asks, and how fresh what it serves is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from prodsense.errors import ForbiddenError
from prodsense.web.api.common import RowsAnswer, documented, give, problems
from prodsense.web.security import CurrentActor, CurrentSite, may

router = APIRouter(prefix="/api/v1", tags=["health"])


class Health(BaseModel):
    status: str


class Me(BaseModel):
    """Who asks. `doors` are the permissions of routes, `sql` whether statements are shown."""

    name: str
    role: str
    attributes: dict[str, str | list[str]]
    doors: list[str]
    sql: bool


@router.get("/health", dependencies=[may("public")], responses=problems())
def health() -> Health:
    """Whether the server answers."""
    return Health(status="ok")


@router.get("/me", dependencies=[may("read")], responses=problems())
def me(who: CurrentActor, site: CurrentSite) -> Me:
    """Who the API takes the caller for."""
    try:
        with site.reader(who) as warehouse:
            sql = warehouse.shows_sql()
    except ForbiddenError:
        sql = False  # a role without rights here, or a warehouse without a pack
    return Me(name=who.name, role=who.role, attributes=dict(who.attributes), doors=sorted(who.doors), sql=sql)


@router.get("/status", dependencies=[may("data")], response_model=RowsAnswer, responses=documented())
def status(request: Request, site: CurrentSite) -> Response:
    """A row a pack: its newest data, last load and last build, and what is stale; with the data's version."""
    return give(request, lambda wh: {"rows": freshness(wh), "version": site.version}, more=site.version)


def freshness(warehouse: Any) -> list[dict[str, Any]]:
    """How fresh each pack of the warehouse is."""
    from prodsense.build import status as states_of
    from prodsense.ingest.ledger import LOADS

    engine = warehouse.engine
    loads: dict[str, Any] = {}
    if engine.columns(LOADS) is not None:
        for row in engine.query(f"SELECT relation, MAX(at) AS at FROM {LOADS} GROUP BY relation").to_pylist():
            pack = row["relation"].split(".")[0]
            loads[pack] = max(filter(None, (loads.get(pack), row["at"])))
    rows = []
    for pack in warehouse.packs:
        models, tables = warehouse.definitions([pack])
        states = states_of(engine, models, tables)
        built = [state.built_at for state in states.values() if state.built_at]
        rows.append({
            "pack": pack, "loaded_at": loads.get(pack), "built_at": max(built, default=None),
            "models": len(states), "never_built": [n for n, s in states.items() if s.never_built],
            "stale": [n for n, s in states.items() if s.stale and not s.never_built and models[n].kind == "table"],
            "failed": [n for n, s in states.items() if s.error],
        })  # fmt: skip
    return rows
