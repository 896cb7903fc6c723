"""How a metric is read for an explanation: as a sum, a ratio of sums or a mean, by slices and by day.

A metric's own aggregate cannot be added up over slices when it is a ratio; its numerator and denominator can. They are
declared here as metrics beside it, with its source, conditions and modifiers, and compiled like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Metric
from prodsense.errors import SqlError
from prodsense.inference.rootcause import Kind

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

    from prodsense.metrics.scope import Scope

#: Names of the parts of a metric; no pack's metric begins so.
TOP, BOTTOM, SPREAD = "part_top", "part_bottom", "part_spread"


@dataclass(frozen=True)
class Reading:
    """A metric as numbers that add up: `kind`, and the metrics that give them (top; bottom; variance).

    `why` says why there is none, for a metric whose slices do not add up; `kind` is then None.
    """

    metric: Metric
    kind: Kind | None
    parts: tuple[Metric, ...] = ()
    why: str = ""


def reading(scope: Scope, metric: Metric) -> Reading:
    """How `metric` adds up. A share is a ratio of counts, other quotients are rates."""
    from prodsense.contracts.sql import parse

    if metric.rolling or metric.last or metric.per or metric.share_of is not None:
        forms = ("rolling", "last", "per", "share_of")
        form = next(name for name in forms if getattr(metric, name) not in (0, "", None, False))
        return Reading(metric, None, why=f"{metric.name} is {form.replace('_', ' ')} and does not add up over slices")
    tree = parse(metric.sql, f"{scope.pack}.{metric.name}")
    found = _derived(scope, metric, tree) if not metric.source else _aggregate(metric, tree)
    return found or Reading(metric, None, why=f"{metric.name} ({metric.sql}) does not add up over slices")


def _aggregate(metric: Metric, tree: exp.Expression) -> Reading | None:
    from sqlglot import exp

    if isinstance(tree, (exp.Mul, exp.Div)) and isinstance(tree.expression, exp.Literal) and not _adds_up(tree):
        inner = _aggregate(metric, tree.this)
        return _scaled(inner, "*" if isinstance(tree, exp.Mul) else "/", tree.expression.name) if inner else None
    condition = ""
    if isinstance(tree, exp.Filter):
        condition, tree = f" FILTER ({tree.expression.sql('duckdb')})", tree.this
    if not condition and _adds_up(tree):
        squares = _squares(tree)
        parts = (_part(metric, TOP, tree.sql("duckdb")), *([_part(metric, SPREAD, squares)] if squares else []))
        return Reading(metric, "additive", parts)
    if not isinstance(tree, exp.Anonymous):
        return Reading(metric, "additive", (metric,)) if condition and _adds_up(tree) else None
    name, given = tree.name.lower(), tree.expressions
    if name == "ratio" and not condition and all(map(_adds_up, given)):
        top, bottom = (node.sql("duckdb") for node in given)
        return Reading(metric, _quotient(metric), (_part(metric, TOP, top), _part(metric, BOTTOM, bottom)))
    if name == "share":
        text = given[0].sql("duckdb")
        return Reading(metric, "ratio", (
            _part(metric, TOP, f"COUNT(CASE WHEN {text} THEN 1 END){condition}"),
            _part(metric, BOTTOM, f"COUNT({text}){condition}"),
        ))  # fmt: skip
    if name == "mean":
        text = given[0].sql("duckdb")
        return Reading(metric, "mean", (
            _part(metric, TOP, f"SUM(CAST({text} AS DOUBLE)){condition}"),
            _part(metric, BOTTOM, f"COUNT({text}){condition}"),
            _part(metric, SPREAD, f"VAR_SAMP(CAST({text} AS DOUBLE)){condition}"),
        ))  # fmt: skip
    return None


def _scaled(inner: Reading, sign: str, factor: str) -> Reading:
    """The reading of a quotient or mean times a constant (a mean of cents as money)."""
    by = {TOP: f"{sign} {factor}", SPREAD: f"{sign} ({factor} * {factor})"}
    parts = tuple(
        replace(m, sql=f"(CAST({m.sql} AS DOUBLE)) {by[m.name]}") if m.name in by else m for m in inner.parts
    )
    # A share in percent is no longer a part of its denominator.
    return replace(inner, kind="rate" if inner.kind == "ratio" else inner.kind, parts=parts)


def _squares(tree: exp.Expression) -> str:
    """The sum of squares that belongs to a sum (over or times a constant): how much it varies; empty for others."""
    from sqlglot import exp

    factor = ""
    if isinstance(tree, (exp.Mul, exp.Div)) and isinstance(tree.expression, exp.Literal):
        sign = "*" if isinstance(tree, exp.Mul) else "/"
        factor, tree = f" {sign} ({tree.expression.name} * {tree.expression.name})", tree.this
    if not isinstance(tree, exp.Sum):
        return ""
    x = f"CAST({tree.this.sql('duckdb')} AS DOUBLE)"
    return f"SUM({x} * {x}){factor}"


def _quotient(metric: Metric) -> Kind:
    return "ratio" if metric.unit == "share" else "rate"


def _part(metric: Metric, name: str, sql: str) -> Metric:
    return replace(metric, name=name, sql=sql, grain="all", hidden=True, by=())


def _adds_up(node: exp.Expression) -> bool:
    """Whether an expression over rows is a sum, a count of rows, or made of such by adding and constant factors."""
    from sqlglot import exp

    if isinstance(node, (exp.Paren, exp.Neg, exp.Filter, exp.Cast)):
        return _adds_up(node.this)
    if isinstance(node, (exp.Sum, exp.CountIf)):
        return not node.find(exp.Distinct)
    if isinstance(node, exp.Count):
        return not isinstance(node.this, exp.Distinct)
    if isinstance(node, (exp.Add, exp.Sub)):
        return _adds_up(node.this) and _adds_up(node.expression)
    if isinstance(node, (exp.Mul, exp.Div)):
        return _adds_up(node.this) and isinstance(node.expression, exp.Literal)
    if isinstance(node, exp.Coalesce):
        return _adds_up(node.this) and all(e.is_number and float(e.name) == 0 for e in node.expressions)
    return False


def _derived(scope: Scope, metric: Metric, tree: exp.Expression) -> Reading | None:
    """A quotient of metrics that add up, or sums and differences of them."""
    from sqlglot import exp

    def additive(node: exp.Expression) -> bool:
        if isinstance(node, exp.Paren):
            return additive(node.this)
        if isinstance(node, exp.Coalesce):
            return additive(node.this) and all(e.is_number and float(e.name) == 0 for e in node.expressions)
        if isinstance(node, exp.Column):
            part = scope.metrics.get(node.name.lower())
            return part is not None and reading(scope, part).kind == "additive"
        if isinstance(node, (exp.Add, exp.Sub)):
            return additive(node.this) and additive(node.expression)
        if isinstance(node, (exp.Mul, exp.Div)):
            return additive(node.this) and isinstance(node.expression, exp.Literal)
        return False

    if additive(tree):
        return Reading(metric, "additive", (metric,))
    if isinstance(tree, exp.Anonymous) and tree.name.lower() == "ratio" and all(map(additive, tree.expressions)):
        parts = tuple(
            Metric(name, metric.says, "count", "none", node.sql("duckdb"), hidden=True)
            for name, node in zip((TOP, BOTTOM), tree.expressions, strict=True)
        )
        return Reading(metric, _quotient(metric), parts)
    return None


def rows_of(
    warehouse: Any, pack: str, metrics: Sequence[Metric], *, by: Sequence[str] = (), grain: str = "all",
    since: date, until: date, where: str = "", as_of: datetime, tz: str = "UTC",
) -> pa.Table:
    """Rows of metrics, declared or not, as the engine gives them: no empty periods, no order promised."""
    from prodsense.contracts.sql import sources
    from prodsense.metrics import Request

    request = Request([m.name for m in metrics], by=by, grain=grain, since=since, until=until, where=where or None,
                      as_of=as_of, tz=tz)  # fmt: skip
    plan = _plan(warehouse, pack, metrics, request)
    warehouse.ready(pack, sources(plan.tree))
    table: pa.Table = warehouse.engine.query(plan.tree, plan.params(as_of, since))
    return table


def newest_moment(warehouse: Any, pack: str, metric: Metric) -> datetime | None:
    """The newest moment of a metric's sources: from there a window that matures is seen, not from its own end."""
    from prodsense.contracts.sql import sources
    from prodsense.metrics import Request
    from prodsense.metrics.compiler import newest

    plan = _plan(warehouse, pack, [metric], Request([metric.name]))
    warehouse.ready(pack, sources(plan.tree))
    return newest(warehouse.engine, plan)[0]


def _plan(warehouse: Any, pack: str, metrics: Sequence[Metric], request: Any) -> Any:
    """The compiled request, `metrics` known beside those of the pack; models that it needs are built first."""
    from prodsense.errors import NotBuiltError
    from prodsense.metrics import compile

    def compiled() -> Any:
        scope = warehouse.scope(pack)
        return compile(request, replace(scope, metrics={**scope.metrics, **{m.name: m for m in metrics}}))

    try:
        return compiled()
    except NotBuiltError:
        warehouse.ready(pack)
        return compiled()


def sliceable(scope: Scope, parts: Sequence[Metric], names: Sequence[str]) -> list[str]:
    """Those of the dimensions by which all parts can be asked together."""
    from prodsense.errors import UsageError
    from prodsense.metrics import Request, compile

    found = []
    extended = replace(scope, metrics={**scope.metrics, **{m.name: m for m in parts}})
    for name in names:
        try:
            compile(Request([m.name for m in parts], by=[name]), extended)
        except (UsageError, SqlError):
            continue
        found.append(name)
    return found


def total(table: pa.Table, name: str) -> float:
    """The sum of a column, nulls as nothing."""
    import numpy as np

    if not table.num_rows:
        return 0.0
    return float(np.nansum(table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)))


def value_of(kind: Kind | None, sums: Mapping[str, float]) -> float | None:
    """The metric's value of sums of its parts; None where a denominator is 0."""
    if kind == "additive":
        return sums[TOP]
    return sums[TOP] / sums[BOTTOM] if sums[BOTTOM] else None
