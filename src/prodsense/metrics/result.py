"""Answers: immutable rows over Arrow that print, export and draw themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from sqlglot import exp

    Statements = tuple[tuple[exp.Query | str, Mapping[str, Any]], ...]


def plain(value: Any) -> Any:
    """A value as JSON holds it: numbers as int or float (NaN and infinity are null), times in ISO form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


@dataclass(frozen=True, repr=False, eq=False)
class Rows:
    """Rows of a query or an analysis.

    `extras` are named facts beside the rows; `statements` are the SQL trees or texts that were run with
    their parameters, `units` the unit of a column where known.
    """

    arrow: pa.Table
    extras: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dialect: str = "duckdb"
    statements: Statements = ()
    title: str = ""

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], title: str = "", extras: Mapping[str, Any] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> Rows:
        """Rows from dicts; their columns are the union of all keys, in order of appearance."""
        import pyarrow as pa

        listed = list(rows)
        names = list(dict.fromkeys(name for row in listed for name in row))
        columns = {}
        for name in names:
            columns[name] = column_of([row.get(name) for row in listed])
        return cls(arrow=pa.table(columns), title=title, extras=dict(extras or {}), units=dict(units or {}))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Rows as dicts of Python values."""
        return self.arrow.to_pylist()

    @cached_property
    def sql(self) -> list[str]:
        """The statements that were run, formatted in the engine's dialect, values written in."""
        from prodsense.contracts.sql import parse
        from prodsense.engines.dialect import render
        from prodsense.metrics.compiler import inline

        return [
            render(inline(parse(tree) if isinstance(tree, str) else tree, params), self.dialect, pretty=True)
            for tree, params in self.statements
        ]

    def __len__(self) -> int:
        return self.arrow.num_rows

    def to_pandas(self) -> pd.DataFrame:
        return self.arrow.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        import polars as pl

        frame = pl.from_arrow(self.arrow)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes, as Python values."""
        return {"rows": [plain(row) for row in self.rows], **{k: plain(v) for k, v in self.extras.items()}}

    def to_json(self, path: str | Path | None = None, *, indent: int | None = None) -> str:
        """JSON text (also written to `path`): numbers plain, times ISO, NaN null."""
        text = json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_csv(self, path: str | Path | None = None) -> str:
        """CSV text with a header (also written to `path`); null is an empty cell."""
        import csv
        import io

        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.arrow.column_names)
        for row in zip(*(column.to_pylist() for column in self.arrow.columns), strict=True):
            writer.writerow(_cell(plain(value)) for value in row)
        text = out.getvalue()
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def chart(self, form: str = "bar", **options: Any) -> Any:
        """A chart of the rows (see `prodsense.charts.chart_rows`)."""
        return _charts().chart_rows(self.rows, form, units=self.units, **{"title": self.title, **options})

    def print(self, *, file: Any = None, limit: int | None = None) -> None:
        """Print as a table, in colour on a terminal."""
        from prodsense.metrics.show import print_result

        print_result(self, file=file, limit=limit)

    def __str__(self) -> str:
        from prodsense.metrics.show import text

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from prodsense.metrics.show import html

        return html(self)


@dataclass(frozen=True, repr=False, eq=False)
class Result(Rows):
    """The answer to a metric request.

    Columns: ``period`` (first day of the period; none for grain all), one for each of `by`, one a metric, and
    with `compare` also ``<metric>_previous``, ``<metric>_delta`` (absolute) and ``<metric>_change`` (relative to
    the size of the earlier value, null where that is null or 0). `incomplete` lists the periods that are not
    over, or not wholly observed, at `as_of` (None for the one window of grain all).
    """

    metrics: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    grain: str = "all"
    better: Mapping[str, str] = field(default_factory=dict)
    compare: str = ""
    incomplete: tuple[date | None, ...] = ()
    as_of: datetime | None = None

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """A chart of the values (see `prodsense.charts.chart_result`); the form follows the grain and slices."""
        return _charts().chart_result(self, form, **options)

    def to_dict(self) -> dict[str, Any]:
        rows = [{"period": None, **plain(row)} for row in self.rows]
        return {
            "metrics": list(self.metrics),
            "by": list(self.by),
            "grain": self.grain,
            "rows": rows,
            "sql": self.sql,
            "incomplete": plain(self.incomplete),
            "notes": list(self.notes),
            "units": dict(self.units),
            "as_of": plain(self.as_of),
            **{k: plain(v) for k, v in self.extras.items()},
        }


def _cell(value: Any) -> Any:
    """A plain value as a CSV cell: null is empty, booleans and nested values as in JSON."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else value


def _charts() -> Any:
    """Charts lie above metrics: `.chart()` is a shortcut for users, called up by name."""
    from importlib import import_module

    return import_module("prodsense.charts")


def column_of(values: list[Any]) -> pa.Array:
    """Python values as an Arrow column; values of several kinds in one column are shown as text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])
