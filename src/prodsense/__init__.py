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

from prodsense.errors import ContractError, ForbiddenError, ProdsenseError, SqlError, UsageError
from prodsense.packs.catalogue import catalog
from prodsense.warehouse import Warehouse, open

__version__ = "0.1.0"

#: Methods on any table, and the module (and the name there, where it is another) that each comes from when it is named.
_METHODS = {
    **dict.fromkeys(
        ("Activity", "EventLog", "EventTable", "KeptSessions", "Rollup", "active_users", "cohort", "cohorts",
         "feature_time", "funnel", "lifecycle", "optional", "paths", "retention", "sessions", "step", "step_matrix",
         "survival", "survival_of", "transitions"),
        "behavior",
    ),
    **dict.fromkeys(
        ("Assignment", "ExposureLog", "Split", "Switchback", "assign", "assign_clusters"), "inference.assignment"
    ),
    **dict.fromkeys(
        ("Sample", "cluster_ols", "did", "event_study", "interrupted_series", "propensity", "staggered_did",
         "synthetic_control"),
        "inference.causal",
    ),
    "cox": "inference.cox",
    "detect": "inference.detect_series:detect_data",
    "experiment": "inference.experiments",
    "explain": "inference.explain_table:explain_table",
    "forecast": "inference.forecast",
    "ltv": "inference.ltv",
    "power": "inference.power",
    "predict": "inference.predict",
}  # fmt: skip

__all__ = [  # noqa: PLE0604
    "ContractError", "ForbiddenError", "ProdsenseError", "SqlError", "UsageError", "Warehouse", "catalog", "open",
    *_METHODS,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Methods load when one is named."""
    if name not in _METHODS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, function = _METHODS[name].partition(":")
    return getattr(import_module(f"prodsense.{module}"), function or name)
