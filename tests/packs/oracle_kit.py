"""What the oracles of packs share: reading the tiny files, a metric as a function of leaves, at any grain and in any slice.

A leaf is an aggregate over rows, dated by their `day`. What a slice or a period selects are rows; nothing here knows of SQL
or of the package.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]
Value = float | None
Of = Callable[[list[Row]], Value]

STEPS = ("day", "week", "month", "all")


# -- the tiny files --------------------------------------------------------------------------------------


def read_tiny(pack: str, table: str) -> list[dict[str, str | None]]:
    """The rows of a tiny CSV file as text; what is empty is None."""
    with (Path(__file__).parent / pack / "tiny" / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# -- aggregates: of values without None, and None of none ------------------------------------------------


def ratio(a: Value, b: Value) -> Value:
    return None if a is None or not b else a / b


def total(values: Iterable[Any]) -> Value:
    known = [float(v) for v in values if v is not None]
    return sum(known) if known else None


def mean(values: Iterable[Any]) -> Value:
    known = [float(v) for v in values if v is not None]
    return sum(known) / len(known) if known else None


#: Of truths, how many hold.
share = mean


def quantile(values: Iterable[Any], q: float) -> Value:
    known = sorted(v for v in values if v is not None)
    if not known:
        return None
    place = q * (len(known) - 1)
    low = math.floor(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)


def nps(scores: Iterable[Any]) -> Value:
    """Promoters less detractors, of 100."""
    known = [s for s in scores if s is not None]
    return ratio(100 * (sum(s >= 9 for s in known) - sum(s <= 6 for s in known)), len(known))


def distinct(rows: Iterable[Row], *names: str) -> int:
    return len({tuple(row[n] for n in names) for row in rows} - {(None,) * len(names)})


# -- metrics ---------------------------------------------------------------------------------------------


@dataclass
class Leaf:
    rows: list[Row]
    of: Of
    #: 'day', 'week' or 'month': coarser grains give the mean of the steps inside.
    per: str = ""
    rolling: int = 0
    #: Newest day of the data the leaf looks back from.
    newest: date | None = None
    #: What it is about until sliced by this dimension: its name and value.
    focus: tuple[str, Any] | None = None
    #: All rows of its source, where `rows` are only those that count: a count is 0 where some are and none counts.
    source: Sequence[Row] = ()

    def asked(self, by: str) -> list[Row]:
        if self.focus is None or by == self.focus[0]:
            return self.rows
        return [r for r in self.rows if r[self.focus[0]] == self.focus[1]]


@dataclass
class Measure:
    leaves: list[Leaf]
    of: Callable[..., Value] = lambda value: value

    @property
    def rolling(self) -> bool:
        """Whether it looks back: then it has values on days without any row."""
        return any(leaf.rolling for leaf in self.leaves)


def one(rows: list[Row], of: Of, **more: Any) -> Measure:
    """A metric of one leaf."""
    return Measure([Leaf(rows, of, **more)])


def start_of(day: date, grain: str) -> date:
    return {"day": day, "week": day - timedelta(day.weekday()), "month": day.replace(day=1)}[grain]


def end_of(start: date, grain: str) -> date:
    following = {"day": start + timedelta(1), "week": start + timedelta(7),
                 "month": (start + timedelta(31)).replace(day=1)}[grain]
    return following - timedelta(1)


def newest_of(measure: Measure) -> date:
    return max(
        leaf.newest or max((r["day"] for r in (*leaf.rows, *leaf.source)), default=date.min) for leaf in measure.leaves
    )


def leaf_value(leaf: Leaf, measure: Measure, grain: str, start: date | None, by: str, key: Hashable) -> Value:
    rows, source = ([r for r in part if not by or r[by] == key] for part in (leaf.asked(by), leaf.source))
    if leaf.rolling and not (leaf.per and STEPS.index(grain) >= STEPS.index(leaf.per)):
        newest = newest_of(measure)
        last = newest if start is None else min(end_of(start, grain), newest)
        inside = [r for r in rows if last - timedelta(leaf.rolling) < r["day"] <= last]
        return leaf.of(inside) if inside else None
    step = leaf.per if grain != leaf.per else ""
    if start is not None:
        rows, source = (
            [r for r in part if start_of(start_of(r["day"], step or "day"), grain) == start] for part in (rows, source)
        )
    if not rows and not source:
        return None
    if not step:
        return leaf.of(rows)
    # The mean over the steps in which anybody was there, whatever the slice: all these leaves count.
    steps_of = {start_of(r["day"], step) for r in leaf.source or leaf.rows}
    inside = [s for s in steps_of if start is None or start_of(s, grain) == start]
    return sum(leaf.of([r for r in rows if start_of(r["day"], step) == s]) or 0 for s in inside) / len(inside)


def value(measure: Measure, grain: str = "all", start: date | None = None,
          by: str = "", key: Hashable = None) -> Value:
    return measure.of(*(leaf_value(leaf, measure, grain, start, by, key) for leaf in measure.leaves))


def sliced(measure: Measure, by: str) -> dict[Any, Value]:
    keys = {row[by] for leaf in measure.leaves for row in (*leaf.asked(by), *leaf.source)}
    return {key: value(measure, by=by, key=key) for key in keys}


def periods(measure: Measure, grain: str) -> dict[date, Value]:
    starts = {start_of(row["day"], grain) for leaf in measure.leaves for row in (*leaf.rows, *leaf.source)}
    return {start: value(measure, grain, start) for start in starts}


def wrong(name: str, found: Mapping[Hashable, Any], wanted: Mapping[Hashable, Any]) -> list[str]:
    """Where found and wanted differ; a value that is not there is a null."""
    lines = []
    for key in {*found, *wanted}:
        a, b = found.get(key), wanted.get(key)
        if a is None or b is None or isinstance(a, str | date):
            same = a == b
        else:
            same = float(a) == pytest.approx(float(b), rel=1e-9, abs=1e-9)
        if not same:
            lines.append(f"{name} {key}: {a} instead of {b}")
    return lines
