"""Partition values: their text form, the neighbours a spread reaches, and the SQL that selects them.

A partition value travels as text (ISO for dates), as the ledger keeps it. Only types whose text form
is unique can be partitions: DATE, whole numbers and text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import ContractError, UsageError

if TYPE_CHECKING:
    from sqlglot import exp

_WHOLE_NUMBERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT"})

#: Up to so many runs of days, `BETWEEN`s beat one IN list: the engine prunes by zone maps run by run.
_MAX_RUNS = 16


def partition_type(type_name: str, relation: str) -> str:
    """Normalise a column type to DATE, BIGINT or VARCHAR; ContractError for any other."""
    upper = type_name.upper()
    if upper == "DATE":
        return "DATE"
    if upper in _WHOLE_NUMBERS:
        return "BIGINT"
    if upper.startswith("VARCHAR") or upper == "TEXT":
        return "VARCHAR"
    raise ContractError(f"{relation}: cannot partition by a {upper}; use a DATE, a whole number or text")


def value_of(text: str, kind: str) -> Any:
    """The Python value of a partition's text form."""
    if kind == "DATE":
        return date.fromisoformat(text)
    return int(text) if kind == "BIGINT" else text


def ordered(values: Iterable[str], kind: str) -> tuple[str, ...]:
    """Distinct values in the order of their type."""
    return tuple(sorted(set(values), key=lambda text: value_of(text, kind)))


def widen(values: Collection[str], days: int, kind: str) -> set[str]:
    """Each value and those up to `days` before and after it; other types than DATE have no neighbours."""
    if not days or kind != "DATE":
        return set(values)
    steps = [timedelta(n) for n in range(-days, days + 1)]
    return {(date.fromisoformat(text) + step).isoformat() for text in values for step in steps}


def day_of(value: date | str | None, option: str) -> date | None:
    """A window's end as a date; UsageError when it is none."""
    if value is None or (isinstance(value, date) and type(value) is date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise UsageError(f"{option}: {value!r} is no date; write it as 2024-01-31") from None


def inside(text: str, since: date | None, until: date | None) -> bool:
    """Whether a day lies in the half-open window."""
    day = date.fromisoformat(text)
    return (since is None or day >= since) and (until is None or day < until)


def column_of(name: str) -> exp.Column:
    """A partition column in SQL."""
    from sqlglot import exp

    return exp.column(exp.to_identifier(name, quoted=True))


def condition(column: exp.Expr, values: Collection[str], kind: str, *, nulls: bool = False) -> exp.Expr:
    """A predicate: `column` is one of `values` (or NULL, with `nulls`).

    Adjoining days become ranges. The literals carry their type, so that the engine compares without
    casting the column and can skip row groups.
    """
    from sqlglot import exp

    if values:
        runs = _runs(ordered(values, kind), kind)
        if len(runs) <= _MAX_RUNS:
            parts = [_run(column, low, high, kind) for low, high in runs]
            found = parts[0] if len(parts) == 1 else exp.Paren(this=exp.or_(*parts, wrap=False, copy=False))
        else:
            listed = exp.In(this=column.copy(), expressions=[literal(v, kind) for v in ordered(values, kind)])
            found = exp.and_(_run(column, runs[0][0], runs[-1][1], kind), listed, copy=False)
    else:
        found = exp.false()
    if nulls:
        found = exp.Paren(this=exp.or_(found, exp.Is(this=column.copy(), expression=exp.null()), copy=False))
    return found


def _runs(values: tuple[str, ...], kind: str) -> list[tuple[str, str]]:
    if kind != "DATE":
        return [(v, v) for v in values]
    runs: list[tuple[date, date]] = []
    for day in map(date.fromisoformat, values):
        if runs and day - runs[-1][1] == timedelta(1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return [(low.isoformat(), high.isoformat()) for low, high in runs]


def _run(column: exp.Expr, low: str, high: str, kind: str) -> exp.Expr:
    from sqlglot import exp

    if low == high:
        return exp.EQ(this=column.copy(), expression=literal(low, kind))
    return exp.Between(this=column.copy(), low=literal(low, kind), high=literal(high, kind))


def literal(text: str, kind: str) -> exp.Expr:
    """A partition value in SQL, with its type."""
    from sqlglot import exp

    if kind == "DATE":
        return exp.cast(exp.Literal.string(date.fromisoformat(text).isoformat()), "DATE")
    return exp.convert(int(text)) if kind == "BIGINT" else exp.Literal.string(text)
