"""What the oracles of packs share: a metric as a function of leaves, at any grain and in any slice, and comparing.

A leaf is an aggregate over rows, dated by their `day`. What a slice or a period selects are rows; nothing here knows of SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

Row = dict[str, Any]
Value = float | None


@dataclass
class Leaf:
    rows: list[Row]
    of: Callable[[list[Row]], Value]
    #: 'day', 'week' or 'month': coarser grains give the mean of the steps inside.
    per: str = ""
    rolling: int = 0
    #: Newest day of the data the leaf looks back from.
    newest: date | None = None


@dataclass
class Measure:
    leaves: list[Leaf]
    of: Callable[..., Value] = lambda value: value


def start_of(day: date, grain: str) -> date:
    return {"day": day, "week": day - timedelta(day.weekday()), "month": day.replace(day=1)}[grain]


def end_of(start: date, grain: str) -> date:
    following = {"day": start + timedelta(1), "week": start + timedelta(7),
                 "month": (start + timedelta(31)).replace(day=1)}[grain]
    return following - timedelta(1)


def ratio(a: Value, b: Value) -> Value:
    return None if a is None or not b else a / b


def share(values: Iterable[bool | None]) -> Value:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def distinct(rows: list[Row], *names: str) -> int:
    return len({tuple(row[n] for n in names) for row in rows})


def leaf_value(leaf: Leaf, rows: list[Row], grain: str, start: date | None, newest: date) -> Value:
    steps = ("day", "week", "month", "all")
    if leaf.rolling and not (leaf.per and steps.index(grain) >= steps.index(leaf.per)):
        last = newest if start is None else min(end_of(start, grain), newest)
        inside = [r for r in rows if last - timedelta(leaf.rolling) < r["day"] <= last]
        return leaf.of(inside) if inside else None
    if start is not None:
        if leaf.per and grain != leaf.per:
            rows = [r for r in rows if start_of(start_of(r["day"], leaf.per), grain) == start]
        else:
            rows = [r for r in rows if start_of(r["day"], grain) == start]
    if not rows:
        return None
    if leaf.per and grain != leaf.per:
        # The mean over the steps in which anybody was there, whatever the slice: all these leaves count.
        steps_of = {start_of(r["day"], leaf.per) for r in leaf.rows}
        inside = [s for s in steps_of if start is None or start_of(s, grain) == start]
        return sum(leaf.of([r for r in rows if start_of(r["day"], leaf.per) == s]) or 0 for s in inside) / len(inside)
    return leaf.of(rows)


def value(measure: Measure, grain: str = "all", start: date | None = None,
          by: str = "", key: Hashable = None) -> Value:
    found = []
    newest = max(leaf.newest or max((r["day"] for r in leaf.rows), default=date.min) for leaf in measure.leaves)
    for leaf in measure.leaves:
        rows = [r for r in leaf.rows if not by or r[by] == key]
        found.append(leaf_value(leaf, rows, grain, start, newest))
    return measure.of(*found)


def sliced(measure: Measure, by: str) -> dict[Any, Value]:
    keys = {row[by] for leaf in measure.leaves for row in leaf.rows}
    return {key: value(measure, by=by, key=key) for key in keys}


def periods(measure: Measure, grain: str) -> dict[date, Value]:
    starts = {start_of(row["day"], grain) for leaf in measure.leaves for row in leaf.rows}
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
