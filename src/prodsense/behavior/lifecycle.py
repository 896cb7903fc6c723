"""Lifecycle: where the active users of a period come from, and how many of the period before are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

import pyarrow as pa

from prodsense.behavior.cells import Gaps, flows
from prodsense.behavior.daily import gaps_until, open_periods
from prodsense.behavior.events import Events, events_of
from prodsense.behavior.result import Answer, days_over
from prodsense.contracts.options import Period
from prodsense.contracts.vocabulary import Comparison
from prodsense.errors import UsageError
from prodsense.metrics import periods

GRAINS, COMPARED = get_args(Period), get_args(Comparison)
STATES = ("new", "retained", "resurrected", "churned", "dormant")


def lifecycle(
    events: Events,
    *,
    grain: str = "day",
    event: str | Sequence[str] = (),
    by: str = "",
    compare: str | None = None,
    as_of: object = None,
    tz: str = "UTC",
) -> Answer:
    """Users by state in each period, from the first event to `as_of` (the newest event by default).

    A user is active in a period with at least one event in it (one called `event`, or one of several, where given).
    Columns: ``period`` (its first day), `by` where given, ``active`` = ``new`` + ``retained`` + ``resurrected``;
    ``churned`` users were active in the period before and are not in this one; ``dormant`` ones were active
    at any time before and are not now (the churned among them). Calendar periods are of zone `tz`; the period that is
    not over at `as_of` is in `incomplete`. With `by`, each value stands alone, as if only its events existed.
    `compare` sets each period beside the one before (``previous``) or that of a year before (``year``): also
    ``<number>_previous`` and ``<number>_delta``, null where there is no such period.
    """
    events = events_of(events)
    check_grain(grain)
    if compare not in (None, *COMPARED):
        raise UsageError(f"no comparison named {compare!r}; choose one of {', '.join(COMPARED)}")
    moment = events.as_of(as_of, tz)
    sql, params = gaps_until(events, moment, event, by, tz)
    gaps = Gaps.of(events.engine.query(sql, params))
    answer = from_gaps(
        gaps, grain, by, moment, tz, notes=events.notes(), statements=((sql, params),), dialect=events.engine.dialect
    )
    return _compared(answer, compare) if compare else answer


def _compared(answer: Answer, compare: str) -> Answer:
    """The answer with the numbers of an earlier period beside its own."""
    grain, by = answer.extras["grain"], answer.extras["by"]

    def key(row: Mapping[str, Any], period: object) -> tuple[Any, ...]:
        return (period, *(row[name] for name in by))

    known = {key(row, row["period"]): row for row in answer.rows}
    then = []
    for row in answer.rows:
        start = row["period"]
        earlier = periods.year_before(start, grain) if compare == "year" else periods.shift(start, grain, -1)
        then.append(known.get(key(row, earlier), {}))
    arrow, units = answer.arrow, dict(answer.units)
    for name in ("active", *STATES):
        before = [row.get(name) for row in then]
        change = [None if b is None else row[name] - b for row, b in zip(answer.rows, before, strict=True)]
        for suffix, values in (("previous", before), ("delta", change)):
            arrow = arrow.append_column(f"{name}_{suffix}", pa.array(values, pa.int64()))
            units[f"{name}_{suffix}"] = "count"
    return replace(answer, arrow=arrow, units=units, extras={**answer.extras, "compare": compare})


def check_grain(grain: str) -> None:
    """UsageError for what is no period."""
    if grain not in GRAINS:
        raise UsageError(f"no lifecycle of grain {grain!r}; choose one of {', '.join(GRAINS)}")


def from_gaps(
    gaps: Gaps, grain: str, by: str, as_of: datetime, tz: str, notes: Sequence[str] = (),
    statements: Any = (), dialect: str = "duckdb",
) -> Answer:
    """The answer of `lifecycle` from gap cells."""
    check_grain(grain)
    found = flows(gaps, grain, periods.local_day(as_of, tz))
    names = {"period": pa.date32(), **({by: pa.string()} if by else {}), "active": pa.int64()}
    names |= dict.fromkeys(STATES, pa.int64())
    arrow = pa.table({
        name: pa.array(found["slice" if name == by and by else name], kind) for name, kind in names.items()
    })
    listed = [{"period": period} for period in sorted(set(arrow["period"].to_pylist()))]
    return Answer(
        arrow=arrow, method="lifecycle", title=f"Lifecycle by {grain}", notes=tuple(notes), as_of=as_of, tz=tz,
        units=dict.fromkeys(("active", *STATES), "count"),
        incomplete=open_periods(listed, "period", grain, days_over(as_of, tz)),
        extras={"grain": grain, "by": [by] if by else []}, statements=statements, dialect=dialect, picture=_picture,
    )


def _picture(answer: Answer, **options: Any) -> Any:
    """Lines of the flows; the active users of each slice where there are several."""
    from prodsense.charts.builders import line

    settings: dict[str, Any] = {
        "unit": "count", "title": answer.title, "notes": answer.notes, "grain": answer.extras["grain"],
        "incomplete": [str(period) for period in answer.incomplete], **options,
    }
    if answer.extras["by"]:
        return line(answer.rows, "period", "active", series=answer.extras["by"][0], **settings)
    long: list[Mapping[str, Any]] = [
        {"period": row["period"], "state": state, "users": row[state]}
        for row in answer.rows for state in STATES if state != "dormant"
    ]
    return line(long, "period", "users", series="state", series_title="", **settings)
