"""Build models out of tables: graph, incremental runs, restatement, state, lineage, checks."""

from __future__ import annotations

from prodsense.build.check import check_models
from prodsense.build.graph import Graph
from prodsense.build.lineage import Lineage, expression_lineage, lineage, metric_lineage
from prodsense.build.report import BuildReport, ModelBuild, Restated, RestateReport
from prodsense.build.run import build, restate, verify
from prodsense.build.status import ModelStatus, status

__all__ = [
    "BuildReport", "Graph", "Lineage", "ModelBuild", "ModelStatus", "RestateReport", "Restated", "build",
    "check_models", "expression_lineage", "lineage", "metric_lineage", "restate", "status", "verify",
]
