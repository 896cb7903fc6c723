"""What the address of a page asks for: window, comparison, grain, slices and filters.

All of a page's state is in its address, so that a link shares it and a form without a script changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from prodsense.charts.rows import NONE_LABEL
from prodsense.contracts.options import split_names
from prodsense.errors import UsageError
from prodsense.metrics import periods

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

#: Name of a preset → its text and its days (0: from the start of a calendar period).
PRESETS: Mapping[str, tuple[str, int]] = {
    "7d": ("Last 7 days", 7),
    "28d": ("Last 28 days", 28),
    "90d": ("Last 90 days", 90),
    "365d": ("Last 12 months", 365),
    "month": ("This month", 0),
    "last_month": ("Last month", 0),
    "quarter": ("This quarter", 0),
    "year": ("This year", 0),
}
#: The same as choices of a form.
RANGES = [("", "All time"), *((name, text) for name, (text, _) in PRESETS.items())]
COMPARISONS = {"previous": "the period before", "year": "a year before"}
GRAINS = periods.GRAINS
#: What a parameter of the address begins with when it filters a dimension.
FILTER = "is."


@dataclass(frozen=True)
class Asked:
    """The state of a page. `filters` maps a dimension to the values of which one must hold (as text)."""

    range: str = ""
    since: str = ""
    until: str = ""
    compare: str = ""
    grain: str = ""
    by: tuple[str, ...] = ()
    form: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, query: QueryParams) -> Asked:
        """The state that an address holds; what it holds beside is left to the page. UsageError for what makes none."""
        by = split_names(query.getlist("by"))
        found = {name: query.get(name, "").strip() for name in ("range", "since", "until", "compare", "grain", "form")}
        for name, known in (("range", [*PRESETS, "all"]), ("compare", COMPARISONS), ("grain", GRAINS)):
            if found[name] and found[name] not in known:
                raise UsageError(f"{name} {found[name]!r} is none of {', '.join(known)}")
        for name in ("since", "until"):
            if found[name]:
                periods.read_day(found[name], name)
        if found["since"] or found["until"]:
            found["range"] = ""
        return cls(**found, by=tuple(dict.fromkeys(by)), filters=read_filters(query))

    def window(self, newest: datetime | date | None) -> dict[str, str]:
        """``since`` (inside) and ``until`` (outside) as days; a preset looks back from the newest day of the data."""
        if self.since or self.until:
            last = _day(self.until) + timedelta(days=1) if self.until else None
            return {k: v for k, v in (("since", self.since), ("until", last and last.isoformat())) if v}
        if not self.range or self.range == "all" or newest is None:
            return {}
        first, end = preset(self.range, newest.date() if isinstance(newest, datetime) else newest)
        return {"since": first.isoformat(), "until": end.isoformat()}

    def pairs(self) -> list[tuple[str, str]]:
        """The state as parameters of an address."""
        found = [(n, getattr(self, n)) for n in ("range", "since", "until", "compare", "grain", "form")]
        pairs = [(name, value) for name, value in found if value]
        pairs += [("by", dimension) for dimension in self.by]
        return pairs + [(FILTER + name, value) for name, values in self.filters.items() for value in values]

    def address(self, path: str, **changes: Any) -> str:
        """The address of `path` in this state with some of it changed."""
        pairs = replace(self, **changes).pairs() if changes else self.pairs()
        return path + (f"?{urlencode(pairs)}" if pairs else "")

    def with_filter(self, dimension: str, value: Any) -> Mapping[str, tuple[str, ...]]:
        """The filters with `dimension` set to one value."""
        return {**self.filters, dimension: (text_of(value),)}

    def without(self, dimension: str, value: str | None = None) -> Mapping[str, tuple[str, ...]]:
        """The filters without a dimension, or without one of its values."""
        left = tuple(v for v in self.filters.get(dimension, ()) if value is not None and v != value)
        return {k: (left if k == dimension else v) for k, v in self.filters.items() if k != dimension or left}


def read_filters(query: QueryParams) -> Mapping[str, tuple[str, ...]]:
    """The filters that an address holds: slice → the values of which one must hold."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in query.multi_items():
        if name.startswith(FILTER) and value:
            dimension = name.removeprefix(FILTER)
            found[dimension] = (*found.get(dimension, ()), value)
    return found


def preset(name: str, newest: date) -> tuple[date, date]:
    """First day, and the day after the last, of a preset that looks back from `newest`."""
    end = newest + timedelta(days=1)
    if PRESETS[name][1]:
        return end - timedelta(days=PRESETS[name][1]), end
    if name == "last_month":
        this = periods.start_of(newest, "month")
        return periods.shift(this, "month", -1), this
    return periods.start_of(newest, name), end


def text_of(value: Any) -> str:
    """A dimension's value as it stands in an address and in a list of choices."""
    if value is None:
        return NONE_LABEL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def condition(filters: Mapping[str, Sequence[str]], values: Mapping[str, Iterable[Any]]) -> str | None:
    """Filters as the text that `where` takes; `values` are the known values of each dimension, which say its type.

    The text is built as a tree, never pasted, and the metric's own reader checks and binds it again.
    """
    from sqlglot import exp

    parts: list[exp.Expression] = []
    for dimension, chosen in filters.items():
        if not dimension.isidentifier():
            raise UsageError(f"{dimension!r} is no dimension")
        known = {text_of(value): value for value in values.get(dimension, ())}
        column = exp.column(exp.to_identifier(dimension))
        either: list[exp.Expression] = []
        for text in chosen:
            value = known.get(text, None if text == NONE_LABEL else text)
            if value is None:
                either.append(exp.Is(this=column.copy(), expression=exp.Null()))
            else:
                either.append(exp.EQ(this=column.copy(), expression=_literal(value)))
        parts.append(exp.paren(exp.or_(*either)))
    return exp.and_(*parts).sql("duckdb") if parts else None


def both(where: str | None, more: str | None) -> str | None:
    """The condition that both hold."""
    if not where or not where.strip() or not more:
        return more or where
    from prodsense.metrics.filters import read_filter

    # What stands in the brackets must be a condition by itself, or it might close them.
    read_filter(where)
    return f"({where}) AND {more}"


def _literal(value: Any) -> Any:
    from decimal import Decimal

    from sqlglot import exp

    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float | Decimal):
        return exp.Literal.number(str(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(str(-value)))
    return exp.Literal.string(text_of(value))


def _day(text: str) -> date:
    return periods.read_day(text, "until")
