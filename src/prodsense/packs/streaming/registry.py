"""The registry of metrics as rows of `metric_registry`: what is declared in this pack, said once; and its checks.

A team that keeps its own registry loads its own rows; these are the ones to start from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

PACK = "streaming"
#: The one written rule of what counts as a view; the models apply it.
VIEW = (
    "More than 30 seconds watched (time between start and end less pauses); of titles shorter than a minute, at least"
    " half their length. Open sessions are no views yet."
)
#: Words by which a metric counts views, or is about the time watched.
_OF_VIEWS = re.compile(r"(^|_)(views?|viewers?)(_|$)")
_OF_TIME = re.compile(r"hours|watch_time|duration")
#: What a metric of time must stand beside: family → words in the names of its metrics.
BESIDE = {
    "satisfaction": re.compile(r"csat|nps|satisf|rating|likes"),
    "completion": re.compile(r"complet|finish|hook"),
    "retention": re.compile(r"retention|churn|dau_mau|returning|days_since"),
}
#: Beside every metric of time, unless a row of the registry says otherwise.
_GUARDS = "platform_csat,completion_percentage,subscriber_churn_rate"
#: Thresholds in the text of a rule: "30 s", "30 seconds", "1 minute".
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(seconds?|secs?|s|minutes?|mins?)\b", re.IGNORECASE)


def registry_rows() -> list[dict[str, Any]]:
    """One row a visible metric, version 1."""
    from .metrics import METRICS

    return [
        {
            "metric_name": metric.name,
            "version": 1,
            "definition": metric.says,
            "view_definition": VIEW if _OF_VIEWS.search(metric.name) else None,
            "counter_metrics": _GUARDS if _OF_TIME.search(metric.name) else None,
        }
        for metric in METRICS
        if not metric.hidden
    ]


def newest(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The newest version of each registered metric."""
    warehouse.ready(PACK, {f"{PACK}.metric_registry"})
    return warehouse.engine.query(
        "SELECT metric_name, definition, view_definition, counter_metrics FROM streaming.metric_registry"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1 ORDER BY metric_name"
    ).to_pylist()


# -- one definition of a view ----------------------------------------------------------------------------


def one_definition_of_a_view(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Metrics of views without a definition, rules that differ, and views counted by another rule."""
    rules: dict[str, list[str]] = {}
    for row in newest(warehouse):
        name, rule = row["metric_name"], (row["view_definition"] or "").strip()
        counts_views = bool(rule) or bool(_OF_VIEWS.search(name)) or name == "view"
        if not counts_views:
            continue
        if not (row["definition"] or "").strip() and not rule:
            yield {"violation": "a metric of views has no registered definition", "metric_name": name}
            continue
        said = _rule(rule or row["definition"])
        if said is not None:
            rules.setdefault(said, []).append(name)
    if len(rules) > 1:
        usual = max(rules, key=lambda rule: (len(rules[rule]), rule))
        for rule, names in sorted(rules.items()):
            if rule != usual:
                for name in names:
                    yield {"violation": "a metric counts views by another rule than the others", "metric_name": name,
                           "rule": rule, "others": usual}
    yield from _views_off_the_rule(warehouse)


def _rule(text: str) -> str | None:
    """What a definition says of how long a view is: its thresholds in seconds; None where it says nothing."""
    found = {float(n) * (60 if unit.lower().startswith("m") else 1) for n, unit in _LENGTH.findall(text)}
    return ", ".join(f"{seconds:g} s" for seconds in sorted(found)) or None


def _views_off_the_rule(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Sessions that count as views and should not, or the other way, by type of content."""
    warehouse.ready(PACK, {f"{PACK}.viewing", f"{PACK}.dim_content"})
    rows = warehouse.engine.query(_OFF)
    for row in rows.to_pylist():
        yield {"violation": "sessions count as views by another rule", **row}


_OFF = """
SELECT c.content_type, COUNT(*) AS sessions
FROM streaming.viewing AS v
LEFT JOIN streaming.dim_content AS c ON c.content_key = v.content_key
GROUP BY c.content_type
ORDER BY c.content_type
"""


# -- hours are not alone ---------------------------------------------------------------------------------


def hours_are_not_alone(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Metrics of time without satisfaction, completion and retention beside them, in the registry or on a page."""
    registered = {row["metric_name"]: row for row in newest(warehouse)}
    for name, row in registered.items():
        if not _OF_TIME.search(name):
            continue
        beside = [part.strip() for part in (row["counter_metrics"] or "").split(",") if part.strip()]
        for other in beside:
            if other not in registered:
                yield {"violation": "a counter metric is not in the registry", "metric_name": name, "missing": other}
        for family in missing_families(beside):
            yield {"violation": "a metric of time stands without a family beside it", "metric_name": name,
                   "missing": family}
    if registered:
        yield from _pages_with_hours_alone(warehouse)


def missing_families(names: Sequence[str], families: Mapping[str, re.Pattern[str]] = BESIDE) -> list[str]:
    """Families of which no metric is among `names`."""
    return [family for family, words in families.items() if not any(words.search(name) for name in names)]


def _pages_with_hours_alone(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    pack = warehouse.pack(PACK)
    leads = {f"question {q.id}": q.headline for q in pack.questions.values()}
    leads |= {f"dashboard {d.name}": tuple(n for s in d.sections for n in s.metrics) for d in pack.dashboards.values()}
    for place, names in leads.items():
        if any(_OF_TIME.search(name) for name in names):
            for family in missing_families(names):
                yield {"violation": "a page leads with time and does not show a family beside it", "metric_name": place,
                       "missing": family}
