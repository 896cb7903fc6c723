"""By which slices a metric is known, the values of a slice, and what ``is.<slice>`` of an address means by them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UsageError, did_you_mean
from prodsense.web.asking import both, condition

if TYPE_CHECKING:
    from prodsense.contracts.vocabulary import Metric
    from prodsense.warehouse import Warehouse

#: Metric → the slices that it is known by.
Reach = Callable[[str], Collection[str]]


def slices_of(warehouse: Warehouse, pack: str, metric: str) -> list[str]:
    """The dimensions that a metric can be sliced by, those it declares first."""
    from prodsense.metrics.definitions import leaves
    from prodsense.metrics.paths import reachable

    scope = warehouse.scope(pack)
    found: Metric = scope.metrics[metric]
    allowed = [set(reachable(scope, scope.full(leaf.source))) for leaf in leaves(scope, found)]
    shared = set.intersection(*allowed) if allowed else set()
    return [d for d in found.by if d in shared] + sorted(shared - set(found.by))


def values_of(warehouse: Warehouse, pack: str, dimension: str, metrics: Sequence[str], reach: Reach) -> list[Any]:
    """The values of a dimension that the role may see, by the first of `metrics` that is known by it, the commonest
    first; none where the warehouse refuses."""

    def size(row: Mapping[str, Any]) -> float:
        value = row.get(metric)
        return float(value) if isinstance(value, int | float) else 0.0

    for metric in metrics:
        if dimension in reach(metric):
            try:
                rows = warehouse.metric(f"{pack}.{metric}", by=dimension, grain="all").rows
            except ProdsenseError:
                return []
            return [row[dimension] for row in sorted(rows, key=size, reverse=True)]
    return []


def check_filters(filters: Iterable[str], metrics: Iterable[str], reach: Reach) -> None:
    """UsageError for a slice to filter by that one of the metrics is not known by."""
    from prodsense.charts.parts import spoken

    for metric in metrics:
        known = reach(metric)
        if missing := [dimension for dimension in filters if dimension not in known]:
            hint = did_you_mean(missing[0], tuple(known))
            what = f"{spoken(metric)} is not known by {' or '.join(missing)}: take that filter out"
            raise UsageError(f"{what}.{hint}" if hint else what)


def narrowed(
    warehouse: Warehouse, names: Sequence[str], filters: Mapping[str, Sequence[str]], where: str | None
) -> str | None:
    """The condition of a request for metrics: `where`, and what `filters` say of slices."""
    found = [warehouse.find("metrics", name) for name in names] if filters else []
    if len({pack.name for pack, _ in found}) != 1:
        return where  # metrics of several packs are refused by who is asked for them
    pack, metrics = found[0][0].name, [metric.name for _, metric in found]

    def reach(metric: str) -> list[str]:
        return slices_of(warehouse, pack, metric)

    check_filters(filters, metrics, reach)
    known = {dimension: values_of(warehouse, pack, dimension, metrics, reach) for dimension in filters}
    return both(where, condition(filters, known))
