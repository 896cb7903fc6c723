"""How a metric's parts moved it: the tree of its formula, or one that a pack declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Metric, MetricTree
from prodsense.errors import UsageError
from prodsense.inference.decompose import multiplicative, shapley

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.metrics.scope import Scope

#: A declared tree holds when its formula gives the metric to this relative precision.
PRECISION = 1e-6


def tree_of(scope: Scope, metric: Metric, trees: Sequence[MetricTree], name: str | None = None) -> MetricTree | None:
    """The tree to use: the one named, else one declared for the metric, else its own formula when it is derived."""
    for tree in trees:
        if (name is None and tree.metric == metric.name) or tree.name == name:
            if tree.metric != metric.name:
                raise UsageError(f"tree {tree.name} is of {tree.metric}, not of {metric.name}")
            return tree
    if name is not None:
        raise UsageError(f"no tree named {name}; {scope.pack} has: {', '.join(t.name for t in trees) or 'none'}")
    if metric.source:
        return None
    return MetricTree(metric.name, metric.says, metric.name, metric.sql)


def parts_of_tree(scope: Scope, tree: MetricTree) -> list[str]:
    """Names of the metrics in a tree's formula, in order."""
    from sqlglot import exp

    from prodsense.contracts.sql import parse

    found = dict.fromkeys(c.name.lower() for c in parse(tree.sql, tree.name).find_all(exp.Column))
    for name in found:
        scope.metric(name)
    return list(found)


def branches(
    tree: MetricTree, before: Mapping[str, float | None], after: Mapping[str, float | None],
    whole: tuple[float | None, float | None],
) -> list[dict[str, Any]]:
    """One row a part: before, after, its effect on the metric and share of the move; the effects sum to the move.

    A product or quotient of positive parts is taken apart by logarithmic means, any other formula by Shapley values.
    Raises UsageError when a part has no value, or when the formula does not give the metric.
    """
    from prodsense.contracts.sql import parse

    for name in before:
        if before[name] is None or after[name] is None:
            raise UsageError(f"{name} has no value in one of the windows")
    sides = [{k: float(v) for k, v in side.items() if v is not None} for side in (before, after)]
    formula = parse(tree.sql, tree.name)
    found = [evaluate(formula, side) for side in sides]
    for value, wanted, when in zip(found, whole, ("before", "after"), strict=True):
        if value is None:
            raise UsageError(f"tree {tree.name} has no value {when} the move")
        if wanted is not None and abs(value - wanted) > PRECISION * max(abs(value), abs(wanted), 1e-12):
            raise UsageError(
                f"tree {tree.name} does not hold: {tree.sql} gives {value:g} {when}, the metric is {wanted:g}"
            )
    powers = _powers(formula)
    if powers is not None and all(side[name] > 0 for side in sides for name in powers):
        method, effects = "log-mean", multiplicative(sides[0], sides[1], powers)
    else:
        method, effects = "shapley", shapley(sides[0], sides[1], _compiled(formula))
    assert found[0] is not None and found[1] is not None
    delta = found[1] - found[0]
    return [
        {"part": name, "before": sides[0][name], "after": sides[1][name],
         "change": (sides[1][name] - sides[0][name]) / abs(sides[0][name]) if sides[0][name] else None,
         "effect": effect, "share_of_move": effect / delta if delta else None, "method": method}
        for name, effect in sorted(effects.items(), key=lambda item: -abs(item[1]))
    ]  # fmt: skip


def _compiled(formula: exp.Expression) -> Callable[[Mapping[str, float]], float | None]:
    return lambda values: evaluate(formula, values)


def evaluate(node: exp.Expression, values: Mapping[str, float]) -> float | None:
    """A formula over numbers, as the engine would; None is null (a division by 0)."""
    from sqlglot import exp

    match node:
        case exp.Paren():
            return evaluate(node.this, values)
        case exp.Column():
            return values[node.name.lower()]
        case exp.Literal() if not node.is_string:
            return float(node.name)
        case exp.Neg():
            inner = evaluate(node.this, values)
            return None if inner is None else -inner
        case exp.Coalesce():
            inner = evaluate(node.this, values)
            return inner if inner is not None else evaluate(node.expressions[0], values)
        case exp.Nullif():
            a, b = evaluate(node.this, values), evaluate(node.expression, values)
            return None if a == b else a
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            return _binary(type(node), evaluate(node.this, values), evaluate(node.expression, values))
        case exp.Anonymous() if node.name.lower() == "ratio":
            return _binary(exp.Div, *(evaluate(e, values) for e in node.expressions))
    raise UsageError(f"a tree is made of + - * / and ratio(); {node.sql('duckdb')} is none of them")


def _binary(kind: Any, a: float | None, b: float | None) -> float | None:
    from sqlglot import exp

    if a is None or b is None:
        return None
    if kind is exp.Div:
        return a / b if b else None
    return a + b if kind is exp.Add else a - b if kind is exp.Sub else a * b


def _powers(node: exp.Expression, sign: int = 1) -> dict[str, int] | None:
    """Metric → power when a formula is a product and quotient of distinct metrics and nothing else."""
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        return _powers(node.this, sign)
    if isinstance(node, exp.Column):
        return {node.name.lower(): sign}
    pair: list[exp.Expression] = []
    if isinstance(node, (exp.Mul, exp.Div)):
        pair = [node.this, node.expression]
    elif isinstance(node, exp.Anonymous) and node.name.lower() == "ratio":
        pair = list(node.expressions)
    if len(pair) != 2:
        return None
    left, right = _powers(pair[0], sign), _powers(pair[1], sign if isinstance(node, exp.Mul) else -sign)
    if left is None or right is None or left.keys() & right.keys():
        return None
    return {**left, **right}
