"""Why a metric moved, and how one's own numbers stand beside those of peers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.parts import spoken
from prodsense.charts.units import format_value
from prodsense.contracts.vocabulary import Metric
from prodsense.errors import ProdsenseError
from prodsense.metrics import periods
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.security import may
from prodsense.web.views.common import keep, newest, reading, show, width_of
from prodsense.web.views.experiments import sections_of
from prodsense.web.views.explore import find

router = APIRouter(include_in_schema=False, dependencies=[may("read")])

_PARTS = ("from_since", "from_until", "to_since", "to_until")


@router.get("/explore/{name}/why")
def why(request: Request, name: str) -> Response:
    """The two times to compare, and what made the difference (as a part)."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        days = times(request.query_params, newest(request, warehouse, pack.name))
        query = "&".join(f"{part}={day}" for part, day in days.items())
        return show(
            request, "why.html", f"Why {spoken(found.name).lower()} moved", pack=pack, metric=found, days=days,
            part=f"/explore/{pack.name}.{found.name}/why/answer?{query}" if days else "",
        )  # fmt: skip


@router.get("/explore/{name}/why/answer")
def answer(request: Request, name: str) -> Response:
    """What made the difference between two times, as a part of its page."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)
        days = times(request.query_params, newest(request, warehouse, pack.name))
        width, sql = width_of(request), warehouse.shows_sql()

        def ask() -> dict[str, Any]:
            return explained(warehouse, pack, found, days, width, sql)

        shown = keep(request, ("why", pack.name, found.name, tuple(days.items()), width, sql), ask)
        return show(request, "part_why.html", spoken(found.name), **shown)


@router.get("/explore/{name}/peers")
def peers(request: Request, name: str) -> Response:
    """One's own number beside those of peers, as a part of the metric's page."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name)

        def ask() -> dict[str, Any]:
            return beside(warehouse, pack, found)

        shown = keep(request, ("peers", pack.name, found.name), ask)
        return show(request, "part_peers.html", "Beside your peers", **shown)


def times(query: Mapping[str, str], last: Any) -> dict[str, str]:
    """The days of both times, the last inside: as given, else the last complete week and the one before."""
    given = {part: query.get(part, "") for part in _PARTS}
    if all(given.values()):
        return {part: periods.read_day(day, part.replace("_", " ")).isoformat() for part, day in given.items()}
    if last is None:
        return {}
    day = date(last.year, last.month, last.day)
    this = periods.start_of(day + timedelta(days=1), "week")
    start = periods.shift(this, "week", -1)
    week, end = timedelta(days=7), timedelta(days=6)
    found = (start - week, start - week + end, start, start + end)
    return {part: day.isoformat() for part, day in zip(_PARTS, found, strict=True)}


def explained(
    warehouse: Warehouse, pack: Pack, found: Metric, days: Mapping[str, str], width: int, sql: bool
) -> dict[str, Any]:
    """An explanation as what `part_why.html` shows."""
    blank: dict[str, Any] = {"error": "", "parts": (), "lead": "", "notes": ()}
    if not days:
        return {**blank, "error": "There are no data to compare yet."}
    before, after = (f"{days[f'{end}_since']}..{days[f'{end}_until']}" for end in ("from", "to"))
    try:
        page = warehouse.explain(f"{pack.name}.{found.name}", before, after).page()
    except ProdsenseError as error:
        return {**blank, "error": error.message}
    return {**blank, "lead": page.subtitle, "parts": sections_of(page, width, sql), "notes": list(page.notes)}


def beside(warehouse: Warehouse, pack: Pack, found: Metric) -> dict[str, Any]:
    """Own and peers' numbers as places on a scale from 0 to 100, with their texts."""
    try:
        answer = warehouse.benchmark(f"{pack.name}.{found.name}", grain="all")
    except ProdsenseError as error:
        return {"error": error.message, "lines": [], "notes": []}
    lines = []
    for row in answer.rows:
        known = [float(row[n]) for n in ("own", "low", "middle", "high") if row[n] is not None]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = (high - low) * 0.15 or abs(high) * 0.1 or 1.0

        def place(value: Any, low: float = low - room, high: float = high + room) -> float | None:
            return None if value is None else round((float(value) - low) / (high - low) * 100, 2)

        lines.append({
            **{name: format_value(row[name], found.unit) for name in ("own", "low", "middle", "high")},
            "at": {name: place(row[name]) for name in ("own", "low", "middle", "high")},
            "standing": row["standing"] or "", "peers": row["peers"], "refused": row["refused"] or "",
        })
    return {"error": "", "lines": lines, "notes": list(answer.notes)}
