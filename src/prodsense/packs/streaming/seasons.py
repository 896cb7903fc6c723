"""Trend and season of any metric of the pack."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .common import PACK

if TYPE_CHECKING:
    from prodsense.behavior.result import Answer
    from prodsense.warehouse import Warehouse

#: So many grains make a season.
SEASONS = {"day": 7, "week": 52, "month": 12}
#: A series with more gaps than this share is not split.
MOST_GAPS = 0.1
#: A value further from trend and season than so many spreads (1.4826 times the median distance) is an outlier.
OUTLIER = 6.0


def trend_and_seasonality_analysis(
    warehouse: Warehouse, metric: str = "total_streaming_hours", grain: str = "day", period: int | None = None,
    robust: bool = True, since: Any = None, until: Any = None, where: str | None = None,
    as_of: datetime | None = None,
) -> Answer:
    """A metric's series as trend + season + rest (STL; see `inference.stl`), over its whole periods.

    Periods that are not over are left out; up to a tenth may lack a value, which is then taken between its
    neighbours for the split and stays null in the row. Rows: ``period``, ``value``, ``trend``, ``season``, ``rest``,
    ``is_outlier`` (far from both). Extras: strengths of trend and season (0 to 1), ``pattern`` (the
    mean season of each phase), ``change`` of the trend from first to last.
    """
    import numpy as np

    from prodsense.behavior.result import Answer
    from prodsense.inference.stl import stl
    from prodsense.metrics.periods import spine
    from prodsense.metrics.result import Rows

    if grain not in SEASONS:
        raise UsageError(f"grain is {', '.join(SEASONS)}, not {grain!r}")
    result = warehouse.metric(
        f"{PACK}.{metric.removeprefix(f'{PACK}.')}", grain=grain, since=since, until=until, where=where, as_of=as_of
    )
    name = result.metrics[0]
    unit = result.units.get(name, "")
    late = set(result.incomplete)
    told = {row["period"]: row[name] for row in result.rows if row["period"] is not None and row["period"] not in late}
    if any(isinstance(value, str) for value in told.values()):
        raise UsageError(f"{name} is no number ({unit}), so it has no trend")
    periods = spine(min(told), max(told), grain) if told else []
    values = np.array([np.nan if told.get(p) is None else float(told[p]) for p in periods], dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    if len(known):  # what lies before the first and after the last value is no gap
        periods, values = periods[known[0] : known[-1] + 1], values[known[0] : known[-1] + 1]
    gaps = ~np.isfinite(values)
    if gaps.sum() > MOST_GAPS * len(values):
        raise UsageError(f"{int(gaps.sum())} of {len(values)} {grain}s have no {name}: too many gaps to split it")
    length = period or SEASONS[grain]
    filled = values.copy()
    filled[gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), values[~gaps]) if gaps.any() else 0.0
    parts = stl(filled, length, robust=robust)
    cut = OUTLIER * 1.4826 * float(np.median(np.abs(parts.rest[~gaps])))
    rows = [
        {
            "period": p, "value": None if gap else float(v), "trend": float(t), "season": float(s),
            "rest": None if gap else float(r), "is_outlier": bool(not gap and abs(r) > cut > 0),
        }
        for p, v, t, s, r, gap in zip(periods, values, parts.trend, parts.season, parts.rest, gaps, strict=True)
    ]  # fmt: skip
    phases = [_phase(p, i, grain, length) for i, p in enumerate(periods)]
    pattern = [
        {"phase": phase, "season": float(np.mean([s for s, p in zip(parts.season, phases, strict=True) if p == phase]))}
        for phase in sorted(set(phases), key=str)
    ]
    first, last = rows[0]["trend"], rows[-1]["trend"]
    change = last / first - 1 if first else None
    said = f", trend {change:+.1%} from first to last" if change is not None else ""
    return Answer(
        arrow=Rows.from_rows(rows).arrow, method="trend_and_seasonality_analysis", as_of=result.as_of,
        title=f"{name} by {grain}: trend and season", units=dict.fromkeys(("value", "trend", "season", "rest"), unit),
        notes=(
            f"season of {length} {grain}s: strength {parts.season_strength:.2f}; trend: strength"
            f" {parts.trend_strength:.2f}{said}",
            *([f"{int(gaps.sum())} {grain}s without a value are taken between their neighbours"] if gaps.any() else []),
        ),
        extras={
            "metric": name, "grain": grain, "season_length": length, "trend_strength": parts.trend_strength,
            "season_strength": parts.season_strength, "pattern": pattern, "change": change,
        },
        statements=result.statements, dialect=result.dialect, picture=_picture,
    )  # fmt: skip


def _phase(period: Any, place: int, grain: str, length: int) -> Any:
    if grain == "day" and length == 7:
        return period.isoweekday()
    if grain == "month" and length == 12:
        return period.month
    return place % length


def _picture(answer: Answer, **options: Any) -> Any:
    """Value, trend, and trend with season, over time."""
    from prodsense.charts.builders import chart_rows

    lines = [
        {"period": row["period"], "line": name, "value": value}
        for row in answer.rows
        for name, value in (
            ("as measured", row["value"]), ("trend", row["trend"]), ("trend and season", row["trend"] + row["season"]),
        )
    ]  # fmt: skip
    settings: dict[str, Any] = {
        "title": answer.title, "notes": answer.notes, "units": {"value": answer.units["value"]},
        "grain": answer.extras["grain"],
    }
    return chart_rows(lines, "line", x="period", y="value", by=("line",), **{**settings, **options})
