"""How causal methods see their data: a table, file or frame whose columns the user names.

The engine selects, casts and, where a method needs no single rows, aggregates; numpy gets columns under fixed names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.inference.ols import Array, Codes
from prodsense.metrics import periods
from prodsense.metrics.reading import Holder, condition_sql, find_column, held, read_data, relation_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine

GRAINS = ("day", "week", "month", "quarter", "year")
#: A text column with more values than this is a key, not a covariate.
MAX_LEVELS = 50
#: Squares of larger numbers overflow.
LARGEST = 1e140


@dataclass(frozen=True)
class Sample(Holder):
    """Rows to estimate from: an engine's relation, or data in memory.

    Make one with `Sample.of` (a relation of an engine) or `Sample.read` (a file, frame, Arrow data or rows). `where`
    is a condition over its own columns. `statements` collects the SQL that a method ran.
    """

    engine: Engine
    relation: str
    where: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False)
    statements: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list, repr=False)
    _owned: ExitStack | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, engine: Engine, relation: str, where: str = "") -> Sample:
        """Rows of `relation` (``schema.name``); UsageError when it is not there."""
        sample = cls(engine, relation, where, relation_columns(engine, relation))
        condition_sql(where)  # refuses a bad condition now
        return sample

    @classmethod
    def read(cls, data: Any, where: str = "", *, engine: Engine | None = None) -> Sample:
        """Rows of a file (CSV, TSV, Parquet, NDJSON), an answer, an Arrow table, a frame, or dicts.

        They are held in an engine in memory unless `engine` is given. `close` releases it. Of a metric's answer the
        periods that are not over are left out: they would look like a fall.
        """
        rows = read_data(data)
        if getattr(data, "incomplete", ()) and "period" in rows.column_names:
            open_ones = set(data.incomplete)
            rows = rows.filter([period not in open_ones for period in rows["period"].to_pylist()])
        condition_sql(where)
        with held(rows, engine) as (engine, relation, owned):
            return cls(engine, relation, where, relation_columns(engine, relation), _owned=owned)

    @property
    def label(self) -> str:
        """How messages call the data."""
        return "the data" if self._owned is not None else self.relation

    # -- columns as SQL --------------------------------------------------------------------------------

    def column(self, name: str, role: str) -> str:
        """The column called `name`, as it is spelled."""
        return find_column(self.schema, name, role, self.label)

    def number(self, name: str, role: str) -> str:
        """SQL of a column as a number (true is 1); UsageError where it holds no numbers."""
        import pyarrow as pa

        column = self.column(name, role)
        kind = self.schema[column]
        if pa.types.is_boolean(kind):
            return f"CASE WHEN {comma([column])} THEN 1.0 WHEN NOT {comma([column])} THEN 0.0 END"
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise UsageError(f"{self.label}: {column} holds {kind}, not numbers (asked for as {role}); cast it first")
        return f"CAST({comma([column])} AS DOUBLE)"

    def is_text(self, name: str) -> bool:
        """Whether a column holds text."""
        import pyarrow as pa

        kind = self.schema[self.column(name, "covariate")]
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))

    def moment(self, name: str, grain: str | None = None) -> str:
        """SQL of a time column: whole numbers as BIGINT, else dates (of `grain`'s period where given)."""
        import pyarrow as pa

        if grain is not None and grain not in GRAINS:
            raise UsageError(f"no grain named {grain!r}; choose one of {', '.join(GRAINS)}")
        column = self.column(name, "time")
        kind, said = self.schema[column], comma([column])
        if pa.types.is_integer(kind):
            if grain:
                raise UsageError(f"{self.label}: {column} holds whole numbers, which have no {grain}; leave it out")
            return f"CAST({said} AS BIGINT)"
        if pa.types.is_floating(kind) and not grain:
            # A frame keeps whole numbers with gaps as floats; infinity is a way to say never.
            whole = f"CASE WHEN ABS({said}) < 1e15 THEN {said} END"
            odd = self.query(
                f"SELECT {said} AS value FROM {quoted(self.relation)} WHERE {whole} <> FLOOR({whole}) LIMIT 1"
            )["value"].to_pylist()
            if odd:
                raise UsageError(f"{self.label}: {column} holds {odd[0]}; a time is a date or a whole number")
            return f"CAST({whole} AS BIGINT)"
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if text:
            odd = self.query(
                f"SELECT {said} AS value FROM {quoted(self.relation)} WHERE {said} IS NOT NULL"
                f" AND TRY_CAST({said} AS DATE) IS NULL LIMIT 1"
            )["value"].to_pylist()
            if odd:
                raise UsageError(f"{self.label}: {column} is text and {odd[0]!r} is no date; cast it first")
        if not (text or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise UsageError(f"{self.label}: {column} holds {kind}; a time is a date, a timestamp or a whole number")
        return f"period_start({said}, '{grain}')" if grain else f"CAST({said} AS DATE)"

    # -- rows ------------------------------------------------------------------------------------------

    def query(self, sql: str) -> pa.Table:
        """Rows of a statement over the relation, remembered for `.sql`."""
        self.statements.append((sql, {}))
        return self.engine.query(sql)

    def source(self, items: Mapping[str, str], needed: Sequence[str]) -> str:
        """A SELECT of `items` (name → expression) of the rows that the condition keeps and where `needed` are known."""
        condition = condition_sql(self.where)
        listed = ", ".join(f"{expression} AS {name}" for name, expression in items.items())
        kept = [f"({condition})"] if condition else []
        kept += [f"({items[name]}) IS NOT NULL" for name in needed]
        return f"SELECT {listed} FROM {quoted(self.relation)}" + (f" WHERE {' AND '.join(kept)}" if kept else "")

    def left_out(self, items: Mapping[str, str], needed: Sequence[str]) -> int:
        """How many rows that the condition keeps lack one of `needed`."""
        condition = condition_sql(self.where)
        missing = " OR ".join(f"({items[name]}) IS NULL" for name in needed)
        found = self.query(
            f"SELECT COUNT(*) AS n FROM {quoted(self.relation)} WHERE ({missing})"
            + (f" AND ({condition})" if condition else "")
        )
        return int(found["n"][0].as_py())

    def rows(self, items: Mapping[str, str], needed: Sequence[str] | None = None) -> pa.Table:
        """The rows themselves under the names of `items`, in an order of their own values."""
        found = self.query(self.source(items, list(items) if needed is None else needed))
        return found.sort_by([(name, "ascending") for name in found.column_names]) if found.num_rows else found

    def note_left_out(self, items: Mapping[str, str], needed: Sequence[str], names: str) -> list[str]:
        """A note of rows without what a method needs."""
        count = self.left_out(items, needed)
        return [f"{count} {'row' if count == 1 else 'rows'} without {names} left out"] if count else []


@contextmanager
def opened(data: Any, where: str = "") -> Iterator[Sample]:
    """`data` as a Sample: itself where it is one, else read and closed at the end."""
    if isinstance(data, Sample):
        if where:
            raise UsageError("give where to Sample, not to the method")
        yield data
        return
    with Sample.read(data, where) as sample:
        yield sample


# -- columns as arrays -----------------------------------------------------------------------------------


def floats(table: pa.Table, name: str, said: str = "") -> Array:
    """A column as floats; UsageError when one is infinite or not a number."""
    values = table[name].to_numpy().astype(float)
    if not (np.abs(values) < LARGEST).all():
        raise UsageError(
            f"{said or name} holds values that are infinite, no number or too large to square; leave those rows out"
            " (where)"
        )
    return values


def coded(table: pa.Table, name: str) -> tuple[Codes, list[Any]]:
    """A column as codes from 0 and the values that they stand for, in ascending order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name].combine_chunks()
    values = pc.unique(column)
    values = values.take(pc.sort_indices(values))
    codes = pc.index_in(column, value_set=values)
    return np.asarray(codes.cast(pa.int64()).to_numpy(zero_copy_only=False)), values.to_pylist()


def zero_one(values: Array, name: str) -> Array:
    """`values` if they are all 0 or 1; UsageError otherwise."""
    odd = np.unique(values[(values != 0) & (values != 1)])
    if len(odd):
        raise UsageError(f"{name} should be 1 for the treated and 0 for the others; it holds {odd[0]:g}")
    return values


def covariate_items(sample: Sample, names: Sequence[str]) -> dict[str, str]:
    """Covariates as ``x_1``, …: name → SQL; text as text."""
    items = {}
    for place, name in enumerate(names, 1):
        column = sample.column(name, "covariate")
        text = f"text_of({comma([column])})"
        items[f"x_{place}"] = text if sample.is_text(name) else sample.number(name, "covariate")
    return items


def covariate_columns(
    sample: Sample, table: pa.Table, names: Sequence[str], *, whole: bool = False
) -> tuple[Array, list[str]]:
    """Covariates as columns of numbers: text as one 0/1 column a value, the first value left out unless `whole`."""
    columns, titles = [], []
    for place, name in enumerate(names, 1):
        key = f"x_{place}"
        if not sample.is_text(name):
            columns.append(floats(table, key, name))
            titles.append(name)
            continue
        codes, levels = coded(table, key)
        if len(levels) > MAX_LEVELS:
            raise UsageError(f"{name} has {len(levels)} values, too many for a covariate (at most {MAX_LEVELS})")
        for code, level in list(enumerate(levels))[0 if whole else 1 :]:
            columns.append((codes == code).astype(float))
            titles.append(f"{name}={level}")
    matrix = np.column_stack(columns) if columns else np.zeros((table.num_rows, 0))
    return matrix, titles


# -- periods ---------------------------------------------------------------------------------------------


def read_start(value: object, known: Sequence[Any], what: str = "since") -> Any:
    """`value` in the kind of the known periods: a whole number, or a date (ISO text is read)."""
    if known and isinstance(known[0], int):
        try:
            return int(str(value))
        except ValueError:
            raise UsageError(f"{what} should be a whole number like the time {known[0]}, not {str(value)!r}") from None
    if isinstance(value, datetime) and value.time() != time():
        raise UsageError(f"{what} is a day, not a moment: {value.isoformat()}")
    return periods.read_day(value, what)


def ordinal(value: Any) -> float:
    """A period on a line of numbers: itself, or its day."""
    return float(value.toordinal()) if isinstance(value, date) else float(value)


@dataclass(frozen=True)
class Panel:
    """Units by periods: `outcome` is units × periods, NaN where nothing was seen.

    `units` and `periods` are in ascending order; `extra` holds further columns that are constant within a unit.
    """

    units: list[Any]
    periods: list[Any]
    outcome: Array
    extra: Mapping[str, Array]
    averaged: bool
    notes: list[str]

    def complete(self) -> Array:
        """Which units were seen in every period."""
        return np.asarray(~np.isnan(self.outcome).any(axis=1))


def panel(
    sample: Sample, unit: str, moment: str, outcome: str, *, grain: str | None = None,
    constant: Mapping[str, str] | None = None,
) -> Panel:
    """The mean of `outcome` by unit and period, aggregated in the engine.

    `constant`: names → SQL of columns that must not change within a unit (UsageError otherwise); null is NaN.
    """
    extra = dict(constant or {})
    items = {
        "unit": comma([sample.column(unit, "unit")]), "period": sample.moment(moment, grain),
        "y": sample.number(outcome, "outcome"), **extra,
    }
    given = sample.source(items, ["unit", "period", "y"])
    spans = "".join(f", MIN({name}) AS {name}_low, MAX({name}) AS {name}_high" for name in extra)
    found = sample.query(
        f"WITH given AS ({given}) SELECT unit, period, mean(y) AS y, COUNT(*) AS n{spans} FROM given"
        " GROUP BY unit, period ORDER BY unit, period"
    )
    notes = sample.note_left_out(items, ["unit", "period", "y"], f"{unit}, {moment} or {outcome}")
    if not found.num_rows:
        raise UsageError(f"{sample.label} has no rows with {unit}, {moment} and {outcome}")
    codes, units = coded(found, "unit")
    places, times = coded(found, "period")
    values = np.full((len(units), len(times)), np.nan)
    values[codes, places] = floats(found, "y", outcome)
    columns = {}
    for name in extra:
        low = found[f"{name}_low"].to_numpy(zero_copy_only=False).astype(float)
        high = found[f"{name}_high"].to_numpy(zero_copy_only=False).astype(float)
        least, most = np.full(len(units), np.inf), np.full(len(units), -np.inf)
        known = ~np.isnan(low)
        np.minimum.at(least, codes[known], low[known])
        np.maximum.at(most, codes[known], high[known])
        seen = np.isfinite(least)
        least, most = np.where(seen, least, 0.0), np.where(seen, most, 0.0)
        moved = np.flatnonzero(most - least > 1e-9 * np.maximum(1.0, np.abs(most)))
        if len(moved):
            raise UsageError(f"{unit} {units[moved[0]]} has several values of {name}; it should have one")
        columns[name] = np.where(seen, least, np.nan)
    averaged = int(found["n"].to_numpy().max()) > 1
    if averaged:
        notes.append(f"several rows of a {unit} in a period: their mean counts")
    return Panel(units, times, values, columns, averaged, notes)
