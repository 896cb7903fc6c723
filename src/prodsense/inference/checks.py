"""Check trees and detectors before anybody asks: what they name exists, and their SQL renders for every engine."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Detector, MetricTree, Query
from prodsense.errors import SqlError, UsageError
from prodsense.metrics import check_query
from prodsense.metrics.scope import Scope


def check_tree(tree: MetricTree, scope: Scope) -> None:
    """Raises UsageError or SqlError when a tree names no metric, or its formula is none that can be taken apart."""
    from prodsense.contracts.sql import parse
    from prodsense.inference.explain_tree import evaluate, parts_of_tree

    scope.metric(tree.metric)
    parts = parts_of_tree(scope, tree)
    if not parts or tree.metric in parts:
        raise SqlError(f"{scope.pack}.{tree.name}: a tree is a formula of other metrics")
    evaluate(parse(tree.sql, f"{scope.pack}.{tree.name}"), dict.fromkeys(parts, 1.0))


def check_detector(detector: Detector, scope: Scope) -> None:
    """Raises what is wrong with a detector: SQL that does not resolve, a rule over what is not there."""
    origin = f"{scope.pack}.{detector.name}"
    if detector.cooldown < 0:
        raise UsageError(f"{origin}: cooldown is {detector.cooldown}; it is a number of days")
    if detector.sql:
        query = Query(detector.name, detector.says, detector.sql, detector.params, detector.as_of, detector.path)
        check_query(query, scope)
        return
    rule = detector.run
    if not getattr(rule, "wants_pack", False):
        return
    for name in (getattr(rule, "metric", ""), getattr(rule, "volume", "")):
        if name:
            scope.metric(name)
    by = getattr(rule, "by", ())
    if getattr(rule, "metric", ""):
        for name in (by,) if isinstance(by, str) else by:
            scope.dimension(name)
    tables = getattr(rule, "tables", ()) or [t for t in (getattr(rule, "table", ""),) if t]
    for table in tables:
        columns = scope.relation(table, origin).columns
        needed = [getattr(rule, name, "") for name in ("subject", "column", "time")]
        needed += [] if getattr(rule, "metric", "") else list(by)
        for name in filter(None, needed):
            if name not in columns:
                raise UsageError(f"{origin}: {table} has no column {name}")
