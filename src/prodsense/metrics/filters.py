"""Filter expressions from users: parsed, checked node by node against a list, and bound.

Nothing of the text reaches the engine as text: names are resolved to columns or dimensions of the request's
sources, text and number literals become parameters, and whatever is not on the list is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from sqlglot import exp

#: A name of the filter → its expression and its type in DuckDB's spelling ("" when not known).
Resolve = Callable[[str], "tuple[exp.Expression, str]"]

MAX_LENGTH = 5_000
MAX_DEPTH = 100

#: Macros of `engines.dialect` that a filter may call, beside lower, upper, trim, length, abs and coalesce.
MACROS = frozenset({"date_of", "hour_of", "iso_weekday", "period_start", "minutes_between", "days_between"})

_HINT = "use names, values, comparisons, AND, OR, NOT, IN, BETWEEN, LIKE and IS NULL"


@dataclass
class Literals:
    """Values bound so far, by parameter name; shared by all sources of a request."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any) -> exp.Placeholder:
        from sqlglot import exp

        for name, known in self.values.items():
            if type(known) is type(value) and known == value:
                return exp.Placeholder(this=name)
        name = f"where_{len(self.values) + 1}"
        self.values[name] = value
        return exp.Placeholder(this=name)


def read_filter(text: str) -> exp.Expression:
    """Parse a filter and check that each node is allowed; UsageError otherwise."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.tokens import TokenType

    if len(text) > MAX_LENGTH:
        raise UsageError(f"where is longer than {MAX_LENGTH:,} characters")
    try:
        text.encode("utf-8")
        tokens = sqlglot.tokenize(text, read="duckdb")
        if any(token.comments for token in tokens):
            raise UsageError("where may hold no comments")
        if not tokens:
            raise UsageError(f"where is empty; {_HINT}")
        statements = sqlglot.parse(text, read="duckdb")
    except UsageError:
        raise
    except RecursionError:
        raise UsageError("where is nested too deeply") from None
    except UnicodeEncodeError:
        raise UsageError("where holds characters that are no valid text") from None
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        near = f" near {details[0]['highlight']!r}" if details[0].get("highlight") else ""
        raise UsageError(f"where cannot be read{near}: {_HINT}") from None
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        # The parser itself stumbles over some texts; they are no filters either way.
        raise UsageError(f"where cannot be read: {_HINT}") from None
    if len(statements) != 1 or statements[0] is None or any(t.token_type is TokenType.SEMICOLON for t in tokens):
        raise UsageError("where must be one condition, without a semicolon")
    tree = statements[0]
    _check(tree)
    if not isinstance(tree, (exp.Predicate, exp.Connector, exp.Not, exp.Paren, exp.Boolean, exp.Column, exp.Between,
                             exp.In, exp.Is)):
        raise UsageError(f"where must be a condition that is true or false, not {tree.sql('duckdb')!r}; {_HINT}")
    return tree


def _allowed() -> tuple[type, ...]:
    from sqlglot import exp

    return (
        exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE,
        exp.NullSafeEQ, exp.NullSafeNEQ, exp.In, exp.Between, exp.Like, exp.ILike, exp.Is, exp.Null, exp.Boolean,
        exp.Literal, exp.Column, exp.Identifier, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod,
        exp.Cast, exp.DataType, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Abs, exp.Coalesce,
    )  # fmt: skip


#: Casts that a filter may write, as in ``DATE '2024-01-31'``.
_CASTS = frozenset({"DATE", "TIMESTAMP", "TIMESTAMPNTZ", "INT", "BIGINT", "DOUBLE", "TEXT", "VARCHAR", "BOOLEAN"})


def _check(tree: exp.Expression) -> None:
    from sqlglot import exp

    allowed = _allowed()
    for node in tree.walk():
        if node.depth > MAX_DEPTH:
            raise UsageError("where is nested too deeply")
        if isinstance(node, exp.Column) and (node.table or not isinstance(node.this, exp.Identifier)):
            raise UsageError(f"where names {node.sql('duckdb')}; write columns and dimensions bare")
        if isinstance(node, exp.Cast) and (type(node) is not exp.Cast or node.to.this.name not in _CASTS):
            raise UsageError(f"where may not cast to {node.to.sql('duckdb')}")
        if isinstance(node, exp.Anonymous) and node.name.lower() in MACROS:
            continue
        if type(node) not in allowed:
            what = node.name if isinstance(node, exp.Anonymous) else node.key
            raise UsageError(f"where may not use {what.upper()[:40]}: {_HINT}")


def bind_filter(tree: exp.Expression, resolve: Resolve, literals: Literals) -> exp.Expression:
    """A copy of a checked filter with names resolved and literals as parameters.

    Text compared with a day, moment or number takes that type here, so that a wrong value is said in words.
    """
    from sqlglot import exp

    def bind(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column):
            return resolve(node.name.lower())[0]
        if isinstance(node, exp.Cast):
            return _cast(node, literals) or exp.Cast(this=bind(node.this), to=node.to.copy())
        if isinstance(node, exp.Literal):
            return literals.add(_value(node))
        if isinstance(node, (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)):
            return type(node)(this=side(node.this, node.expression), expression=side(node.expression, node.this))
        if isinstance(node, exp.Between):
            return exp.Between(
                this=bind(node.this), low=side(node.args["low"], node.this), high=side(node.args["high"], node.this)
            )
        if isinstance(node, exp.In):
            if not node.expressions:
                raise UsageError("where has an empty list after IN")
            return exp.In(this=bind(node.this), expressions=[side(value, node.this) for value in node.expressions])
        if isinstance(node, exp.Anonymous) and node.name.lower() == "period_start":
            grain = node.expressions[1] if len(node.expressions) == 2 else None
            if not isinstance(grain, exp.Literal) or grain.name not in ("day", "week", "month", "quarter", "year"):
                raise UsageError("period_start() takes a moment and 'day', 'week', 'month', 'quarter' or 'year'")
            return exp.Anonymous(this="period_start", expressions=[bind(node.expressions[0]), grain.copy()])
        copy = node.copy()
        for key, child in node.args.items():
            if isinstance(child, exp.Expression):
                copy.set(key, bind(child))
            elif isinstance(child, list):
                copy.set(key, [bind(c) if isinstance(c, exp.Expression) else c for c in child])
        return copy

    def side(value: exp.Expression, other: exp.Expression) -> exp.Expression:
        inner = value.this if isinstance(value, exp.Neg) else value
        if not isinstance(inner, exp.Literal) or not isinstance(other, exp.Column):
            return bind(value)
        _, kind = resolve(other.name.lower())
        return literals.add(_typed(_value(inner, negative=inner is not value), kind, other.name))

    return bind(tree)


def _cast(node: exp.Cast, literals: Literals) -> exp.Expression | None:
    """``DATE '2024-01-31'`` as a parameter of that type."""
    from sqlglot import exp

    if not isinstance(node.this, exp.Literal) or not node.this.is_string:
        return None
    kind = {"DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "TIMESTAMPNTZ": "TIMESTAMP"}.get(node.to.this.name)
    return literals.add(_typed(node.this.name, kind, "where")) if kind else None


def _value(node: exp.Literal, negative: bool = False) -> Any:
    if node.is_string:
        if "\0" in node.name:
            raise UsageError("where holds a NUL character, which no text column can hold")
        return node.name
    try:
        number: int | float = int(node.name)
        if abs(number) >= 2**63:
            number = float(number)
    except ValueError:
        try:
            number = float(node.name)
        except ValueError:
            raise UsageError(f"where holds {node.name!r}, which is no number") from None
    except OverflowError:
        number = math.inf
    if isinstance(number, float) and not math.isfinite(number):
        raise UsageError("where holds a number too large to compare with")
    return -number if negative else number


def _typed(value: Any, kind: str, name: str) -> Any:
    """`value` as it compares with a column of type `kind`; UsageError when it cannot."""
    family = kind.upper().split("(")[0]
    if family == "DATE" or family.startswith("TIMESTAMP"):
        if not isinstance(value, str):
            raise UsageError(f"where compares {name} with {value!r}; write a date like '2024-01-31'")
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise UsageError(f"where compares {name} with {value!r}; write a date like '2024-01-31'") from None
        if moment.tzinfo is not None:
            from datetime import UTC

            moment = moment.astimezone(UTC).replace(tzinfo=None)
        if family == "DATE" and moment.time() == time():
            return date(moment.year, moment.month, moment.day)
        return moment
    if family in ("VARCHAR", "TEXT") and not isinstance(value, str):
        raise UsageError(f"where compares {name}, a text, with the number {value!r}; put it in quotes")
    numeric = family.endswith(("INT", "INTEGER")) or family in ("DOUBLE", "FLOAT", "REAL", "DECIMAL")
    if numeric and isinstance(value, str):
        try:
            return int(value) if value.lstrip("-").isdigit() and len(value) < 19 else _finite(value)
        except (ValueError, OverflowError):
            raise UsageError(f"where compares {name}, a number, with the text {value!r}") from None
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
