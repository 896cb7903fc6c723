"""Series to forecast out of a table, file or answer: a regular axis of time, one column a series, gaps as NaN."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference.causal_data import Sample
from prodsense.metrics import periods

if TYPE_CHECKING:
    from prodsense.inference.forecast_models import Array

GRAINS = ("hour", "day", "week", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_SECONDS = {"hour": 3600, "day": 86400, "week": 7 * 86400}
_HOURS = {"h": 1, "d": 24, "w": 168}
_MICRO = 1_000_000
#: A series with fewer of its moments known is no series.
_LEAST_KNOWN = 0.5


@dataclass(frozen=True)
class Axis:
    """Regular moments: `start` and a step of `months`, of `seconds`, or of a whole number (`numbers`)."""

    start: Any
    seconds: float = 0.0
    months: int = 0
    numbers: int = 0
    days: bool = False

    def moment(self, place: int) -> Any:
        """The moment at a place."""
        if self.numbers:
            return int(self.start) + self.numbers * place
        if self.months:
            return periods.shift(self.start, "month", self.months * place)
        found = self.start + timedelta(seconds=self.seconds * place)
        return found.date() if self.days else found

    def place(self, moment: object, what: str) -> int:
        """The last place at or before a moment, which may be text."""
        if self.numbers:
            try:
                return (int(str(moment)) - int(self.start)) // self.numbers
            except ValueError:
                raise UsageError(f"{what} should be a whole number like {self.start}, not {str(moment)!r}") from None
        if self.months:
            day = periods.read_day(moment, what)
            start = self.start
            return ((day.year - start.year) * 12 + day.month - start.month) // self.months
        given = periods.read_moment(moment, "UTC", what)
        return int((given - self.start).total_seconds() // self.seconds)

    @property
    def word(self) -> str:
        """What one step is called."""
        named = {86400.0: "day", 7 * 86400.0: "week", 3600.0: "hour"}
        if self.months:
            return {1: "month", 3: "quarter", 12: "year"}.get(self.months, f"{self.months} months")
        return "step" if self.numbers else named.get(self.seconds, f"{self.seconds:g} seconds")

    def seasons(self) -> tuple[int, ...]:
        """Seasons that people's lives have at this step: the day, the week, the year."""
        if self.numbers:
            return ()
        if self.months:
            return {1: (12,), 3: (4,)}.get(self.months, ())
        if self.seconds == 7 * 86400:
            return (52,)
        if self.seconds == 86400:
            return (7,)
        if self.seconds < 86400 and 86400 % self.seconds == 0:
            day = round(86400 / self.seconds)
            # Profiles of a week in minutes would be all noise.
            return (day, 7 * day) if day <= 288 else (day,)
        return ()

    def steps(self, horizon: object) -> int:
        """A horizon as a number of steps: a whole number, or 48h, 28d, 4w where a step fits into it."""
        text = str(horizon).strip()
        if re.fullmatch(r"[0-9]+", text):
            count = int(text)
        elif (found := re.fullmatch(r"([0-9]+)\s*([hdw])", text)) and self.seconds:
            exact = int(found[1]) * _HOURS[found[2]] * 3600 / self.seconds
            count = int(exact)
            if exact != count:
                raise UsageError(f"a horizon of {text} is not a whole number of steps of one {self.word}")
        else:
            raise UsageError(f"horizon should be a number of steps (one is a {self.word}) or like 28d, not {text!r}")
        if count < 1:
            raise UsageError("horizon should be at least one step")
        return count


@dataclass(frozen=True)
class Series:
    """One series: its slice, where on the axis it starts, its values (NaN where there is none)."""

    key: tuple[Any, ...]
    first: int
    values: Array

    @property
    def end(self) -> int:
        """The place after its last value."""
        return self.first + len(self.values)


def read_series(
    sample: Sample, time: str, value: str | None, by: Sequence[str], *, grain: str | None, how: str, tz: str,
    fill: float | None,
) -> tuple[Axis, list[Series], list[str]]:
    """The series of a sample, their axis, and notes. Raises UsageError where times are not regular or given twice."""
    if grain is not None and grain not in GRAINS:
        raise UsageError(f"no grain named {grain!r}; choose one of {', '.join(GRAINS)}")
    if how not in ("sum", "mean"):
        raise UsageError(f"no way to take values together named {how!r}; choose sum or mean")
    if value is None and grain is None:
        raise UsageError("name the column to forecast (value), or a grain by which rows are counted")
    slices = [sample.column(name, "by") for name in by]
    moment, fine = _moment(sample, time, grain, tz)
    items = {**{f"s_{i}": comma([name]) for i, name in enumerate(slices)}, "moment": moment}
    needed = ["moment"]
    if value is not None:
        items["y"] = sample.number(value, "value")
        needed.append("y")
    given = sample.source(items, needed)
    keys = "".join(f"s_{i}, " for i in range(len(slices)))
    amount = "CAST(COUNT(*) AS DOUBLE)" if value is None else ("mean(y)" if how == "mean" else "SUM(y)")
    found = sample.query(
        f"WITH given AS ({given}) SELECT {keys}moment, {amount} AS y, COUNT(*) AS n FROM given"
        f" GROUP BY {keys}moment ORDER BY {keys}moment"
    )
    notes = sample.note_left_out(items, needed, " or ".join(filter(None, (time, value))))
    if not found.num_rows:
        raise UsageError(f"{sample.label} has no rows with {' and '.join(filter(None, (time, value)))}")
    if grain is None and int(found["n"].to_numpy().max()) > 1:
        at = found["moment"][int(np.argmax(found["n"].to_numpy()))].as_py()
        raise UsageError(f"several values at {at}: add them up (grain), or name what tells the series apart (by)")
    y = found["y"].to_numpy(zero_copy_only=False).astype(float)
    if not np.isfinite(y).all():
        raise UsageError(f"{value} holds values that are infinite or not a number; leave those rows out (where)")
    axis, places = _axis(found["moment"], grain, sample.label, time)
    if grain is not None and fine:
        # The period that the newest row lies in is not over, unless that row is its last day.
        last = _last_whole(sample, time, axis, tz, fine)
        kept = places <= last
        if not kept.all():
            notes.append(f"the {grain} of {axis.moment(int(places.max()))} is not over and left out")
        found, y, places = found.filter(kept), y[kept], places[kept]
        if not len(y):
            raise UsageError(f"{sample.label} has no complete {grain}")
    series = _split(found, y, places, len(slices), 0.0 if value is None else fill)
    if value is None or fill is not None:
        notes.append(f"a {axis.word} without rows counts as {0 if value is None else fill:g}")
    return axis, series, notes


def _moment(sample: Sample, time: str, grain: str | None, tz: str) -> tuple[str, str]:
    """SQL of the moment of a row, and of what is finer than the grain ("" where there is nothing finer)."""
    import pyarrow as pa

    column = sample.column(time, "time")
    kind, said = sample.schema[column], comma([column])
    if pa.types.is_integer(kind):
        if grain:
            raise UsageError(f"{sample.label}: {column} holds whole numbers, which have no {grain}; leave it out")
        return f"CAST({said} AS BIGINT)", ""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        odd = sample.query(
            f"{sample.source({'value': said}, ['value'])}"
            f" AND TRY_CAST({said} AS TIMESTAMP) IS NULL LIMIT 1"
        )["value"].to_pylist()
        if odd:
            raise UsageError(f"{sample.label}: {column} is text and {odd[0]!r} is no time; cast it first")
        said = f"CAST({said} AS TIMESTAMP)"
    elif pa.types.is_date(kind):
        return (said, "") if grain in (None, "day") else (_cut(said, str(grain)), f"CAST({said} AS TIMESTAMP)")
    elif not pa.types.is_timestamp(kind):
        raise UsageError(f"{sample.label}: {column} holds {kind}; a time is a date, a timestamp or a whole number")
    else:
        said = f"CAST({said} AS TIMESTAMP)"
    if grain is None:
        return said, ""
    if tz != "UTC":
        periods.zone(tz)
        said = f"local_time({said}, '{tz}')"
    return _cut(said, grain), said


def _cut(said: str, grain: str) -> str:
    return f"DATE_TRUNC('hour', {said})" if grain == "hour" else f"period_start({said}, '{grain}')"


def _last_whole(sample: Sample, time: str, axis: Axis, tz: str, fine: str) -> int:
    """The last place whose period is over: the newest row lies after it, or on its last day where rows hold days."""
    import pyarrow as pa

    newest = sample.query(
        f"WITH given AS ({sample.source({'moment': fine}, ['moment'])}) SELECT MAX(moment) AS newest FROM given"
    )["newest"][0].as_py()
    if pa.types.is_date(sample.schema[sample.column(time, "time")]):
        newest = newest + timedelta(days=1)
    return axis.place(newest, time) - 1


def _axis(column: Any, grain: str | None, label: str, name: str) -> tuple[Axis, Any]:
    """The axis on which all moments lie, and their places on it."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.int64)
        step = _common(numbers, label, name)
        return Axis(int(numbers.min()), numbers=step), (numbers - numbers.min()) // step
    days = pa.types.is_date(column.type)
    stamps = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    months = _MONTHS.get(grain or "", 0) or (0 if grain else _months_of(stamps))
    start: Any = stamps.min().astype(datetime)
    if months:
        index = stamps.astype("datetime64[M]").astype(np.int64)
        return Axis(start.date(), months=months), (index - index.min()) // months
    ticks = stamps.astype(np.int64)
    step = _SECONDS[grain] * _MICRO if grain else _common(ticks, label, name)
    return Axis(start, seconds=step / _MICRO, days=days), (ticks - ticks.min()) // step


def _months_of(stamps: Any) -> int:
    """Months in a step where all moments are the same day of a month at midnight, else 0."""
    months = stamps.astype("datetime64[M]")
    offsets = np.unique(stamps - months)
    if len(offsets) != 1 or offsets[0] > np.timedelta64(27, "D"):  # not every month has a 29th
        return 0
    distinct = np.unique(months.astype(np.int64))
    return int(np.gcd.reduce(np.diff(distinct))) if len(distinct) > 1 else 0


def _common(numbers: Any, label: str, name: str) -> int:
    """The step of which all differences are multiples; UsageError where most of such moments would be empty."""
    distinct = np.unique(numbers)
    if len(distinct) < 2:
        raise UsageError(f"{label}: {name} holds one moment only; a forecast needs a history")
    step = int(np.gcd.reduce(np.diff(distinct)))
    if (int(distinct[-1]) - int(distinct[0])) // step + 1 > len(distinct) / _LEAST_KNOWN:
        raise UsageError(f"{label}: the times in {name} are not regular; take them together by a grain (grain)")
    return step


def _split(found: Any, y: Array, places: Any, slices: int, fill: float | None) -> list[Series]:
    """Rows that are sorted by slice and moment, as one array a series."""
    if slices:
        codes = np.zeros(len(y), dtype=np.int64)
        for i in range(slices):
            encoded = found[f"s_{i}"].combine_chunks().dictionary_encode("encode").indices.to_numpy()
            codes = np.unique(codes * (int(encoded.max()) + 1) + encoded, return_inverse=True)[1]
        cuts = np.flatnonzero(np.diff(codes)) + 1
    else:
        cuts = np.array([], dtype=np.int64)
    series = []
    for start, end in zip([0, *cuts], [*cuts, len(y)], strict=True):
        first, last = int(places[start]), int(places[end - 1])
        values = np.full(last - first + 1, np.nan if fill is None else fill)
        values[places[start:end] - first] = y[start:end]
        key = tuple(found[f"s_{i}"][int(start)].as_py() for i in range(slices))
        series.append(Series(key, first, values))
    return series

