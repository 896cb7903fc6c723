"""Metrics: declarations compiled to one aggregate query a source, run, and answered as results.

`request(...)` reads what is asked, `compile` turns it into a `Plan`, `run` into a `Result`; `ask` does both.
`run_query` runs a named query. `check_scope` says what is wrong with declarations before anybody asks.
"""

from prodsense.metrics.compiler import Plan, compile
from prodsense.metrics.queries import run_query
from prodsense.metrics.query import ask, run
from prodsense.metrics.result import Result, Rows
from prodsense.metrics.scope import Request, Scope, request
from prodsense.metrics.validate import check_dimension, check_metric, check_query, check_scope

__all__ = [
    "Plan", "Request", "Result", "Rows", "Scope", "ask", "check_dimension", "check_metric", "check_query",
    "check_scope", "compile", "request", "run", "run_query",
]  # fmt: skip
