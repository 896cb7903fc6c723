"""Metrics: declarations compiled to one aggregate query a source, run, and answered as results.

A `Request` says what is asked; `compile` makes it a `Plan`, which `run_plan` answers with a `Result`; `run` does both.
`run_query` runs a named query. `check_scope` says what is wrong with declarations before anybody asks.
"""

from prodsense.metrics.compiler import Plan, compile
from prodsense.metrics.queries import run_query
from prodsense.metrics.query import run, run_plan
from prodsense.metrics.result import Result, Rows
from prodsense.metrics.scope import Request, Scope
from prodsense.metrics.validate import check_dimension, check_metric, check_query, check_scope

__all__ = [
    "Plan", "Request", "Result", "Rows", "Scope", "check_dimension", "check_metric", "check_query", "check_scope",
    "compile", "run", "run_plan", "run_query",
]  # fmt: skip
