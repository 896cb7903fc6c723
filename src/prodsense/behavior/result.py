"""Answers of the behaviour methods: rows that also say from when they look, what was left out, and draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from prodsense.metrics import periods
from prodsense.metrics.result import Rows, plain


@dataclass(frozen=True, repr=False, eq=False)
class Answer(Rows):
    """Rows of a behaviour method.

    `incomplete` names the periods or cohorts whose window is not over at `as_of`. `picture` draws the answer
    (`chart()`), `wide` is the shape in which it is printed where that is not the shape of the rows.
    """

    method: str = ""
    as_of: datetime | None = None
    tz: str = "UTC"
    incomplete: tuple[Any, ...] = ()
    picture: Callable[..., Any] | None = None
    wide: Callable[[Answer], Rows] | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "rows": [plain(row) for row in self.rows],
            "as_of": plain(self.as_of),
            "tz": self.tz,
            "incomplete": plain(self.incomplete),
            "notes": list(self.notes),
            "units": dict(self.units),
            **{key: plain(value) for key, value in self.extras.items()},
        }

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """An Altair chart of the answer in its own form, or its rows in the `form` named (`charts.chart_rows`)."""
        if form is not None or self.picture is None:
            return super().chart(form or "bar", **options)
        return self.picture(self, **options)

    def print(self, *, file: Any = None, limit: int | None = None) -> None:
        if self.wide is not None:
            self.wide(self).print(file=file, limit=limit)
        else:
            super().print(file=file, limit=limit)

    def narrow(self) -> Rows:
        """The rows alone, to print in their own shape."""
        return Rows(arrow=self.arrow, units=self.units, notes=self.notes, title=self.title)

    def __str__(self) -> str:
        return str(self.wide(self)) if self.wide is not None else super().__str__()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.wide(self)._repr_html_() if self.wide is not None else super()._repr_html_()


def spread(
    answer: Answer, index: Sequence[str], across: str, value: str, *, fixed: Sequence[str] = (),
    name: Callable[[Any], str] = str,
) -> Rows:
    """The rows of `answer` with the values of `across` as columns, one row for each value of `index`.

    `fixed` are columns taken from the first row of each. Cells without a row are null.
    """
    columns = list(dict.fromkeys(row[across] for row in answer.rows))
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in answer.rows:
        key = tuple(row[column] for column in index)
        line = lines.setdefault(key, {column: row[column] for column in (*index, *fixed)})
        line[name(row[across])] = row[value]
    names = [*index, *fixed, *(name(column) for column in columns)]
    arrow = pa.table({column: [line.get(column) for line in lines.values()] for column in names})
    unit = answer.units.get(value, "")
    units = {**answer.units, **{name(column): unit for column in columns}}
    return Rows(arrow=arrow, units=units, notes=answer.notes, title=answer.title)


def day_label(value: Any) -> str:
    """A column's or axis's name of a number of days or a bracket of them."""
    return f"day {value}"


def days_over(last: datetime, tz: str) -> date:
    """The newest calendar day of zone `tz` that is wholly past at `last` (UTC)."""
    day = periods.local_day(last, tz)
    return day if last >= periods.end_of_day(day, tz) else day - periods.DAY
