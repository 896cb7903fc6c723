"""Data: what was loaded and refused, contracts, models, lineage."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from prodsense.charts.rows import plain_rows
from prodsense.contracts.tables import Table
from prodsense.engines.base import comma
from prodsense.errors import ProdsenseError, UsageError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.diagrams import er_diagram, lineage_diagram
from prodsense.web.pictures import table
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.views.common import attempt, keep, packs, reading, show

router = APIRouter(include_in_schema=False, dependencies=[may("data")])

TABS = (("Loads", "/data"), ("Quarantine", "/data/quarantine"), ("Tables", "/data/tables"), ("Models", "/data/models"))
#: Lines on a page of a list.
PAGE = 50
_COUNTS = ("read", "accepted", "updated", "duplicate", "quarantined", "released")


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """The tabs of the data pages."""
    return [(text, address, address == current) for text, address in TABS]


@router.get("/data")
def loads(request: Request, site: CurrentSite, who: CurrentActor, page: int = 1) -> Response:
    """What was loaded, the newest first, with the jobs that the server runs."""
    start = first_of(page)
    with reading(request) as warehouse:
        rows = system_rows(
            warehouse, "loads", ["load_id", "relation", "source", "at", *_COUNTS], order="load_id DESC, relation",
            start=start,
        )  # fmt: skip
        totals = keep(request, ("load totals",), lambda: total_loads(warehouse))
        return show(
            request, "loads.html", "Data", tabs=tabs("/data"), rows=rows[:PAGE], totals=totals,
            pages=pages("/data", page, len(rows) > PAGE),
            counts=[name for name in _COUNTS if name not in ("updated", "released") or any(r[name] for r in rows)],
            jobs=[job.to_dict() for job in site.jobs.list()][:8] if who.may("admin") else [],
        )  # fmt: skip


@router.get("/data/quarantine")
def quarantine(
    request: Request, who: CurrentActor, page: int = 1, relation: str = "", rule: str = "", released: str = ""
) -> Response:
    """Refused rows: why, how many, and (for an admin) the rows themselves."""
    start = first_of(page)
    with reading(request) as warehouse:
        groups = keep(request, ("quarantine",), lambda: refused_groups(warehouse))
        rows: list[dict[str, Any]] = []
        if who.may("admin"):
            given = {name: value for name, value in (("relation", relation), ("rule", rule)) if value}
            conditions = [f"{comma([name])} = :{name}" for name in given]
            if released != "1":
                conditions.append("released IS NULL")
            rows = system_rows(
                warehouse, "quarantine",
                ["id", "load_id", "relation", "file", "row_number", "column_name", "rule", "reason", "todo", "original",
                 "at", "released"],
                where=" AND ".join(conditions), order="id DESC", start=start, params=given,
            )  # fmt: skip
        shown = [g for g in groups if relation in ("", g["relation"]) and rule in ("", g["rule"])]
        query = {"relation": relation, "rule": rule, "released": released}
        return show(
            request, "quarantine.html", "Quarantine", tabs=tabs("/data/quarantine"), groups=shown, rows=rows[:PAGE],
            relation=relation, rule=rule, released=released,
            relations=[("", "all tables"), *((r, r) for r in sorted({g["relation"] for g in groups}))],
            rules=[("", "all rules"), *((r, r) for r in sorted({g["rule"] for g in groups}))],
            pages=pages("/data/quarantine", page, len(rows) > PAGE, query), sees_rows=who.may("admin"),
        )  # fmt: skip


@router.get("/data/tables")
def tables(request: Request) -> Response:
    """The contracted tables of each pack, with their numbers of rows."""
    with reading(request) as warehouse:
        existing = keep(request, ("relations",), lambda: sorted(warehouse.engine.relations()))
        groups = []
        for pack in packs(warehouse):
            rows = [(t, row_count(request, warehouse, t.relation) if t.relation in existing else None)
                    for t in pack.tables.values()]
            groups.append((pack, rows))
        return show(request, "tables.html", "Tables", tabs=tabs("/data/tables"), groups=groups)


@router.get("/data/tables/{name}")
def contract(request: Request, name: str) -> Response:
    """A table's contract: columns, keys, checks, references, and its first rows for who may see rows."""
    with reading(request) as warehouse:
        pack, found = find_table(warehouse, name)
        rows = None
        if warehouse.allows("rows", pack.name):
            rows = attempt(lambda: table(plain_rows(warehouse.show(found.relation, 20))), None)
        references = {column: r.table for r in found.references for column in r.columns}
        inward = [(t.name, r.columns) for t in pack.tables.values() for r in t.references if r.table == found.relation]
        return show(
            request, "table.html", found.name, tabs=tabs("/data/tables"), pack=pack, table=found, rows=rows,
            references=references, inward=inward, count=row_count(request, warehouse, found.relation),
        )  # fmt: skip


@router.get("/data/schema/{pack}")
def schema(request: Request, pack: str) -> Response:
    """The tables of a pack as a diagram."""
    with reading(request) as warehouse:
        found = find_pack(warehouse, pack)
        picture = Markup(er_diagram(found.tables, lambda name: f"/data/tables/{found.name}.{name}"))
        wires = [(t.name, ", ".join(r.columns), r.table) for t in found.tables.values() for r in t.references]
        return show(
            request, "diagram.html", f"{found.title}: tables",
            lead="Wires lead from a table to those that refer to it.",
            crumbs=[("Data", "/data"), ("Tables", "/data/tables")], picture=picture, kinds=("table",),
            head=("table", "by", "refers to"), lines=wires, columns={},
        )  # fmt: skip


@router.get("/data/models")
def models(request: Request) -> Response:
    """The models of each pack: whether they are fresh, and what ails them."""
    from prodsense.build import status

    with reading(request) as warehouse:
        groups = []
        for pack in packs(warehouse):
            found, known = warehouse.definitions([pack.name])

            def ask(found: Any = found, known: Any = known) -> dict[str, Any]:
                return attempt(lambda: status(warehouse.engine, found, known), {})

            states = keep(request, ("models", pack.name), ask)
            groups.append((pack, [(pack.models[name.split(".")[1]], state) for name, state in states.items()]))
        return show(request, "models.html", "Models", tabs=tabs("/data/models"), groups=groups)


@router.get("/data/lineage/{name}")
def lineage(request: Request, name: str) -> Response:
    """Where a model's columns or a metric's value come from, and what stands on them."""
    with reading(request) as warehouse:
        try:
            found = warehouse.lineage(name)
        except UsageError as error:
            raise WebError(404, error.message) from None

        def address(relation: str, kind: str) -> str:
            return f"/data/tables/{relation}" if kind == "table" else f"/data/lineage/{relation}"

        lines = [(start, "is read by", end) for start, end in found.edges]
        crumbs = [("Data", "/data")]
        crumbs.append(("Models", "/data/models") if found.kind != "metric" else ("Catalogue", "/catalogue"))
        return show(
            request, "diagram.html", f"Lineage of {found.name.rpartition('.')[2]}",
            lead=f"What the {found.kind} stands on, and what stands on it.", crumbs=crumbs,
            picture=Markup(lineage_diagram(found, address)), kinds=("table", "view", "model", "metric"),
            head=("from", "", "to"), lines=lines, columns=found.columns,
        )  # fmt: skip


# -- what is read ------------------------------------------------------------------------------------


def find_pack(warehouse: Warehouse, name: str) -> Pack:
    """A pack with data here; WebError 404 else."""
    for pack in packs(warehouse):
        if pack.name == name:
            return pack
    raise WebError(404, f"there is no data of a pack named {name}")


def find_table(warehouse: Warehouse, name: str) -> tuple[Pack, Table]:
    """A contracted table by ``pack.name``; WebError 404 else."""
    pack_name, _, bare = name.rpartition(".")
    for pack in packs(warehouse):
        if pack.name == pack_name and bare in pack.tables:
            return pack, pack.tables[bare]
    raise WebError(404, f"there is no table named {name}")


def system_rows(
    warehouse: Warehouse, name: str, columns: list[str], *, order: str, start: int, where: str = "",
    params: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A page of one of the project's own records and one line more; columns and conditions are our own words."""
    if warehouse.engine.columns(f"prodsense.{name}") is None:
        return []
    text = f"SELECT {comma(columns)} FROM prodsense.{name}{f' WHERE {where}' if where else ''} ORDER BY {order}"
    return warehouse.engine.query(f"{text} LIMIT {PAGE + 1} OFFSET {int(start)}", params or {}).to_pylist()


def total_loads(warehouse: Warehouse) -> dict[str, int]:
    """All counts of all loads together."""
    if warehouse.engine.columns("prodsense.loads") is None:
        return {}
    sums = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in _COUNTS)
    row = warehouse.engine.query(f"SELECT {sums} FROM prodsense.loads").to_pylist()[0]
    return {name: int(value) for name, value in row.items()}


def refused_groups(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Refused rows by table, column and rule: how many still wait, how many went in later, when last."""
    if warehouse.engine.columns("prodsense.quarantine") is None:
        return []
    return warehouse.engine.query(
        "SELECT relation, column_name, rule, COUNT(*) FILTER (WHERE released IS NULL) AS waiting,"
        " COUNT(released) AS released, MAX(at) AS last_at FROM prodsense.quarantine"
        " GROUP BY relation, column_name, rule ORDER BY waiting DESC, relation, column_name, rule"
    ).to_pylist()


def row_count(request: Request, warehouse: Warehouse, relation: str) -> int | None:
    """How many rows of a relation the role sees; None where it may not look."""
    from prodsense.engines.base import quoted

    def ask() -> int | None:
        try:
            found = warehouse.engine.query(f"SELECT COUNT(*) AS many FROM {quoted(relation)}")
        except ProdsenseError:
            return None
        return int(found["many"][0].as_py())

    return keep(request, ("count", relation), ask)


def first_of(page: int) -> int:
    """The first line of a page; UsageError for a page that cannot be."""
    if not 1 <= page <= 10_000:
        raise UsageError("pages are counted from 1")
    return (page - 1) * PAGE


def pages(path: str, page: int, more: bool, query: dict[str, str] | None = None) -> dict[str, Any]:
    """The addresses of the pages before and after."""
    kept = [(name, value) for name, value in (query or {}).items() if value]

    def address(number: int) -> str:
        pairs = [*kept, ("page", str(number))] if number > 1 else kept
        return path + (f"?{urlencode(pairs)}" if pairs else "")

    return {"page": page, "before": address(page - 1) if page > 1 else "", "after": address(page + 1) if more else ""}
