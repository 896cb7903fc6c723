"""Metrics: declarations compiled to one aggregate query a source, run, and answered as results.

A `Request` says what is asked; `compile` makes it a `Plan`, which `run_plan` answers with a `Result`; `run` does both.
`run_query` runs a named query. The checks say what is wrong with declarations before anybody asks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prodsense.metrics.compiler import Plan, compile
from prodsense.metrics.query import run, run_plan
from prodsense.metrics.result import Result, Rows
from prodsense.metrics.scope import Request, Scope

if TYPE_CHECKING:
    from prodsense.metrics.queries import run_query
    from prodsense.metrics.validate import check_dimension, check_metric, check_query, check_scope

__all__ = [
    "Plan", "Request", "Result", "Rows", "Scope", "check_dimension", "check_metric", "check_query", "check_scope",
    "compile", "run", "run_plan", "run_query",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load what a metric request does not need when it is first named."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("prodsense.metrics." + ("queries" if name == "run_query" else "validate")), name)
