"""Experiments: what is tested, and each readout in the order in which it should be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.page import ChartView, Page, SectionView
from prodsense.charts.parts import spoken
from prodsense.charts.rows import plain_rows
from prodsense.contracts.vocabulary import Experiment
from prodsense.errors import ProdsenseError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.pictures import picture
from prodsense.web.security import WebError, may
from prodsense.web.views.common import keep, packs, reading, show, width_of

router = APIRouter(include_in_schema=False, dependencies=[may("read")])


@router.get("/experiments")
def index(request: Request) -> Response:
    """All experiments, by pack."""
    with reading(request) as warehouse:
        groups = [(pack, open_experiments(warehouse, pack)) for pack in packs(warehouse)]
        return show(request, "experiments.html", "Experiments", groups=[g for g in groups if g[1]])


@router.get("/experiments/{name}")
def experiment(request: Request, name: str) -> Response:
    """The design of an experiment at once, its readout as it comes."""
    with reading(request) as warehouse:
        pack, found = find(warehouse, name)
        return show(request, "experiment.html", spoken(found.name), pack=pack, experiment=found)


@router.get("/experiments/{name}/readout")
def readout(request: Request, name: str) -> Response:
    """The readout, as a part of its page."""
    with reading(request) as warehouse:
        pack, found = find(warehouse, name)
        width, sql = width_of(request), warehouse.shows_sql()

        def ask() -> dict[str, Any]:
            return read_out(warehouse, pack, found, width, sql)

        shown = keep(request, ("readout", pack.name, found.name, width, sql), ask)
        return show(request, "part_readout.html", spoken(found.name), **shown)


def open_experiments(warehouse: Warehouse, pack: Pack) -> list[Experiment]:
    """The experiments of a pack that the role may read."""
    return [e for e in pack.experiments.values() if warehouse.allows("experiments", pack.name, e.name)]


def find(warehouse: Warehouse, name: str) -> tuple[Pack, Experiment]:
    """An experiment of a pack with data here; WebError 404 else."""
    pack_name, _, bare = name.rpartition(".")
    for pack in packs(warehouse):
        for each in open_experiments(warehouse, pack):
            if each.name == bare and pack_name in ("", pack.name):
                return pack, each
    raise WebError(404, f"there is no experiment named {name}")


def read_out(warehouse: Warehouse, pack: Pack, found: Experiment, width: int, sql: bool) -> dict[str, Any]:
    """A readout as what `part_readout.html` shows."""
    blank: dict[str, Any] = {"error": "", "decision": "", "reasons": (), "checks": (), "sections": (), "facts": ()}
    try:
        answer = warehouse.experiment(f"{pack.name}.{found.name}")
    except ProdsenseError as error:
        return {**blank, "error": error.message}
    extras = dict(answer.extras)
    if "decision" in extras and "checks" in extras:
        # Checks and decision stand on top in a form of their own; the page's other sections follow.
        sections = [told(s) for s in answer.page().sections if not s.title.startswith(("Decision", "Can it"))]
        return {
            **blank, "decision": str(extras["decision"]), "reasons": list(extras["reasons"]),
            "checks": list(extras["checks"]), "sections": sections_of(Page("", sections=sections), width, sql),
            "notes": list(answer.notes),
        }  # fmt: skip
    return {**blank, **of_rows(answer, width, sql)}


#: What of an effect is read first.
_FIRST = ("metric", "segment", "value", "verdict", "role", "arm", "relative", "effect")


def told(section: SectionView) -> SectionView:
    """A section whose tables say first what was found, and never that a probability is 0.

    A picture without rows of its own gets those of the table beside it: not everybody sees pictures.
    """
    views = []
    beside = next((view.rows for view in section.charts if view.chart is None), ())
    for view in section.charts:
        if view.chart is not None and view.rows:
            views.append(view)
            continue
        rows = []
        for row in view.rows or beside:
            names = [name for name in _FIRST if name in row]
            names += [name for name in row if name not in names]
            rows.append({name: _probability(name, row[name]) for name in names})
        views.append(replace(view, rows=rows))
    return replace(section, charts=views)


def _probability(name: str, value: Any) -> Any:
    small = name.startswith("p_") and isinstance(value, float) and value < 0.0001
    return "< 0.0001" if small else value


def of_rows(answer: Any, width: int, sql: bool) -> dict[str, Any]:
    """Rows with named extras: small facts as such, lists of rows as tables."""
    facts, sections = [], []
    for name, value in answer.extras.items():
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            sections.append((spoken(name), ChartView(spoken(name), rows=plain_rows(value))))
        elif isinstance(value, str | int | float | bool) or value is None:
            facts.append((spoken(name), value))
        elif isinstance(value, list | tuple):
            facts.append((spoken(name), ", ".join(map(str, value)) or "none"))
        elif isinstance(value, dict):
            facts += [(f"{spoken(name)}: {key}", each) for key, each in value.items()
                      if isinstance(each, str | int | float | bool)]
    rows = ChartView("", rows=plain_rows(answer), units=dict(answer.units), sql=answer.sql if sql else ())
    views = [picture(rows, show_sql=sql), *(picture(view) for _, view in sections)]
    return {"facts": facts, "sections": [("", "", views, ())], "notes": list(answer.notes)}


def sections_of(page: Page, width: int, sql: bool) -> list[tuple[str, str, list[Any], tuple[str, ...]]]:
    """The sections of a page of charts: title, words, pictures, notes."""
    return [_section(section, width, sql) for section in page.sections]


def _section(section: SectionView, width: int, sql: bool) -> tuple[str, str, list[Any], tuple[str, ...]]:
    pictures = [picture(view, width=width, show_sql=sql) for view in section.charts]
    return section.title, section.says, pictures, tuple(section.notes)
