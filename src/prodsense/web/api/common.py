"""What the API's routes share: parameters, documented errors, and how an answer is written."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prodsense.contracts.options import read_params
from prodsense.errors import UsageError
from prodsense.metrics.result import plain
from prodsense.web.asking import read_filters
from prodsense.web.security import WebError, actor, site

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

PROBLEM = "application/problem+json"

# -- parameters --------------------------------------------------------------------------------------

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _a_day(value: Any) -> Any:
    """Only a written day: a number would be taken for seconds."""
    if value is not None and not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("write a day like 2024-01-31")
    return value


#: Printable text of a length that a name may have.
_WORD = r"^[^\x00-\x1f\x7f]+$"
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=_WORD)]
Words = Annotated[list[Word], Query(max_length=30)]
Day = Annotated[date, BeforeValidator(_a_day)]
Since = Annotated[Day | None, Query(description="First day, inside.")]
Until = Annotated[Day | None, Query(description="The day after the last one, outside.")]
AsOf = Annotated[
    str | None, Query(max_length=40, pattern=_WORD, description="The moment to look from: the newest in the data.")
]
Where = Annotated[
    str | None, Query(max_length=4000, pattern=_WORD, description="Only rows for which this SQL condition holds.")
]
Zone = Annotated[str | None, Query(max_length=60, pattern=_WORD, description="Time zone of days and periods.")]
Given = Annotated[
    list[Annotated[str, Field(max_length=1000, pattern=r"^[A-Za-z_][^\x00-\x1f\x7f=]*=[^\x00]*$")]],
    Query(max_length=30, description="A parameter as NAME=VALUE; repeat for several."),
]
Pack = Annotated[str | None, Query(max_length=60, pattern=_WORD, description="Only this pack.")]


class Form(StrEnum):
    """How an answer is written."""

    json = "json"
    csv = "csv"
    parquet = "parquet"
    png = "png"
    svg = "svg"


class TableForm(StrEnum):
    """How an answer without a picture is written."""

    json = "json"
    csv = "csv"
    parquet = "parquet"


def params_of(given: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping."""
    return read_params(given, "the parameter")


# -- what the documents say --------------------------------------------------------------------------


class Problem(BaseModel):
    """An error: one line that says what is wrong and what to do (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class RowsAnswer(BaseModel):
    """Rows, and named facts beside them."""

    model_config = ConfigDict(extra="allow")
    rows: list[dict[str, Any]]


class MetricAnswer(BaseModel):
    """Values of metrics: a row a period and slice. `sql` is empty for roles that may not see statements."""

    model_config = ConfigDict(extra="allow")
    metrics: list[str]
    by: list[str]
    grain: str
    rows: list[dict[str, Any]]
    sql: list[str]


class JobAnswer(BaseModel):
    """A change of the data: its `state` is waiting, running, done or failed; then `answer` or `error` say more."""

    id: int
    kind: str
    by: str
    asked_at: datetime
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    doing: str
    answer: dict[str, Any]
    error: str


_REASONS = {
    400: "The request is wrong.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "The role may not do that.",
    404: "There is nothing of that name.",
    409: "It needs something that is not there yet, such as a model that is not built.",
    422: "The request cannot be read, or cannot be answered with these data.",
    429: "Too many requests.",
    503: "Busy; come back in a moment.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented errors of a route: these, and those that any route may give."""
    document = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _REASONS[status], "content": {PROBLEM: document}}
        for status in sorted({401, 403, 422, 429, *statuses})
    }


def documented(*forms: Form) -> dict[int | str, dict[str, Any]]:
    """The documents of a route whose answer may come in several forms."""
    kinds = {form: KINDS[form] for form in forms if form is not Form.json}
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {"description": "The answer.", "content": dict.fromkeys(kinds.values(), binary)},
        304: {"description": "The answer is the one that was sent before (If-None-Match)."},
        **problems(400, 404, 409, 503),
    }


KINDS = {
    Form.json: "application/json", Form.csv: "text/csv; charset=utf-8", Form.parquet: "application/vnd.apache.parquet",
    Form.png: "image/png", Form.svg: "image/svg+xml",
}

# -- answers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoded:
    """An answer as it is sent, kept as such."""

    content: bytes
    kind: str
    rows: int
    etag: str


def give(
    request: Request, compute: Callable[[Warehouse], Any], form: Form | TableForm = Form.json, *, name: str = "answer",
    more: Hashable = (), draw: Callable[[Any], Any] | None = None, sliced: bool = False,
) -> Response:
    """The answer to a request: kept by version of the data, and by 304 not sent again to who has it.

    `compute` makes a result (`Rows` or a mapping for JSON) of the actor's warehouse. All that decides it is in the
    request's address, or in `more`. `draw` makes the picture where it is not ``result.chart()``. `sliced` says that it
    heeds ``is.<slice>``; elsewhere that is refused, for who filters must not get an answer about everything.
    """
    if not sliced and read_filters(request.query_params):
        raise UsageError("is.<slice> narrows metrics, explanations and dashboards only: take it out")
    here, who, form = site(request), actor(request), Form(form)
    asked = ("api", request.url.path, tuple(sorted(request.query_params.multi_items())), more)
    _, answer = here.answer(who, asked, lambda warehouse: encode(compute(warehouse), form, warehouse.shows_sql(), draw))
    request.state.rows = answer.rows
    headers = {
        "ETag": answer.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie",
    }
    if form is not Form.json:
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(name)}.{form}"'
    if matches(request.headers.get("if-none-match", ""), answer.etag):
        return Response(status_code=304, headers=headers)
    return Response(answer.content, media_type=answer.kind, headers=headers)


def matches(given: str, etag: str) -> bool:
    """Whether an If-None-Match names this tag."""
    return given.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in given.split(",")]


def encode(result: Any, form: Form, shows_sql: bool, draw: Callable[[Any], Any] | None = None) -> Encoded:
    """A result in the form asked for."""
    content = _content(result, form, shows_sql, draw)
    rows = result.get("rows", ()) if isinstance(result, Mapping) else getattr(result, "rows", ())
    tag = hashlib.sha256(content).hexdigest()[:24]
    return Encoded(content, KINDS[form], len(rows), f'"{tag}"')


def _content(result: Any, form: Form, shows_sql: bool, draw: Callable[[Any], Any] | None) -> bytes:
    match form:
        case Form.json:
            return as_json(result, shows_sql)
        case Form.csv:
            text: str = result.to_csv()
            return text.encode()
        case Form.parquet:
            return parquet(result)
    from prodsense.charts.export import svg_to_png, to_svg

    svg = to_svg(draw(result) if draw else result.chart())
    return svg.encode() if form is Form.svg else svg_to_png(svg)


def as_json(result: Any, shows_sql: bool = True) -> bytes:
    """The JSON of the command line; without statements for those who may not see them."""
    body = plain(result) if isinstance(result, Mapping) else result.to_dict()
    if not shows_sql:
        body = without_sql(body)
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def without_sql(body: dict[str, Any]) -> dict[str, Any]:
    """The same with every list of statements emptied."""
    return {name: [] if name == "sql" else value for name, value in body.items()}


def parquet(result: Rows) -> bytes:
    """The rows as a Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(result.arrow, out)
    return out.getvalue()


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:80] or "answer"


def zone_of(request: Request, given: str | None) -> str:
    """The zone of days: as given, else the site's."""
    return given or site(request).settings.timezone


def found(one: Any, what: str) -> Any:
    """`one`, or WebError 404 where it is nothing."""
    if not one:
        raise WebError(404, f"no {what} of that name")
    return one
