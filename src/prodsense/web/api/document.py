"""The API's own document (OpenAPI 3.1): the routes, with the names that this warehouse knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from prodsense.web.api.common import Problem

if TYPE_CHECKING:
    from prodsense.web.site import Site

#: Path, name of the parameter → kind of the names that it takes.
NAMED = {
    ("/api/v1/metric", "name"): "metrics",
    ("/api/v1/explain/{name}", "name"): "metrics",
    ("/api/v1/query/{name}", "name"): "queries",
    ("/api/v1/analyze/{name}", "name"): "analyses",
    ("/api/v1/experiment/{name}", "name"): "experiments",
    ("/api/v1/policies", "name"): "policies",
    ("/api/v1/dashboards/{name}", "name"): "dashboards",
    ("/api/v1/dashboards/{name}/sections/{section}", "name"): "dashboards",
    ("/api/v1/dashboards/{name}/sections/{section}/charts/{chart}", "name"): "dashboards",
    ("/api/v1/lineage/{name}", "name"): "models",
    ("/api/v1/show/{name}", "name"): "relations",
    ("/api/v1/schema/{pack}", "pack"): "packs",
    **{(f"/api/v1/{method}", "table"): "relations" for method in (
        "funnel", "retention", "lifecycle", "paths", "sessions",
    )},
}  # fmt: skip


def document(app: FastAPI) -> dict[str, Any]:
    """The document; made anew only when the packs of the warehouse change."""
    site: Site = app.state.site
    packs = site.warehouse.packs
    kept = getattr(app.state, "document", None)
    if kept is not None and kept[0] == packs:
        return kept[1]
    made = get_openapi(
        title=app.title, version=app.version, routes=app.routes,
        description="The answers of the command line, in the same JSON. Send a token: `Authorization: Bearer ps_...`.",
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}]
    made["paths"]["/api/v1/health"]["get"]["security"] = []
    known = names(site, packs)
    for (path, parameter), kind in NAMED.items():
        for described in made["paths"][path]["get"]["parameters"]:
            if described["name"] == parameter and known[kind]:
                schema = described["schema"]
                schema.get("items", schema)["examples"] = known[kind]
                described["examples"] = {
                    name: {"value": [name] if "items" in schema else name} for name in known[kind][:3]
                }
    app.state.document = (packs, made)
    return made


def names(site: Site, packs: tuple[str, ...]) -> dict[str, list[str]]:
    """Kind → full names of what the packs declare."""
    loaded = [site.warehouse.pack(name) for name in packs]
    kinds = ("metrics", "queries", "analyses", "experiments", "policies", "dashboards", "models")
    found = {kind: [f"{p.name}.{name}" for p in loaded for name in getattr(p, kind)] for kind in kinds}
    found["metrics"] = [f"{p.name}.{m.name}" for p in loaded for m in p.metrics.values() if not m.hidden]
    tables = [f"{p.name}.{name}" for p in loaded for name in p.tables]
    return {**found, "relations": tables + found["models"], "packs": list(packs)}
