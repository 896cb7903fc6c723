"""Rows as charts need them: plain JSON values, one row a point, gaps where there is no data."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from prodsense.errors import UsageError

Row = dict[str, Any]

#: The most series that one picture tells apart by colour.
MAX_SERIES = 8
#: How a missing value of a dimension is called.
NONE_LABEL = "(none)"


def plain_rows(data: Any) -> list[Row]:
    """Rows of dicts out of a list of dicts, a result with ``rows``, an Arrow table, pandas or Polars.

    Values become what JSON knows: dates turn into ISO text, decimals into floats, NaN into None.
    """
    for attribute in ("to_dicts", "to_pylist", "rows"):
        found = getattr(data, attribute, None)
        if found is not None:
            data = found() if callable(found) else found
            break
    else:
        if hasattr(data, "to_dict") and hasattr(data, "columns"):
            data = data.to_dict("records")
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | dict):
        raise UsageError(f"A chart needs rows (a list of dicts or a table), not {type(data).__name__}.")
    return [{str(k): plain_value(v) for k, v in row.items()} for row in data]


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def clean_text(text: str) -> str:
    """Text that XML can hold: what it cannot (control characters, lone surrogates) becomes U+FFFD.

    It matters beyond the file: the SVG writer aborts the whole process on such a character.
    """
    return _NOT_XML.sub("\ufffd", text)


def plain_value(value: Any) -> Any:
    """One cell as a JSON value."""
    if hasattr(value, "item") and not isinstance(value, list | tuple):
        value = value.item()
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, dt.datetime):
        return value.isoformat(sep="T") if value.time() != dt.time() else value.date().isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return clean_text(str(value))


def need_fields(rows: Sequence[Row], *names: str | None) -> None:
    """Raise `UsageError` when the rows lack one of the fields that a chart is asked to draw."""
    if not rows:
        return
    known = set().union(*(row.keys() for row in rows[:50]))
    for name in names:
        if name and name not in known:
            raise UsageError(f"The rows have no field {name!r}; they have {', '.join(sorted(known))}.")


def as_number(value: Any, name: str) -> float | int | None:
    """A cell as a number or None; `UsageError` for anything else, so that text is never drawn as 0."""
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    raise UsageError(f"Field {name!r} holds {value!r}, which is no number: choose a numeric field to draw.")


def label_of(value: Any) -> str:
    """A dimension's value as a label."""
    if value is None:
        return NONE_LABEL
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_period(value: Any) -> bool:
    """Whether a value is an ISO date or timestamp."""
    if not isinstance(value, str) or len(value) < 10 or not value[:4].isdigit():
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def period_label(value: str, grain: str = "") -> str:
    """A period's start as people say it: ``15 Jan 2024``, ``week of 15 Jan 2024``, ``Jan 2024``, ``Q1 2024``."""
    moment = dt.datetime.fromisoformat(value)
    if grain == "year":
        return str(moment.year)
    if grain == "quarter":
        return f"Q{(moment.month - 1) // 3 + 1} {moment.year}"
    if grain == "month":
        return f"{moment:%b} {moment.year}"
    day = f"{moment.day} {moment:%b} {moment.year}"
    if grain == "week":
        return f"week of {day}"
    return day if moment.time() == dt.time() else f"{day} {moment:%H:%M}"


def fill_periods(periods: Iterable[str], grain: str) -> list[str]:
    """All period starts from the first to the last, so that a missing one shows as a gap.

    Without a known grain, or where the periods do not lie on it, the given ones come back sorted.
    """
    known = sorted(set(periods))
    if len(known) < 2 or grain not in ("day", "week", "month", "quarter", "year") or len(known[0]) > 10:
        return known
    filled, last = [dt.date.fromisoformat(known[0])], dt.date.fromisoformat(known[-1])
    while filled[-1] < last and len(filled) < 5000:
        filled.append(_next(filled[-1], grain))
    texts = [each.isoformat() for each in filled]
    return texts if set(known) <= set(texts) else known


def _next(day: dt.date, grain: str) -> dt.date:
    if grain in ("day", "week"):
        return day + dt.timedelta(days=1 if grain == "day" else 7)
    months = day.month - 1 + {"month": 1, "quarter": 3, "year": 12}[grain]
    return day.replace(year=day.year + months // 12, month=months % 12 + 1)


def largest(sizes: dict[str, float], top: int) -> list[str]:
    """The `top` names by size, largest first; equal sizes in the order of their names."""
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:top]


def by_name(names: Iterable[str]) -> list[str]:
    """Labels in the order in which series get their colours: numbers by value, then names, ``(none)`` last.

    By name and not by size, so that one thing has one colour in all pictures of a page.
    """

    def key(name: str) -> tuple[bool, int, float, str]:
        try:
            return (False, 0, float(name), name)
        except ValueError:
            return (name == NONE_LABEL, 1, 0.0, name)

    return sorted(names, key=key)


def natural_key(value: Any) -> tuple[int, float, str]:
    """A sort key: numbers by value, then everything else as text, a missing value last."""
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
