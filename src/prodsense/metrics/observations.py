"""How much stands behind a value: the rows that a metric reads, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Metric
from prodsense.metrics.definitions import define, leaves

if TYPE_CHECKING:
    from prodsense.metrics.scope import Scope
    from prodsense.warehouse import Warehouse

#: A mean or ratio of fewer rows, or of a smaller share of all rows, says little beside the others. Where there are so
#: many values that a share is common, it is this part of an equal one.
FEW, FEW_SHARE, FEW_OF_EQUAL = 30, 0.01, 0.5


def counting(leaf: Metric, sql: str = "COUNT(*)", name: str = "") -> Metric:
    """A hidden metric that counts what `leaf` reads, over the whole period whatever it is a mean of.

    All that says which rows are read stays as it is (`where`, `focus`, windows); what else a metric may be goes.
    """
    return replace(
        leaf, name=name, says="", unit="count", better="none", sql=sql, by=(), per=leaf.per if leaf.rolling else "",
        share_of=None, grain="all", hidden=True,
    )  # fmt: skip


def is_amount(scope: Scope, metric: Metric) -> bool:
    """Whether a metric is a count or a sum, which of a few rows is as good as of many."""
    return bool(metric.source) and define(scope, metric).counts


def few_behind(warehouse: Warehouse, pack: str, name: str, by: str, request: Mapping[str, Any]) -> frozenset[Any]:
    """The values of a slice behind which too few rows stand to rank a mean or ratio by; none for counts and sums.

    Of a metric with several parts that with most rows tells: it is what the others are a share of.
    """
    from prodsense.contracts.sql import sources
    from prodsense.metrics import Request, compile, run_plan

    scope = warehouse.scope(pack)
    metric = scope.metric(name)
    if is_amount(scope, metric):
        return frozenset()
    counts = [
        counting(leaf, leaf.sql if leaf.rolling else "COUNT(*)", f"_rows_{place}")
        for place, leaf in enumerate(leaves(scope, metric))
    ]
    names = [one.name for one in counts]
    wider = replace(scope, metrics={**scope.metrics, **{one.name: one for one in counts}})
    plan = compile(Request(names, by=by, grain="all", **request), wider)
    warehouse.ready(pack, sources(plan.tree))
    rows = run_plan(warehouse.engine, plan).rows
    return few_of({row[by]: max(row[one] or 0 for one in names) for row in rows})


def few_of(sizes: Mapping[Any, int]) -> frozenset[Any]:
    """The groups that are too small beside the others, by their sizes."""
    share = min(FEW_SHARE, FEW_OF_EQUAL / max(len(sizes), 1))
    least = max(FEW, share * sum(sizes.values()))
    return frozenset(value for value, size in sizes.items() if size < least)
