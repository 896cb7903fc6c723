"""Rules for reading stickiness honestly, each with the query or check that proves it.

Those about the registry read the newest version of each metric in metric_registry. `registry_rows` of the pack's module
`registry` is a registry to start from; the simulator loads it. Without a registry there is nothing to break.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Policy
from prodsense.packs.registry import pages_of, registered

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse


def vanity_metrics_do_not_lead(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    """Metrics that are not marked either way, and vanity metrics that lead a question's page or a dashboard."""
    marks = {name: row["is_vanity"] for name, row in registered(warehouse, "stickiness", "is_vanity").items()}
    for name, mark in marks.items():
        if mark is None:
            yield {
                "violation": "a metric is marked neither as vanity nor as of value",
                "metric_name": name,
                "place": None,
            }
    for place, names in pages_of(warehouse.pack("stickiness"), sections=1).items():
        for name in names:
            if marks.get(name):
                yield {"violation": "a vanity metric leads", "metric_name": name, "place": place}


POLICIES = (
    Policy(
        "time_spent_quality_guard",
        "More time is not always better, it may be frustration: each metric of time spent in the registry names a"
        " registered measure of quality beside it (counter_metrics), which is none of time itself.",
    ),
    Policy(
        "vanity_metric_guard",
        "Lead with metrics of real value: every metric of the registry is marked as vanity or not, and no vanity metric"
        " leads a question's page or a dashboard.",
        check=vanity_metrics_do_not_lead,
    ),
    Policy(
        "ecosystem_balance_rule",
        "Creation, interaction and consumption are read together, in this order of value: none falls by max_fall or"
        " more an active user and day, unless a more valuable one rises; and the registry has metrics of all three.",
        level="warning",
    ),
    Policy(
        "active_user_definition",
        "One written rule of what counts as active: metrics of activity have a definition and state the same rule,"
        " and the days counted as active are just those that the rule makes so.",
    ),
    Policy(
        "metric_freshness_tiers",
        "Every metric of the registry declares its freshness: near_real_time or daily_batch.",
    ),
)
