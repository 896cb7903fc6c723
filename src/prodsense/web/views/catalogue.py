"""The catalogue: what every word means, where it comes from, which question it answers; and each entry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from prodsense.charts.page import ChartView
from prodsense.charts.parts import spoken
from prodsense.charts.rows import plain_rows
from prodsense.contracts.vocabulary import REQUIRED
from prodsense.errors import ProdsenseError, UsageError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.pictures import headline, picture
from prodsense.web.security import WebError, may
from prodsense.web.views.common import file_of, keep, packs, reading, show, slices, width_of
from prodsense.web.views.experiments import of_rows, sections_of

router = APIRouter(include_in_schema=False, dependencies=[may("read")])

PAGE = 60
#: Kinds in the order in which they are offered, and the part of a pack that holds each.
KINDS: Mapping[str, str] = {
    "metric": "metrics", "question": "questions", "dashboard": "dashboards", "chart": "charts", "query": "queries",
    "analysis": "analyses", "algorithm": "analyses", "function": "analyses", "experiment": "experiments",
    "detector": "detectors", "policy": "policies", "slice": "dimensions", "tree": "trees", "table": "tables",
    "model": "models", "view": "models", "event": "events", "pipeline": "pipelines",
}  # fmt: skip
_RUNS = frozenset({"query", "analysis", "algorithm", "function"})


@router.get("/catalogue")
def index(request: Request, q: str = "", kind: str = "", pack: str = "", page: int = 1) -> Response:
    """All entries that the role may see, searched by words."""
    if not 1 <= page <= 1000:
        raise UsageError("pages are counted from 1")
    with reading(request) as warehouse:
        everything = entries(request, warehouse)
        words = q.lower().split()
        found = [e for e in everything if pack in ("", e["pack"]) and all(w in e["words"] for w in words)]
        kinds = Counter(e["kind"] for e in found)
        shown = [e for e in found if kind in ("", e["kind"])]
        order = {each: i for i, each in enumerate(KINDS)}
        shown.sort(key=lambda e: (_rank(e, words), order.get(e["kind"], len(order)), e["name"]))
        start = (page - 1) * PAGE

        def address(**changes: Any) -> str:
            pairs = {"q": q, "kind": kind, "pack": pack, **changes}
            text = urlencode([(k, v) for k, v in pairs.items() if v])
            return "/catalogue" + (f"?{text}" if text else "")

        return show(
            request, "catalogue.html", "Catalogue", entries=shown[start : start + PAGE], total=len(shown), q=q,
            kind=kind, pack=pack, pack_options=[("", "All packs"), *((p.name, p.title) for p in packs(warehouse))],
            kinds=[("all", address(kind=""), kind == "", len(found)),
                   *((k, address(kind=k), k == kind, kinds[k]) for k in KINDS if kinds[k])],
            pages={"page": page, "before": address(page=page - 1) if page > 1 else "",
                   "after": address(page=page + 1) if len(shown) > start + PAGE else ""},
        )  # fmt: skip


@router.get("/catalogue/{name}")
def entry(request: Request, name: str, kind: str = "") -> Response:
    """One entry: definition, formula, parameters, lineage, questions."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name, kind)
        artefact = getattr(pack, KINDS[found["kind"]])[found["name"]]
        sql = warehouse.shows_sql()
        return show(
            request, "artefact.html", title_of(found), pack=pack, entry=found, artefact=artefact,
            facts=facts_of(request, warehouse, pack, found, artefact), links=links_of(warehouse, pack, found),
            asks=[pack.questions[q] for q in found.get("questions", ()) if q in pack.questions],
            text=source_of(artefact) if sql else "", runs=found["kind"] in _RUNS,
            params=params_of(found), given=dict(request.query_params),
            answers=answers_of(request, warehouse, pack, found),
            answer_part=f"/catalogue/{name}/answer" if found["kind"] == "question" else "",
            run_part=run_address(name, found, request), can_run=can_run(found, request),
            check_part=f"/catalogue/{name}/check" if found["kind"] == "policy" else "",
        )  # fmt: skip


@router.get("/catalogue/{name}/run")
def run(request: Request, name: str, kind: str = "") -> Response:
    """The rows of a query or an analysis, as a part of its page."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name, kind)
        width, sql = width_of(request), warehouse.shows_sql()
        key = ("run", pack.name, found["kind"], found["name"], str(request.query_params), width, sql)

        def ask() -> dict[str, Any]:
            return ran(request, warehouse, pack, found, width, sql)

        shown = keep(request, key, ask)
        return show(request, "part_readout.html", title_of(found), **shown)


@router.get("/catalogue/{name}/export")
def export(request: Request, name: str, kind: str = "") -> Response:
    """The rows of a query or an analysis as a file (``as=csv|parquet|json|png``)."""
    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name, kind)
        return file_of(request, warehouse, answer_of(request, warehouse, pack, found), found["name"])


@router.get("/catalogue/{name}/answer")
def answer(request: Request, name: str) -> Response:
    """A question's numbers, pictures and tables, as a part of its page."""
    with reading(request) as warehouse:
        _, found = find(request, warehouse, name, "question")
        width, sql = width_of(request), warehouse.shows_sql()

        def ask() -> dict[str, Any]:
            page = warehouse.answer(found["name"])
            parts = sections_of(page, width, sql)
            tiles = [[headline(tile) for tile in section.tiles] for section in page.sections]
            policies = [list(section.policies) for section in page.sections]
            return {"parts": list(zip(parts, tiles, policies, strict=True)), "notes": list(page.notes)}

        return show(request, "part_answer.html", title_of(found), **keep(request, ("answer", name, width, sql), ask))


@router.get("/catalogue/{name}/check")
def check(request: Request, name: str) -> Response:
    """Whether a policy holds, as a part of its page."""
    from prodsense.charts.dashboards import policy_view
    from prodsense.charts.fetching import PackFetch

    with reading(request) as warehouse:
        pack, found = find(request, warehouse, name, "policy")
        fetch = PackFetch(warehouse, pack, {})
        shown = keep(request, ("check", name), lambda: [policy_view(found["name"], fetch)])
        return show(request, "part_policies.html", title_of(found), views=shown)


# -- entries -----------------------------------------------------------------------------------------


def entries(request: Request, warehouse: Warehouse) -> list[dict[str, Any]]:
    """All entries of the packs here that the role may see, with the words that a search looks at."""

    def ask() -> list[dict[str, Any]]:
        found = [e for name in warehouse.packs for e in warehouse.catalog(name)]
        return [
            {**e, "title": title_of(e), "words": f"{e['name']} {e['name'].replace('_', ' ')} {e['says']}".lower(),
             "address": f"/catalogue/{e['pack']}.{e['name']}?kind={e['kind']}"} for e in found
        ]  # fmt: skip

    return keep(request, ("entries",), ask)


def _rank(entry: Mapping[str, Any], words: Sequence[str]) -> int:
    """Entries whose name has the words come before those that only speak of them."""
    name = f"{entry['name']} {entry['name'].replace('_', ' ')}".lower()
    return 0 if not words or all(word in name for word in words) else 1


def title_of(entry: Mapping[str, Any]) -> str:
    """How an entry is called on a page."""
    return str(entry["name"]) if entry["kind"] in ("table", "model", "view", "question") else spoken(entry["name"])


def find(request: Request, warehouse: Warehouse, name: str, kind: str) -> tuple[Pack, dict[str, Any]]:
    """The entry called ``pack.name`` (of a kind, where several are); WebError 404 where the role sees none."""
    pack_name, _, bare = name.partition(".")
    for found in entries(request, warehouse):
        if found["pack"] == pack_name and found["name"] == bare and kind in ("", found["kind"]):
            return warehouse.pack(pack_name), found
    raise WebError(404, f"there is no entry named {name} in the catalogue")


def facts_of(
    request: Request, warehouse: Warehouse, pack: Pack, found: Mapping[str, Any], artefact: Any
) -> list[tuple[str, str]]:
    """What is particular to the kind of an entry, as pairs of word and text."""
    facts: list[tuple[str, str]] = [("Kind", found["kind"]), ("Kept by", f"pack {pack.name} ({pack.title})")]
    match found["kind"]:
        case "metric":
            better = {"up": "when it rises", "down": "when it falls", "none": "neither way"}[artefact.better]
            reach = slices(request, warehouse, pack.name, artefact.name)
            facts += [("Unit", artefact.unit or "a number"), ("Better", better)]
            facts += [("Source", artefact.source or "other metrics")]
            facts += [("Slices", ", ".join(d.replace("_", " ") for d in reach) or "none")]
        case "detector":
            facts += [("Severity", artefact.severity), ("Metric", artefact.metric), ("To do", artefact.action),
                      ("Quiet time", f"{artefact.cooldown} days")]
        case "policy":
            facts.append(("When broken", artefact.level))
        case "chart":
            facts += [("Shows", ", ".join(artefact.metrics) or artefact.query), ("Form", artefact.form)]
        case "slice":
            facts.append(("Known at", ", ".join("any table with a time" if h == "*" else h for h in artefact.at)))
        case "tree":
            facts.append(("Of", artefact.metric))
        case "pipeline":
            facts += [("Models", ", ".join(artefact.models)), ("Fresh within", f"{artefact.fresh_hours:g} hours"),
                      ("Late data", f"{artefact.late_days} days")]
        case "model" | "view":
            facts += [("Key", ", ".join(artefact.key)), ("Partition", artefact.partition)]
        case "event":
            facts.append(("Version", str(artefact.version)))
    return [(word, text) for word, text in facts if text]


def links_of(warehouse: Warehouse, pack: Pack, found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Where an entry lives on its own: text, address, icon."""
    full = f"{pack.name}.{found['name']}"
    match found["kind"]:
        case "metric":
            return [("Explore", f"/explore/{full}", "explore"), ("Lineage", f"/data/lineage/{full}", "link")]
        case "dashboard":
            return [("Open", f"/dashboards/{full}", "dashboard")]
        case "experiment":
            return [("Readout", f"/experiments/{full}", "experiment")]
        case "detector":
            return [("Its alerts", f"/alerts?detector={full}", "alert")]
        case "table":
            return [("Contract", f"/data/tables/{full}", "table")]
        case "model" | "view":
            return [("Lineage", f"/data/lineage/{full}", "link")]
    return []


def answers_of(
    request: Request, warehouse: Warehouse, pack: Pack, found: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The entries that answer a question."""
    wanted = found.get("answers", ())
    known = {e["name"]: e for e in reversed(entries(request, warehouse)) if e["pack"] == pack.name}
    return [known[name] for name in wanted if name in known]


def source_of(artefact: Any) -> str:
    """The SQL of a declaration, where it has one."""
    return str(getattr(artefact, "sql", "") or "").strip()


# -- running -----------------------------------------------------------------------------------------


def params_of(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of an entry with what stands in their fields at first."""
    return [
        {**p, "input": {"integer": "number", "number": "number", "date": "date"}.get(p["type"], "text"),
         "shown": "" if p.get("default") is None else str(p["default"])} for p in found.get("params", ())
    ]  # fmt: skip


def can_run(found: Mapping[str, Any], request: Request) -> bool:
    """Whether all parameters that must be given are."""
    return all(p.get("default") is not REQUIRED and (not p.get("required") or request.query_params.get(p["name"]))
               for p in found.get("params", ()))  # fmt: skip


def run_address(name: str, found: Mapping[str, Any], request: Request) -> str:
    """The address of the part that runs an entry with the parameters of the page."""
    names = {p["name"] for p in found.get("params", ())}
    pairs = [("kind", found["kind"]), *((k, v) for k, v in request.query_params.items() if k in names and v)]
    return f"/catalogue/{name}/run?{urlencode(pairs)}"


def answer_of(request: Request, warehouse: Warehouse, pack: Pack, found: Mapping[str, Any]) -> Any:
    """The rows of a query or an analysis with the parameters of the address."""
    if found["kind"] not in _RUNS:
        raise WebError(404, f"{found['name']} is a {found['kind']}: there is nothing to run")
    names = {p["name"] for p in found.get("params", ())}
    given = {k: v for k, v in request.query_params.items() if k in names and v}
    verb = warehouse.query if found["kind"] == "query" else warehouse.analyze
    return verb(f"{pack.name}.{found['name']}", **given)


def ran(
    request: Request, warehouse: Warehouse, pack: Pack, found: Mapping[str, Any], width: int, sql: bool
) -> dict[str, Any]:
    """What `part_readout.html` shows of a run."""
    blank: dict[str, Any] = {"error": "", "decision": "", "reasons": (), "checks": (), "sections": (), "facts": ()}
    try:
        rows = answer_of(request, warehouse, pack, found)
        shown = of_rows(rows, width, sql)
        chart = rows.chart() if getattr(rows, "picture", None) is not None else None
    except ProdsenseError as error:
        return {**blank, "error": error.message}
    if chart is not None:
        view = ChartView(spoken(found["name"]), chart=chart, rows=plain_rows(rows), units=dict(rows.units))
        title, says, views, said = shown["sections"][0]
        shown["sections"] = [(title, says, [picture(view, width=width), *views[1:]], said)]
    return {**blank, **shown}
