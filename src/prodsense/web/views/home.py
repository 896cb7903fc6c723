"""The first page: how the products do, whether the data are fresh, what needs a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.dashboards import headline_tiles
from prodsense.contracts.vocabulary import Metric
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.pictures import headline
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.views import alerts
from prodsense.web.views.common import attempt, keep, newest, open_metrics, packs, reading, show
from prodsense.web.views.dashboards import allowed, fetch_for

router = APIRouter(include_in_schema=False)

#: So many numbers of each pack stand on the first page.
KEY_NUMBERS = 4


@router.get("/", dependencies=[may("read")])
def home(request: Request, who: CurrentActor, site: CurrentSite) -> Response:
    """The first page."""
    with reading(request) as warehouse:
        shown = []
        for pack in packs(warehouse):
            dashboards = allowed(warehouse, pack)
            shown.append({
                "pack": pack, "newest": newest(request, warehouse, pack.name), "dashboards": dashboards,
                "has_numbers": bool(key_metrics(pack, open_metrics(request, warehouse, pack))),
            })
        items = [i for i in alerts.items(request, warehouse) if alerts.in_state(i, "")] if who.may("act") else []
        views = site.store.views(who)
        return show(
            request, "home.html", "Home", packs=shown, findings=items[:3], counts=Counter(f["severity"] for f in items),
            total=len(items), views=views,
        )  # fmt: skip


@router.get("/health/{pack}", dependencies=[may("data")])
def fresh(request: Request, pack: str) -> Response:
    """Whether the models of a pack are fresh, as a part of the first page: it reads all their SQL."""
    with reading(request) as warehouse:
        if pack not in warehouse.packs:
            raise WebError(404, f"there is no data of a pack named {pack}")
        found = health(request, warehouse, warehouse.pack(pack))
        return show(request, "part_health.html", "Health", health=found)


@router.get("/numbers/{pack}", dependencies=[may("read")])
def numbers(request: Request, pack: str) -> Response:
    """The key numbers of a pack, as a part of the first page."""
    with reading(request) as warehouse:
        if pack not in warehouse.packs:
            raise WebError(404, f"there is no data of a pack named {pack}")
        found = warehouse.pack(pack)

        def ask() -> list[dict[str, Any]]:
            names = key_metrics(found, open_metrics(request, warehouse, found))
            tiles = headline_tiles(names, fetch_for(request, warehouse, found))
            paths = [f"/explore/{pack}.{name}" for name in names]
            return [{**headline(tile), "address": path} for tile, path in zip(tiles, paths, strict=True)]

        return show(request, "part_tiles.html", "Key numbers", tiles=keep(request, ("numbers", pack), ask))


def key_metrics(pack: Pack, known: Sequence[Metric]) -> list[str]:
    """The known metrics that lead a pack's dashboards: one of each section in turn, until there are enough."""
    names = {metric.name for metric in known}
    sections = [section.metrics for board in pack.dashboards.values() for section in board.sections if section.metrics]
    found: list[str] = []
    for place in range(max(map(len, sections), default=0)):
        for metrics in sections:
            if place < len(metrics) and metrics[place] in names - {*found}:
                found.append(metrics[place])
    return found[:KEY_NUMBERS]


def health(request: Request, warehouse: Warehouse, pack: Pack) -> dict[str, Any]:
    """How many models are built, behind or broken, and when a build ran last."""
    from prodsense.build import ModelStatus, status

    def ask() -> dict[str, Any]:
        models, tables = warehouse.definitions([pack.name])
        nothing: dict[str, ModelStatus] = {}
        states = attempt(lambda: status(warehouse.engine, models, tables), nothing).values()
        kinds = Counter(state.state for state in states)
        built = max((state.built_at for state in states if state.built_at), default=None)
        broken = [state for state in states if state.error]
        return {"kinds": kinds, "built_at": built, "broken": broken, "total": len(states)}

    return keep(request, ("health", pack.name), ask)
