"""Answers: metric, query, analyze, show, explain, experiment, policies, detect."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from prodsense.contracts.options import split_names
from prodsense.contracts.vocabulary import Comparison, Grain
from prodsense.metrics.result import Rows
from prodsense.warehouse import Warehouse
from prodsense.web.api.common import (
    AsOf,
    Form,
    Given,
    MetricAnswer,
    Pack,
    RowsAnswer,
    Since,
    TableForm,
    Until,
    Where,
    Word,
    Words,
    Zone,
    documented,
    give,
    params_of,
    zone_of,
)
from prodsense.web.asking import read_filters
from prodsense.web.security import may
from prodsense.web.slicing import narrowed

router = APIRouter(prefix="/api/v1", tags=["answers"], dependencies=[may("read")])

_ALL = tuple(Form)
_TABLE = (Form.json, Form.csv, Form.parquet)


@router.get("/metric", response_model=MetricAnswer, responses=documented(*_ALL))
def metric(
    request: Request, name: Annotated[list[Word], Query(min_length=1, max_length=20)], by: Words = [],  # noqa: B006
    grain: Grain | None = None, since: Since = None, until: Until = None, where: Where = None,
    compare: Comparison | None = None, as_of: AsOf = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """Values of one or more metrics of a pack, by slices and period."""
    zone = zone_of(request, tz)
    return give(
        request,
        lambda wh: wh.metric(
            *split_names(name), by=split_names(by), grain=grain, since=since, until=until,
            where=narrowed(wh, split_names(name), read_filters(request.query_params), where), compare=compare,
            as_of=as_of, tz=zone,
        ),
        format, name=name[0], sliced=True,
    )  # fmt: skip


@router.get("/query/{name}", response_model=RowsAnswer, responses=documented(*_TABLE))
def query(request: Request, name: Word, param: Given = [], format: TableForm = TableForm.json) -> Response:  # noqa: B006
    """Rows of a named query."""
    given = params_of(param)
    return give(request, lambda wh: wh.query(name, **given), format, name=name)


@router.get("/analyze/{name}", response_model=RowsAnswer, responses=documented(*_ALL))
def analyze(request: Request, name: Word, param: Given = [], format: Form = Form.json) -> Response:  # noqa: B006
    """Rows (and named extras) of a named analysis."""
    given = params_of(param)
    return give(request, lambda wh: wh.analyze(name, **given), format, name=name)


@router.get("/experiment/{name}", response_model=RowsAnswer, responses=documented(*_ALL))
def experiment(request: Request, name: Word, param: Given = [], format: Form = Form.json) -> Response:  # noqa: B006
    """The readout of a declared experiment."""
    given = params_of(param)
    return give(request, lambda wh: wh.experiment(name, **given), format, name=name)


@router.get("/show/{name}", response_model=RowsAnswer, responses=documented(*_TABLE))
def show(
    request: Request, name: Word, limit: Annotated[int, Query(ge=0, le=100_000)] = 20, where: Where = None,
    format: TableForm = TableForm.json,
) -> Response:
    """Rows of a table, view or model, as they are stored."""
    return give(request, lambda wh: wh.show(name, limit, where), format, name=name)


Time = Annotated[str, Query(max_length=40, pattern=r"^\d{4}[0-9T:.Z-]*$",
                            description="A day, a month (2024-01) or days A..B, both inside.")]


@router.get("/explain/{name}", response_model=RowsAnswer, responses=documented(*_ALL))
def explain(
    request: Request, name: Word, before: Annotated[Time, Query(alias="from")],
    after: Annotated[Time, Query(alias="to")], dims: Words = [], where: Where = None,  # noqa: B006
    tree: Annotated[Word | None, Query()] = None, layers: Annotated[int | None, Query(ge=1, le=4)] = None,
    as_of: AsOf = None, tz: Zone = None, format: Form = Form.json,
) -> Response:
    """Why a metric moved between two times."""
    zone = zone_of(request, tz)
    return give(
        request,
        lambda wh: wh.explain(
            name, before, after, dims=split_names(dims),
            where=narrowed(wh, [name], read_filters(request.query_params), where), tree=tree, layers=layers,
            as_of=as_of, tz=zone,
        ),
        format, name=name, sliced=True,
    )  # fmt: skip


@router.get("/policies", response_model=RowsAnswer, responses=documented())
def policies(request: Request, name: Words = [], pack: Pack = None) -> Response:  # noqa: B006
    """Whether the rules that must hold do, with what breaks them."""
    return give(request, lambda wh: {"rows": [one.to_dict() for one in wh.policies(*split_names(name), pack=pack)]})


@router.get("/detect", response_model=RowsAnswer, responses=documented(*_TABLE))
def detect(
    request: Request, name: Words = [], pack: Pack = None, as_of: AsOf = None, param: Given = [],  # noqa: B006
    format: TableForm = TableForm.json,
) -> Response:
    """Run detectors: what is off now. The queue of what was found is under ``/findings``."""
    given: dict[str, Any] = params_of(param)

    def run(warehouse: Warehouse) -> Any:
        here = [pack] if pack else warehouse.packs
        if not name and not any(warehouse.pack(one).detectors for one in here):
            return Rows.from_rows([], title="findings", extras={"checked": []})
        return warehouse.detect(*split_names(name), pack=pack, as_of=as_of, **given)

    return give(request, run, format, name="findings")
