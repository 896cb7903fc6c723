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

#: Methods on any table, and the module that each is imported from when it is named.
_METHODS = {
    **dict.fromkeys(
        ("Activity", "EventTable", "active_users", "cohort", "funnel", "lifecycle", "optional", "paths", "retention",
         "sessions", "step", "step_matrix", "survival", "survival_of", "transitions"),
        "prodsense.behavior",
    ),
    **dict.fromkeys(
        ("Assignment", "ExposureLog", "Split", "Switchback", "assign", "assign_clusters"),
        "prodsense.inference.assignment",
    ),
    "experiment": "prodsense.inference.experiments",
    "power": "prodsense.inference.power",
}  # fmt: skip

__all__ = [  # noqa: PLE0604
    "ContractError", "ProdsenseError", "SqlError", "UsageError", "Warehouse", "catalog", "open", *_METHODS,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Methods load when one is named."""
    if name not in _METHODS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_METHODS[name]), name)
