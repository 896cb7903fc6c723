"""A metric as a smooth function of what its units add up to, with its gradient.

A mean is one sum over the units, a ratio the quotient of two, a derived metric an expression over several. The
delta method (Deng, Knoblich and Lu 2018) needs the value at the units' means and the gradient there; both come
from the metric's own SQL expression, evaluated on numbers that carry their derivatives along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlglot import exp


@dataclass(frozen=True)
class Dual:
    """A number and its gradient."""

    value: float
    slope: NDArray[np.float64]

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.slope * other.value + other.slope * self.value)

    def __truediv__(self, other: Dual) -> Dual:
        return Dual(self.value / other.value, (self.slope - other.slope * (self.value / other.value)) / other.value)


@dataclass(frozen=True)
class Formula:
    """An expression over the columns ``c0``, ``c1``, … of a unit.

    `ratio` names numerator and denominator where it is c · num / den, for designs that weigh by the denominator.
    """

    tree: exp.Expression | None
    columns: int
    ratio: tuple[int, int] | None = None
    scale: float = 1.0

    @classmethod
    def mean(cls) -> Formula:
        """One value a unit."""
        return cls(None, 1)

    @classmethod
    def quotient(cls) -> Formula:
        """Numerator and denominator a unit: a ratio of sums."""
        return cls(None, 2, (0, 1))

    @classmethod
    def of(cls, tree: exp.Expression, columns: int) -> Formula:
        ratio, scale = _ratio_of(tree)
        return cls(tree, columns, ratio, scale)

    def later_less_early(self) -> Formula:
        """The same formula of the first half of twice as many columns, less it of the second half."""
        from sqlglot import exp

        def moved(node: exp.Expression) -> exp.Expression:
            column = _column(node) if isinstance(node, exp.Column) else None
            return node if column is None else exp.column(f"c{column + self.columns}")

        own = self.tree if self.tree is not None else (
            exp.column("c0") if self.ratio is None else
            exp.Anonymous(this="ratio", expressions=[exp.column("c0"), exp.column("c1")]))
        return Formula(exp.Sub(this=exp.Paren(this=own.copy()), expression=exp.Paren(this=own.transform(moved))),
                       2 * self.columns)

    def at(self, means: Sequence[float] | NDArray[np.float64]) -> Dual | None:
        """Value and gradient at the units' means; None where a denominator is 0."""
        point = np.asarray(means, float)
        if self.tree is None and self.ratio is None:
            return Dual(float(point[0]), np.array([1.0]))
        seeds = [Dual(float(x), np.eye(len(point))[i]) for i, x in enumerate(point)]
        if self.tree is None:
            return None if point[1] == 0 else seeds[0] / seeds[1]
        return _value(self.tree, seeds)


def _column(node: exp.Expression) -> int | None:
    from sqlglot import exp

    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    if isinstance(node, exp.Column) and node.name[:1] == "c" and node.name[1:].isdigit():
        return int(node.name[1:])
    return None


def _ratio_of(tree: exp.Expression) -> tuple[tuple[int, int] | None, float]:
    """(numerator, denominator) and the factor, where `tree` is a ratio of two columns, scaled or not."""
    from sqlglot import exp

    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Anonymous) and tree.name.lower() == "ratio":
        a, b = (_column(part) for part in tree.expressions)
        return ((a, b), 1.0) if a is not None and b is not None else (None, 1.0)
    if isinstance(tree, (exp.Div, exp.Mul)) and isinstance(tree.expression, exp.Literal) and tree.expression.is_number:
        found, scale = _ratio_of(tree.this)
        factor = float(tree.expression.this)
        return found, scale * (1 / factor if isinstance(tree, exp.Div) else factor)
    return None, 1.0


def _value(node: exp.Expression, seeds: Sequence[Dual]) -> Dual | None:
    """The value of an expression; None is SQL's null."""
    from sqlglot import exp

    def constant(number: float) -> Dual:
        return Dual(number, np.zeros(len(seeds)))

    column = _column(node)
    if column is not None:
        return seeds[column]
    match node:
        case exp.Paren() | exp.Cast():
            return _value(node.this, seeds)
        case exp.Literal() if node.is_number:
            return constant(float(node.this))
        case exp.Null():
            return None
        case exp.Neg():
            inner = _value(node.this, seeds)
            return None if inner is None else constant(0.0) - inner
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            left, right = _value(node.this, seeds), _value(node.expression, seeds)
            if left is None or right is None or (isinstance(node, exp.Div) and right.value == 0):
                return None
            if isinstance(node, exp.Add):
                return left + right
            if isinstance(node, exp.Sub):
                return left - right
            return left * right if isinstance(node, exp.Mul) else left / right
        case exp.Nullif():
            left, right = _value(node.this, seeds), _value(node.expression, seeds)
            return None if left is None or (right is not None and left.value == right.value) else left
        case exp.Coalesce():
            parts = (_value(part, seeds) for part in [node.this, *node.expressions])
            return next((part for part in parts if part is not None), None)
        case exp.Case() if node.this is None:
            for branch in node.args["ifs"]:
                if _truth(branch.this, seeds):
                    return _value(branch.args["true"], seeds)
            return _value(node.args["default"], seeds) if node.args.get("default") is not None else None
        case exp.Anonymous() if node.name.lower() == "ratio":
            top, bottom = (_value(part, seeds) for part in node.expressions)
            return None if top is None or bottom is None or bottom.value == 0 else top / bottom
    raise UsageError(f"no experiment can read {node.sql('duckdb')!r}: its change with the units' sums is not known")


def _truth(node: exp.Expression, seeds: Sequence[Dual]) -> bool:
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    compare = {exp.GT: np.greater, exp.GTE: np.greater_equal, exp.LT: np.less, exp.LTE: np.less_equal,
               exp.EQ: np.equal, exp.NEQ: np.not_equal}
    if type(node) in compare:
        left, right = _value(node.this, seeds), _value(node.expression, seeds)
        return left is not None and right is not None and bool(compare[type(node)](left.value, right.value))
    raise UsageError(f"no experiment can read the condition {node.sql('duckdb')!r} on a sum")
