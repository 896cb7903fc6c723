"""prodsense: product analytics that a team can trust, from raw events and tables to answers.

    import prodsense as ps
    wh = ps.open("shop.duckdb")
    wh.ingest("orders.parquet", table="delivery.fact_orders")
    wh.build()
    wh.metric("delivery.on_time_rate", by="vehicle_type", grain="week", compare="previous")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from prodsense.errors import ContractError, ProdsenseError, SqlError, UsageError
from prodsense.warehouse import Warehouse, catalog, open

__version__ = "0.1.0"

__all__ = [
    "Activity", "ContractError", "EventTable", "ProdsenseError", "SqlError", "UsageError", "Warehouse",
    "active_users", "catalog", "cohort", "detect", "explain", "funnel", "lifecycle", "open", "optional", "paths",
    "retention", "sessions", "step", "step_matrix", "survival", "survival_of", "transitions",
]  # fmt: skip


#: Functions that live outside of `prodsense.behavior`, with the module and the name they have there.
_ELSEWHERE = {
    "detect": ("prodsense.inference.detect_series", "detect_data"),
    "explain": ("prodsense.inference.explain_table", "explain_table"),
}


def __getattr__(name: str) -> Any:
    """Methods on any event table load when one is named."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, function = _ELSEWHERE.get(name, ("prodsense.behavior", name))
    return getattr(import_module(module), function)
