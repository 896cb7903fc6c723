"""A pack's table `metric_registry` and the pages that show its metrics, which rules of honest reading are checked by.

A team that keeps its own registry loads its own rows; those of a pack's metrics are the ones to start from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted

if TYPE_CHECKING:
    from prodsense.contracts.vocabulary import Metric
    from prodsense.packs.pack import Pack
    from prodsense.warehouse import Warehouse


def rows_of(metrics: Iterable[Metric], beside: Callable[[Metric], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a visible metric, as declared: its version 1, with the columns that `beside` adds."""
    return [
        {"metric_name": metric.name, "version": 1, "definition": metric.says, **beside(metric)}
        for metric in metrics if not metric.hidden
    ]  # fmt: skip


def registered(warehouse: Warehouse, pack: str, *columns: str) -> dict[str, dict[str, Any]]:
    """Registered metrics by name, in order of names: these columns of the newest version of each."""
    warehouse.ready(pack, ["metric_registry"])
    found = warehouse.engine.query(
        f"SELECT metric_name, {comma(columns)} FROM {quoted(f'{pack}.metric_registry')}"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY version DESC) = 1 ORDER BY metric_name"
    )
    return {row["metric_name"]: row for row in found.to_pylist()}


def pages_of(pack: Pack, sections: int | None = None) -> dict[str, tuple[str, ...]]:
    """Questions and dashboards with the metrics that they show: a headline, and those of the first `sections` (all)."""
    return {
        **{f"question {q.id}": q.headline for q in pack.questions.values()},
        **{
            f"dashboard {d.name}": tuple(name for section in d.sections[:sections] for name in section.metrics)
            for d in pack.dashboards.values()
        },
    }
