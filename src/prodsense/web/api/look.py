"""What there is: catalogue, lineage, schema, and the API's own document."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from prodsense.errors import UnknownNameError
from prodsense.web.api.common import Pack, RowsAnswer, Word, documented, give, problems
from prodsense.web.security import may

router = APIRouter(prefix="/api/v1", tags=["look"], dependencies=[may("read")])


@router.get("/catalog", response_model=RowsAnswer, responses=documented())
def catalog(
    request: Request, pack: Pack = None, kind: Annotated[Word | None, Query()] = None,
    search: Annotated[Word | None, Query()] = None,
) -> Response:
    """Everything that the packs of this warehouse declare: kind, name, meaning, unit, parameters, questions."""

    def entries(warehouse: Any) -> dict[str, Any]:
        here = warehouse.packs
        if pack is not None and pack not in here:
            raise UnknownNameError(f"there is no pack {pack} in this warehouse; there are: {', '.join(here) or 'none'}")
        found = [e for name in ([pack] if pack else here) for e in warehouse.catalog(name, None, search)]
        return {"rows": [entry for entry in found if kind in (None, entry["kind"])]}

    return give(request, entries)


class LineageAnswer(BaseModel):
    """Column → the columns that it comes from; `edges` lead from relation to relation."""

    name: str
    kind: str
    columns: dict[str, list[str]]
    direct: dict[str, list[str]]
    upstream: list[str]
    downstream: list[str]
    edges: list[list[str]]


@router.get("/lineage/{name}", response_model=LineageAnswer, responses=documented())
def lineage(request: Request, name: Word) -> Response:
    """Where the columns of a model, or the value of a metric, come from."""
    return give(request, lambda wh: wh.lineage(name).to_dict())


@router.get("/schema/{pack}", response_model=RowsAnswer, responses=documented())
def schema(request: Request, pack: Word) -> Response:
    """A pack's tables: columns with type, unit and meaning, keys and references; with its ER diagram in Mermaid."""
    from prodsense.contracts.exports import er_diagram

    def tables(warehouse: Any) -> dict[str, Any]:
        found = warehouse.pack(pack).tables
        rows = [
            {
                "table": table.name, "says": table.says, "key": list(table.key), "partition": table.partition,
                "columns": [
                    {"name": c.name, "type": c.type, "unit": c.unit, "says": c.says, "nullable": c.nullable}
                    for c in table.columns.values()
                ],
            }
            for table in found.values()
        ]  # fmt: skip
        return {"rows": rows, "mermaid": er_diagram(found)}

    return give(request, tables)


@router.get("/openapi.json", responses=problems(), include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The API's own document (OpenAPI 3.1)."""
    document: dict[str, Any] = request.app.openapi()
    return document
