"""Why a number moved in any file or table: against a forecast, or between two times.

Three ways to say what the number is:

    value and expected         what is against what was expected, in one table
    value and time             a sum, between two times
    numerator, denominator     a ratio, between two times

The table is read once, in the engine, down to one row for each combination of the dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import EngineError, UsageError
from prodsense.inference.explain import VALUES, with_leaves
from prodsense.inference.explain_report import Explanation, Story, explanation
from prodsense.inference.explain_slices import joined, move_of
from prodsense.inference.explain_windows import change_of
from prodsense.inference.rootcause import Kind
from prodsense.metrics import periods
from prodsense.metrics.reading import condition_sql, find_column, find_number, read_data, relation_columns

if TYPE_CHECKING:
    from prodsense.engines.base import Engine


def explain_table(
    data: Any, *, value: str | None = None, expected: str | None = None, numerator: str | None = None,
    denominator: str | None = None, time: str | None = None, before: Any = None, after: Any = None,
    dims: str | Sequence[str] = (), where: str | None = None, layers: int | None = None, engine: Engine | None = None,
) -> Explanation:
    """Why a number moved in `data` (a file, frame, Arrow data, rows, or a relation of `engine`).

    `before` and `after` are days, moments, ranges of them (``2024-01-01..2024-01-07``, both days inside; a range of
    moments ends before its second), or numbers where time is one; without `before` it is all that is earlier.
    `dims` default to all columns that are not numbers or times, and not named otherwise.
    """
    from prodsense.engines import open_engine

    options: dict[str, Any] = {
        "value": value, "expected": expected, "numerator": numerator, "denominator": denominator, "time": time,
        "before": before, "after": after, "dims": (dims,) if isinstance(dims, str) else tuple(dims),
        "where": where or "", "layers": layers,
    }  # fmt: skip
    if engine is not None:
        return _explain(engine, str(data), str(data), **options)
    rows = read_data(data)
    own = open_engine(":memory:")
    try:
        with own.temporary(rows) as relation:
            return _explain(own, relation, "the data", **options)
    finally:
        own.close()


def _explain(
    engine: Engine, relation: str, label: str, *, value: str | None, expected: str | None, numerator: str | None,
    denominator: str | None, time: str | None, before: Any, after: Any, dims: tuple[str, ...], where: str,
    layers: int | None,
) -> Explanation:
    schema = relation_columns(engine, relation)

    def column(name: str, role: str) -> str:
        return (find_column if role in ("dimension", "time") else find_number)(schema, name, role, label)

    if (numerator is None) != (denominator is None) or (value is None) == (numerator is None):
        raise UsageError("name the number: value (with expected, or with time), or numerator and denominator with time")
    if (expected is None) == (time is None):
        raise UsageError("say what it is compared with: expected, a column; or time, with from and to")
    kind: Kind = "additive" if value is not None else "rate"
    numbers = (("value", value), ("expected", expected), ("numerator", numerator), ("denominator", denominator))
    taken = {column(name, role) for role, name in (*numbers, ("time", time)) if name is not None}
    found = tuple(column(name, "dimension") for name in dims) or _dimensions(engine, relation, schema, taken)
    if not found:
        raise UsageError(f"{label} has no column to slice by; name some as dims")
    windows: tuple[Any, Any]
    params: dict[str, Any]
    condition = f" WHERE ({condition_sql(where)})" if where else ""
    if expected is not None:
        assert value is not None
        sides = [column(expected, "expected"), column(value, "value")]
        params, conditions = {}, ["", ""]
        windows = (expected, value)
        measures = [[f"SUM(CAST({comma([c])} AS DOUBLE))"] for c in sides]
        names = ["top"]
    else:
        windows, params, conditions = _times(column(str(time), "time"), schema, label, before, after)
        if value is not None:
            x = f"CAST({comma([column(value, 'value')])} AS DOUBLE)"
            own, names = [f"SUM({x})", f"SUM({x} * {x})"], ["top", "squares"]
        else:
            own = [f"SUM(CAST({comma([column(str(c), 'number')])} AS DOUBLE))" for c in (numerator, denominator)]
            names = ["top", "bottom"]
        measures = [own, own]
    items = [
        f"{measure}{f' FILTER (WHERE {test})' if test else ''} AS {name}_{side}"
        for side, (parts, test) in enumerate(zip(measures, conditions, strict=True))
        for name, measure in zip(names, parts, strict=True)
    ]
    if expected is None:
        # Only rows of the two times: the engine need not group all of history.
        kept = f"(({conditions[0]}) OR ({conditions[1]}))"
        condition = f"{condition} AND {kept}" if condition else f" WHERE {kept}"
    sql = f"SELECT {comma(found)}, {', '.join(items)} FROM {quoted(relation)}{condition} GROUP BY {comma(found)}"
    try:
        table = engine.query(sql, params)
    except EngineError as error:
        raise UsageError(f"{label} cannot be read so: {error.message}") from None
    early, late = (
        table.select([*found, *(f"{n}_{side}" for n in names)]).rename_columns([*found, *names]) for side in (0, 1)
    )
    notes: list[str] = []
    scale = _scale(windows, kind, notes) if expected is None else 1.0
    leaves = joined(early, late, kind, found, names, scale)
    if kind == "rate" and _is_share(leaves):
        kind = "ratio"
    whole = move_of(leaves, kind)
    if whole.before is None or whole.after is None or not (whole.before or whole.after):
        raise UsageError(f"{label} holds nothing in one of the times compared; choose times with data")
    name = value or f"{numerator}/{denominator}"
    story = Story(
        metric=name, unit="share" if kind == "ratio" else "", better="none", window_before=str(windows[0]),
        window_after=str(windows[1]), before=whole.before, after=whole.after, kind=kind, usual={}, onset=None,
        sliced=name, dims=found,
    )  # fmt: skip
    story = with_leaves(story, leaves, kind, layers, notes)
    return explanation(story, notes, [sql], change_of(whole.before, whole.after))


def _is_share(leaves: Any) -> bool:
    """Whether numerators are whole parts of whole denominators."""
    import numpy as np

    columns = leaves.measures()
    whole = all(np.all(c == np.round(c)) and np.all(c >= 0) for c in columns)
    return bool(whole and np.all(columns[0] <= columns[2]) and np.all(columns[1] <= columns[3]))


def _dimensions(engine: Engine, relation: str, schema: Any, taken: set[str]) -> tuple[str, ...]:
    """Columns of text or truth with few enough values, in their order."""
    import pyarrow as pa

    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_dictionary)
    names = [name for name, kind in schema.items() if name not in taken and any(test(kind) for test in tests)]
    if not names:
        return ()
    items = ", ".join(f"COUNT(DISTINCT {comma([name])}) AS c{i}" for i, name in enumerate(names))
    counts = engine.query(f"SELECT {items} FROM {quoted(relation)}").to_pylist()[0]
    return tuple(name for i, name in enumerate(names) if 1 <= counts[f"c{i}"] <= VALUES)


def _scale(windows: tuple[Any, Any], kind: Kind, notes: list[str]) -> float:
    """By how much a sum over the first time is scaled, where the times are days of unlike number."""
    lengths = [getattr(w, "length", None) for w in windows]
    if kind != "additive" or None in lengths or lengths[0] == lengths[1]:
        return 1.0
    scale = lengths[1] / lengths[0]  # type: ignore[operator]
    notes.append(f"the times are not of one length: what was before is scaled by {scale:.3g}")
    return float(scale)


class _Time:
    """A stretch of a time column, half open; numbers are a closed range."""

    def __init__(self, since: Any, until: Any, text: str, closed: bool = False):
        self.since, self.until, self.text, self.closed = since, until, text, closed

    def __str__(self) -> str:
        return self.text

    @property
    def length(self) -> float | None:
        """In seconds, or for a closed range of numbers as many as it spans; None where it is open."""
        if self.since is None or self.until is None:
            return None
        span = self.until - self.since
        return span.total_seconds() if isinstance(span, timedelta) else span + 1 if self.closed else span

    def meets(self, other: _Time) -> bool:
        """Whether the two have a time in common."""
        if self.closed:
            return bool(self.since <= other.until and other.since <= self.until)
        return bool(self.since < other.until and other.since < self.until)

    def test(self, column: str, name: str) -> str:
        """The condition that a time lies inside, with parameters that begin with `name`."""
        parts = []
        if self.since is not None:
            parts.append(f"{column} >= :{name}_since")
        if self.until is not None:
            parts.append(f"{column} {'<=' if self.closed else '<'} :{name}_until")
        return " AND ".join(parts)

    def params(self, name: str) -> dict[str, Any]:
        both = {f"{name}_since": self.since, f"{name}_until": self.until}
        return {key: value for key, value in both.items() if value is not None}


def _times(
    time: str, schema: Any, label: str, before: Any, after: Any
) -> tuple[tuple[_Time, _Time], dict[str, Any], list[str]]:
    """The two times with their parameters and tests over the time column."""
    import pyarrow as pa

    kind = schema[time]
    if after is None:
        raise UsageError("say which time is to be explained: to, a day, a moment or a range")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        column, read = comma([time]), _number_range
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_string(kind):
        column, read = f"CAST({comma([time])} AS TIMESTAMP)", _moment_range
    else:
        raise UsageError(f"{label}: {time} holds {kind}; time is a DATE, a TIMESTAMP or a number")
    late = read(after, "to")
    early = read(before, "from") if before is not None else _Time(None, late.since, f"before {late}")
    if before is not None and early.meets(late):
        raise UsageError(f"from {early} and to {late} overlap; name the time before the move and the time after it")
    return (early, late), {**early.params("a"), **late.params("b")}, [early.test(column, "a"), late.test(column, "b")]


def _number_range(given: Any, what: str) -> _Time:
    first, dots, last = str(given).partition("..")
    try:
        low, high = float(first), float(last) if dots else float(first)
    except ValueError:
        raise UsageError(f"{what} should be a number or a range such as 10..20, not {given!r}") from None
    return _Time(low, high, str(given), closed=True)


def _moment_range(given: Any, what: str) -> _Time:
    """Days are whole, the last inside; a moment alone is that very one, a range of moments ends before its second."""
    first, dots, last = str(given).strip().partition("..")
    since, whole = _moment(first, what)
    if not dots:
        if not whole and len(first) == 7:
            return _Time(since, _midnight(periods.shift(since.date(), "month", 1)), str(given))
        return _Time(since, since + (periods.DAY if whole else periods.TICK), str(given))
    until, whole = _moment(last, what)
    until += periods.DAY if whole else timedelta(0)
    if until <= since:
        raise UsageError(f"{what} ends on {last} before it begins on {first}")
    return _Time(since, until, str(given))


def _moment(text: str, what: str) -> tuple[datetime, bool]:
    """A moment and whether it was given as a day; a month (``2024-01``) is its first moment."""
    try:
        return _midnight(date.fromisoformat(f"{text}-01" if len(text) == 7 else text)), len(text) != 7
    except ValueError:
        return periods.read_moment(text, "UTC", what), False


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
