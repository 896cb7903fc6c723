"""Alerts: the action queue, who looks at what, and the story behind each finding."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from prodsense.charts.page import ChartView
from prodsense.charts.parts import spoken
from prodsense.charts.rows import plain_rows
from prodsense.charts.units import format_value
from prodsense.contracts.vocabulary import Detector
from prodsense.errors import ProdsenseError, UsageError
from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse
from prodsense.web.pictures import Picture, picture
from prodsense.web.security import CurrentActor, CurrentSite, WebError, may
from prodsense.web.site import as_seen_by
from prodsense.web.views.common import attempt, back, keep, newest, packs, reading, show, width_of

router = APIRouter(include_in_schema=False, dependencies=[may("act")])

STATES = (("", "Open"), ("ack", "Acknowledged"), ("snoozed", "Snoozed"), ("closed", "Closed"), ("all", "All"))
#: Days around a finding that its story shows.
_BEFORE, _AFTER = 56, 14


@router.get("/alerts")
def index(request: Request, who: CurrentActor, state: str = "", severity: str = "", detector: str = "") -> Response:
    """The queue: what is open, worst first."""
    with reading(request) as warehouse:
        everything = items(request, warehouse)
        shown = [item for item in everything if in_state(item, state)]
        detectors = Counter(item["detector"] for item in shown)
        shown = [
            item for item in shown
            if severity in ("", item["severity"]) and detector in ("", item["detector"])
        ]
        named = [(name, f"{spoken(name.split('.')[-1])} ({many})") for name, many in sorted(detectors.items())]
        counts = Counter(key for item in everything for key, _ in STATES if in_state(item, key))
        return show(
            request, "alerts.html", "Alerts", items=[told(warehouse, item) for item in shown], state=state,
            states=[(text, _address(key, severity, detector), key == state, counts[key]) for key, text in STATES],
            severity=severity, detector=detector, detector_options=[("", "all"), *named],
            here=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        )  # fmt: skip


@router.get("/alerts/{identity}")
def alert(request: Request, identity: str) -> Response:
    """One finding with its story."""
    with reading(request) as warehouse:
        item = find(request, warehouse, identity)
        pack, rule = rule_of(warehouse, item)
        similar = [
            told(warehouse, other) for other in items(request, warehouse)
            if other["detector"] == item["detector"] and other["id"] != item["id"]
        ][:8]
        return show(
            request, "alert.html", spoken(item["detector"].split(".")[-1]), item=told(warehouse, item), rule=rule,
            pack=pack, similar=similar, here=f"/alerts/{identity}", show_sql=warehouse.shows_sql(),
        )  # fmt: skip


@router.get("/alerts/{identity}/story")
def story(request: Request, identity: str) -> Response:
    """The metric around the finding, as a part of its page."""
    with reading(request) as warehouse:
        item = find(request, warehouse, identity)
        width = width_of(request)
        shown = keep(request, ("story", item["id"], item["last_seen"], width), lambda: drawn(warehouse, item, width))
        return show(request, "part_chart.html", "Story", shown=shown, level=2)


@router.post("/alerts/{identity}")
def act(
    request: Request, site: CurrentSite, who: CurrentActor, identity: str, action: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/alerts", note: Annotated[str, Form()] = "", until: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "",
) -> Response:
    """Acknowledge, close, reopen, snooze or assign a finding."""
    known = {"ack", "close", "reopen", "snooze", "assign"}
    if action not in known:
        raise UsageError(f"an alert can be: {', '.join(sorted(known))}")
    with site.reader(who) as seen:
        item = find(request, seen, identity)
    change: dict[str, Any] = {action: [item["id"]]}
    if note.strip():
        change["note"] = note.strip()[:1000]
    if action == "snooze":
        change["until"] = until_day(until, item)
    if action == "assign":
        change["to"] = to.strip()[:80]
    with site.writer() as warehouse:
        as_seen_by(who, warehouse).findings(**change)
    return back(next, action)


# -- findings ----------------------------------------------------------------------------------------


def items(request: Request, warehouse: Warehouse) -> list[dict[str, Any]]:
    """All findings of the queue, worst and newest first; ``asleep`` while they are snoozed.

    Days are those of the data, as in the queue: a finding sleeps until its pack's data have come to that day.
    """
    nothing: list[dict[str, Any]] = []
    found = attempt(lambda: list(warehouse.findings("all").rows), nothing)
    days = {pack: newest(request, warehouse, pack) for pack in {item["detector"].split(".")[0] for item in found}}

    def asleep(item: dict[str, Any]) -> bool:
        until, now = item["snoozed_until"], days[item["detector"].split(".")[0]]
        today = now.date() if now else item["last_seen"]
        return until is not None and item["state"] != "closed" and until > today

    return [{**item, "asleep": asleep(item)} for item in found]


def find(request: Request, warehouse: Warehouse, identity: str) -> dict[str, Any]:
    """A finding by its id; WebError 404 where there is none."""
    for item in items(request, warehouse):
        if item["id"] == identity:
            return item
    raise WebError(404, "there is no such alert")


def in_state(item: dict[str, Any], state: str) -> bool:
    """Whether an item is on the list of a state; what is snoozed is not open."""
    asleep = item["asleep"]
    match state:
        case "all":
            return True
        case "snoozed":
            return asleep
        case "closed" | "ack":
            return bool(item["state"] == state) and not asleep
        case _:
            return item["state"] != "closed" and not asleep


def until_day(text: str, item: dict[str, Any]) -> date:
    """The day until which an item sleeps: written, or so many days after it was seen last (days are the data's)."""
    from prodsense.metrics import periods

    if text.isdigit():
        seen: date = item["last_seen"]
        return seen + timedelta(days=min(int(text), 365))
    return periods.read_day(text, "until")


def rule_of(warehouse: Warehouse, item: dict[str, Any]) -> tuple[Pack | None, Detector | None]:
    """The detector that raised a finding, where it is still declared."""
    pack_name, _, bare = item["detector"].rpartition(".")
    for pack in packs(warehouse):
        if pack.name == pack_name and bare in pack.detectors:
            return pack, pack.detectors[bare]
    return None, None


def told(warehouse: Warehouse, item: dict[str, Any]) -> dict[str, Any]:
    """A finding as pages show it: numbers with their units, the metric's page."""
    pack, rule = rule_of(warehouse, item)
    name = item["metric"] or (rule.metric if rule else "")
    metric = pack.metrics.get(name) if pack and name else None
    unit = metric.unit if metric else ""

    def number(value: Any) -> str:
        return "" if value is None else format_value(round(value, 4), unit)

    return {
        **item, "title": spoken(item["detector"].split(".")[-1]), "shown": number(item["value"]),
        "usual": number(item["expected"]),
        "says": rule.says if rule else "", "todo": item["action"] or (rule.action if rule else ""),
        "metric_name": metric.name if metric else "",
        "metric_address": f"/explore/{pack.name}.{metric.name}" if pack and metric else "",
    }  # fmt: skip


def drawn(warehouse: Warehouse, item: dict[str, Any], width: int) -> Picture:
    """The finding's metric by day around it, for its subject where the metric can be filtered to it."""
    from prodsense.web.asking import condition

    pack, rule = rule_of(warehouse, item)
    name = item["metric"] or (rule.metric if rule else "")
    if pack is None or name not in pack.metrics:
        return picture(ChartView("The story", error="This rule looks at rows of a table, not at a metric over time."))
    centre = _day(item["period"]) or item["last_seen"]
    since, until = centre - timedelta(days=_BEFORE), centre + timedelta(days=_AFTER)
    # A subject is written "dimension=value", several with commas between.
    pairs = [part.partition("=") for part in str(item["subject"] or "").split(",") if "=" in part]
    filters = {key.strip(): (value.strip(),) for key, _, value in pairs if key.strip() in pack.dimensions}
    for grain in ("day", "week", "month"):
        try:
            where = condition(filters, {}) if filters else None
            result = warehouse.metric(f"{pack.name}.{name}", grain=grain, since=since, until=until, where=where)
            view = ChartView(
                f"{spoken(name)}, around {centre:%-d %b %Y}", says=", ".join(f"{k} {v[0]}" for k, v in filters.items()),
                chart=result.chart("line"), rows=plain_rows(result), units=result.units, grain=grain,
                notes=result.notes,
            )  # fmt: skip
        except ProdsenseError as error:
            failed = error.message
            continue
        return picture(view, width=width, marks=[{"at": centre.isoformat(), "text": "the finding"}], show_sql=False)
    return picture(ChartView(spoken(name), error=failed))


def _day(text: Any) -> date | None:
    try:
        return datetime.fromisoformat(str(text)[:10]).date()
    except ValueError:
        return None


def _address(state: str, severity: str, detector: str) -> str:
    pairs = [(k, v) for k, v in (("state", state), ("severity", severity), ("detector", detector)) if v]
    return "/alerts" + (f"?{urlencode(pairs)}" if pairs else "")
