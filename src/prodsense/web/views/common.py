"""What pages share: the frame around them, what a role is shown, small answers kept while the data stay the same."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from prodsense.contracts.vocabulary import Metric
from prodsense.errors import ProdsenseError, UsageError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web import rendering, slicing
from prodsense.web.api.common import KINDS, Form, encode
from prodsense.web.asking import Asked
from prodsense.web.pictures import NARROW, WIDE, Picture, annotate, slug
from prodsense.web.security import actor, site
from prodsense.web.site import Site

T = TypeVar("T")


def show(request: Request, template: str, title: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page of the site inside its frame. What a form just did is said on top (``?said=``)."""
    said = SAID.get(request.query_params.get("said", ""), "")
    context |= {"title": title, "said": said, "shut": getattr(request.state, "shut", frozenset())}
    answer = rendering.page(request, template, status=status, **context)
    if is_part(request) and "gzip" in request.headers.get("accept-encoding", ""):
        # A part holds no token of a form, so that its length gives nothing away.
        answer.body = gzip.compress(answer.body, 5)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Content-Length"] = str(len(answer.body))
    return answer


#: What a page says after a form was sent to it; texts of our own, so that no link can make a page say anything.
SAID: Mapping[str, str] = {
    "ack": "Acknowledged: it stays on the list, marked as seen.",
    "close": "Closed. It will be raised again if it is seen after its quiet time.",
    "reopen": "Open again.",
    "snooze": "Snoozed: it is out of sight until then.",
    "assign": "Assigned.",
    "view": "Saved. You find it under saved views.",
    "gone": "Removed.",
    "event": "Noted. Charts of that time now show it.",
    "changed": "Changed. Their open sessions have ended.",
    "password": "Your password is set. Other open sessions have ended.",
}


@contextmanager
def reading(request: Request) -> Iterator[Warehouse]:
    """The warehouse as the asker may see it, in one version of the data.

    A context of the handler and no dependency of the route: a session belongs to the thread that opened it.
    """
    # Before the session begins: what is kept under a version is never older than it.
    request.state.version = site(request).version
    with site(request).reader(actor(request)) as warehouse:
        request.state.shut = keep(request, ("shut",), lambda: shut(warehouse))
        yield warehouse


def shut(warehouse: Warehouse) -> frozenset[str]:
    """Addresses of the menu behind which the role would find nothing."""
    kinds = {"/dashboards": "dashboards", "/behaviour": "methods", "/experiments": "experiments", "/alerts": "findings"}

    def any_of(pack: Pack, kind: str) -> bool:
        named = getattr(pack, kind, {}) if kind in ("dashboards", "experiments") else ()
        return warehouse.allows(kind, pack.name) or any(warehouse.allows(kind, pack.name, name) for name in named)

    here = packs(warehouse)
    found = {address for address, kind in kinds.items() if not any(any_of(pack, kind) for pack in here)}
    # Without any data the menu stays whole: what is behind it says how to begin.
    return frozenset(found) if here else frozenset()


def back(address: str, said: str = "") -> RedirectResponse:
    """Send the browser to a page of ours after a form, with a word of what was done."""
    from prodsense.web.views.identity import local

    target = local(address)
    if said:
        path, _, anchor = target.partition("#")
        target = path + ("&" if "?" in path else "?") + f"said={said}" + (f"#{anchor}" if anchor else "")
    return RedirectResponse(target, 303)


def is_part(request: Request) -> bool:
    """Whether a script asks for a part of a page, not a person for a page."""
    return request.headers.get("x-part") == "1"


def width_of(request: Request) -> int:
    """The width that charts are laid out for, in pixels: what the script says of its place (``w=``), in steps of 20."""
    given = request.query_params.get("w", "")
    if not given.isdigit() or len(given) > 5:
        return WIDE
    return min(max(int(given), NARROW), 1400) // 20 * 20


# -- small answers, kept -----------------------------------------------------------------------------


def keep(request: Request, key: tuple[Any, ...], compute: Callable[[], T]) -> T:
    """The answer to `key`, computed once for each version of the data and each policy (`Site.part`)."""
    return site(request).part(actor(request), key, compute, getattr(request.state, "version", ""))


def open_metrics(request: Request, warehouse: Warehouse, pack: Pack) -> list[Metric]:
    """The metrics of a pack that the role may ask for."""

    def ask() -> list[Metric]:
        names = {entry["name"] for entry in warehouse.catalog(pack.name) if entry["kind"] == "metric"}
        return [metric for metric in pack.metrics.values() if metric.name in names]

    return keep(request, ("metrics", pack.name), ask)


def packs(warehouse: Warehouse) -> list[Pack]:
    """The packs with data here."""
    return [warehouse.pack(name) for name in warehouse.packs]


def newest(request: Request, warehouse: Warehouse, pack: str) -> datetime | None:
    """The newest moment of a pack's data; None where it has none, or where the role may not see that."""
    from prodsense.inference.detect import newest as ask

    return keep(request, ("newest", pack), lambda: attempt(lambda: ask(warehouse, [pack]), None))


def slices(request: Request, warehouse: Warehouse, pack: str, metric: str) -> list[str]:
    """The dimensions that a metric can be sliced by, those it declares first; none where the warehouse refuses."""

    def ask() -> list[str]:
        return attempt(lambda: slicing.slices_of(warehouse, pack, metric), [])

    return keep(request, ("slices", pack, metric), ask)


def values(request: Request, warehouse: Warehouse, pack: str, dimension: str, metrics: Sequence[str]) -> list[Any]:
    """The values of a dimension, by the first of `metrics` that can be sliced by it, the commonest first."""

    def reach(metric: str) -> list[str]:
        return slices(request, warehouse, pack, metric)

    def ask() -> list[Any]:
        return slicing.values_of(warehouse, pack, dimension, metrics, reach)

    return keep(request, ("values", pack, dimension, tuple(metrics)), ask)


def attempt(ask: Callable[[], T], otherwise: T) -> T:
    """What `ask` returns, or `otherwise` where the warehouse refuses."""
    try:
        return ask()
    except ProdsenseError:
        return otherwise


def values_of(
    request: Request, warehouse: Warehouse, pack: str, dimensions: Sequence[str], metrics: Sequence[str]
) -> dict[str, list[Any]]:
    """The values of several dimensions."""
    return {d: values(request, warehouse, pack, d, metrics) for d in dimensions}


# -- parts of several pages ---------------------------------------------------------------------------


def with_events(shown: Picture, site: Site, pack: str, *, timed: bool) -> Picture:
    """A chart over time with the known events of its time; they are not kept, for they change without the data."""
    if shown.spec is None or not timed:
        return shown
    days = _days(shown.spec)
    marks = [e for e in site.store.annotations(pack) if days and min(days) <= e["at"][:10] <= max(days)]
    if not marks:
        return shown
    spec = copy.deepcopy(dict(shown.spec))
    annotate(spec, marks)
    notes = [*shown.notes, *(f"{mark['at'][:10]}: {mark['text']}" for mark in marks)]
    return replace(shown, spec=spec, notes=notes)


def _days(spec: Mapping[str, Any]) -> list[str]:
    """The days that the data of a chart over time hold."""
    stores = [*spec.get("datasets", {}).values(), (spec.get("data") or {}).get("values", [])]
    stores += [(layer.get("data") or {}).get("values", []) for layer in spec.get("layer", [])]
    found = [row.get("x") for rows in stores for row in rows or [] if isinstance(row, Mapping)]
    return [x[:10] for x in found if isinstance(x, str) and x[:4].isdigit()]


def export_links(path: str, asked: Asked) -> list[tuple[str, str]]:
    """Where the numbers behind a chart can be had as files."""
    links = []
    for text, kind in (("CSV", "csv"), ("Parquet", "parquet"), ("PNG picture", "png"), ("JSON", "json")):
        address = asked.address(path)
        links.append((text, address + ("&" if "?" in address else "?") + f"as={kind}"))
    return links


def file_of(request: Request, warehouse: Warehouse, rows: Any, name: str, *, form: str | None = None) -> Response:
    """A result as a file to take along, of the kind that the address asks for (``as=csv|parquet|json|png``)."""
    kind = request.query_params.get("as", "csv")
    if kind not in list(Form):
        raise UsageError(f"a file is one of {', '.join(Form)}, not {kind!r}")
    draw = (lambda found: found.chart(form)) if form else None
    content = encode(rows, Form(kind), warehouse.shows_sql(), draw)
    # For the audit: how many rows left the house.
    request.state.rows = content.rows
    headers = {"Content-Disposition": f'attachment; filename="{slug(name) or "answer"}.{kind}"'}
    return Response(content.content, media_type=KINDS[Form(kind)], headers=headers)


def chips(asked: Asked, path: str) -> list[tuple[str, str]]:
    """The filters that are set, each with the address of the page without it."""
    return [
        (f"{dimension.replace('_', ' ')}: {value}", asked.address(path, filters=asked.without(dimension, value)))
        for dimension, chosen in asked.filters.items() for value in chosen
    ]


def views_here(site: Site, who: Any, path: str) -> list[dict[str, Any]]:
    """The saved views of a page."""
    return [view for view in site.store.views(who) if view["path"].split("?")[0] == path]
