"""The registry of metrics as rows of `metric_registry` (see `packs.registry`), and the rules that it is checked by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.packs.registry import pages_of, registered, rows_of

from .common import PACK

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: The one written rule of what counts as a view, under the name "view"; the model `sessions` applies it.
VIEW = (
    "More than 30 seconds watched (time from start to end less pauses); of titles not longer than that, more than half"
    " their length. Open sessions are no views yet."
)
#: Words of metrics that count views, and of those about the time watched.
_OF_VIEWS = re.compile(r"(^|_)(views?|viewers?)(_|$)")
_OF_TIME = re.compile(r"hours|watch_time")
#: What a metric of time must stand beside: family → words in the names of its metrics.
BESIDE = {
    "satisfaction": re.compile(r"csat|nps|satisf|rating|likes"),
    "completion": re.compile(r"complet|finish|hook"),
    "retention": re.compile(r"retention|churn|dau_mau|returning|days_since"),
}
#: Beside every metric of time, unless a row of the registry says otherwise.
_GUARDS = "platform_csat,completion_percentage,subscriber_churn_rate"
#: A threshold in the text of a rule: "30 s", "30 seconds", "1 minute".
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*-?\s*(seconds?|secs?|s|minutes?|mins?)\b", re.IGNORECASE)


def registry_rows() -> list[dict[str, Any]]:
    """The rule of a view, and one row a visible metric; version 1."""
    from .metrics import METRICS

    view = {"metric_name": "view", "version": 1, "definition": VIEW, "counter_metrics": None}
    return [
        view, *rows_of(METRICS, lambda metric: {"counter_metrics": _GUARDS if is_of_time(metric.name) else None})
    ]  # fmt: skip


def is_of_time(name: str) -> bool:
    """Whether more of a metric is more time watched: by its unit where it is declared here, else by its name."""
    from .metrics import METRICS

    declared = next((metric for metric in METRICS if metric.name == name), None)
    wanted = declared is None or (declared.unit in ("hours", "minutes", "seconds") and declared.better == "up")
    return wanted and bool(_OF_TIME.search(name))


# -- one definition of a view ----------------------------------------------------------------------------


def one_definition_of_a_view(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Metrics of views without a definition, rules that differ, and a rule that the models do not apply."""
    found = registered(warehouse, PACK, "definition", "content_type")
    of_views = {name: row for name, row in found.items() if _OF_VIEWS.search(name)}
    rules: dict[str | None, dict[float, list[str]]] = {}
    for name, row in of_views.items():
        if not (row["definition"] or "").strip():
            yield {"violation": "a metric of views has no registered definition", "metric_name": name}
            continue
        content_type = row["content_type"].lower() if row["content_type"] is not None else None
        for seconds in thresholds(row["definition"]):
            rules.setdefault(content_type, {}).setdefault(seconds, []).append(name)
    for content_type, stated in rules.items():
        applied = _applied(warehouse, content_type)
        usual = max(stated, key=lambda seconds: (len(stated[seconds]), seconds == applied, -seconds))
        for seconds, names in sorted(stated.items()):
            for name in names if seconds != usual else ():
                yield {"violation": "a metric counts views by another rule than the others", "metric_name": name,
                       "content_type": content_type, "rule_seconds": seconds, "others_seconds": usual}
        if applied != usual:
            yield {"violation": "views are counted by another rule than the registered one",
                   "content_type": content_type, "rule_seconds": usual, "applied_seconds": applied}
    if not rules and of_views:
        yield {"violation": "no registered definition says from when on a view is one"}


def thresholds(text: str) -> list[float]:
    """The lengths that a definition names, in seconds."""
    return sorted({float(n) * (60 if unit.lower().startswith("m") else 1) for n, unit in _LENGTH.findall(text)})


def _applied(warehouse: Warehouse, content_type: str | None) -> float:
    """The threshold that the model `sessions` applies to a type of content, in seconds."""
    warehouse.ready(PACK, ["settings", "view_rules"])
    rows = warehouse.engine.query(
        "SELECT min_seconds AS seconds, 1 AS place FROM streaming.view_rules WHERE LOWER(content_type) = :kind"
        " UNION ALL SELECT value, 2 FROM streaming.settings WHERE setting = 'view_seconds' ORDER BY place",
        {"kind": content_type},
    ).to_pylist()
    return float(rows[0]["seconds"]) if rows else 30.0


# -- hours are not alone ---------------------------------------------------------------------------------


def hours_are_not_alone(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Metrics of time without satisfaction, completion and retention beside them, in the registry or on a page."""
    found = registered(warehouse, PACK, "counter_metrics")
    known = warehouse.pack(PACK).metrics
    for name, row in found.items():
        if not is_of_time(name):
            continue
        beside = [part.strip() for part in (row["counter_metrics"] or "").split(",") if part.strip()]
        for other in beside:
            if other not in found and other not in known:
                yield {"violation": "a counter metric is nowhere defined", "metric_name": name, "missing": other}
        for family in missing_families(beside):
            yield {"violation": "a metric of time stands without a family beside it", "metric_name": name,
                   "missing": family}
    if found:
        yield from _pages_with_hours_alone(warehouse)


def missing_families(names: Sequence[str], families: Mapping[str, re.Pattern[str]] = BESIDE) -> list[str]:
    """Families of which no metric is among `names`."""
    return [family for family, words in families.items() if not any(words.search(name) for name in names)]


def _pages_with_hours_alone(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    for place, names in pages_of(warehouse.pack(PACK)).items():
        if any(is_of_time(name) for name in names):
            for family in missing_families(names):
                yield {"violation": "a page leads with time and does not show a family beside it", "metric_name": place,
                       "missing": family}
