"""What a page asks of a warehouse, bound to a pack and narrowed by filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Metric

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse


class PackFetch:
    """The `prodsense.charts.dashboards.Fetch` of a warehouse; `filters` are options of every metric request."""

    def __init__(self, warehouse: Warehouse, pack: Any, filters: Mapping[str, Any]):
        self.warehouse = warehouse
        self.pack = pack
        self.filters = dict(filters)

    def metric(self, names: Sequence[str], **request: Any) -> Any:
        settings = {**self.filters, **request}
        # A chart's own condition narrows what the page is filtered to; it does not take its place.
        conditions = [c for c in (request.get("where"), self.filters.get("where")) if c]
        if len(conditions) > 1:
            settings["where"] = " AND ".join(f"({condition})" for condition in conditions)
        return self.warehouse.metric(*(f"{self.pack.name}.{n}" for n in names), **settings)

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.warehouse.query(f"{self.pack.name}.{name}", **dict(params or {}))

    def policy(self, name: str) -> Any:
        return self.warehouse.policies(f"{self.pack.name}.{name}")[0]

    def metric_definition(self, name: str) -> Metric:
        found: Metric = self.pack.metrics[name]
        return found
