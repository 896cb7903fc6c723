"""Is daily activity off, and if it fell: did people stay away, or were they only not recorded?"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .people import PACK

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

HISTORY = 70
#: What a fall on one platform must be, as a share of what it usually has, and how far beyond that of the others.
GAP, APART = 0.3, 0.2


def dau_anomalies(
    warehouse: Warehouse, as_of: datetime | None = None, threshold: float = 4.0, min_change: float = 0.05
) -> list[dict[str, Any]]:
    """Findings about the last whole day: daily active users, and events of each platform, outside of their baseline.

    A fall of DAU is set beside the events and users of each platform against the same weekday of the four weeks
    before: where platforms fell far more than the others, the finding says so (``suspected_cause`` tracking), and that
    people did not all leave one platform in a day; where all fell alike it is ``real or all platforms``. A platform
    that fell is a finding of its own also when DAU stays within its baseline.
    """
    from prodsense.inference.detect import TooLittleError
    from prodsense.inference.detect_rules import series_findings, whole_day

    warehouse.ready(PACK, ["active_days", "activity", "members", "event_log", "user_events"])
    result = warehouse.metric("stickiness.daily_active_users", grain="day", as_of=as_of)
    moment = as_of or _newest_moment(warehouse, result.as_of)
    if moment is None:
        raise TooLittleError("there is no activity yet")
    last = whole_day(moment)
    values = {row["period"]: row["daily_active_users"] for row in result.rows if row["period"] <= last}
    if not values:
        raise TooLittleError("there is no whole day of activity")
    first = max(min(values), last - timedelta(days=HISTORY))
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    series = _column([values.get(day) for day in days])
    found = list(series_findings(
        days, ["all"], series, season=7, unit="count", better="up", threshold=threshold, min_change=min_change,
    ))
    platforms = _platforms(warehouse, days)
    blamed = _gaps(platforms, days)
    for row in found:
        row |= {"metric": "daily_active_users", "suspected_cause": None}
        if row["value"] < row["expected"]:
            row |= _suspect(row["reason"], platforms, blamed)
    told = {day for day, _ in ((row["period"], row) for row in found if row["value"] < row["expected"])}
    for name, counts in platforms.items():
        if name not in blamed or last in told:
            continue
        try:
            own = list(
                series_findings(
                    days,
                    [f"platform={name}"],
                    _column([counts["events"].get(day, 0) for day in days]),
                    season=7,
                    unit="count",
                    direction="fall",
                    threshold=threshold,
                    min_change=GAP,
                )
            )
        except TooLittleError:
            continue
        for row in own:
            reason = f"events of {name}: {row['reason']}; the other platforms do not fall with it: look at its tracking"
            found.append({**row, "metric": "events", "suspected_cause": "tracking", "reason": reason})
    return found


def _newest_moment(warehouse: Warehouse, of_days: datetime | None) -> datetime | None:
    """The newest event, where it is of the newest day: a day is not over because it has begun. Else the day's end."""
    newest = warehouse.engine.query("SELECT MAX(occurred_at) AS newest FROM stickiness.event_log")["newest"][0].as_py()
    return newest if newest is not None and of_days is not None and newest.date() >= of_days.date() else of_days


def _column(values: list[Any]) -> Any:
    import numpy as np

    return np.array([[np.nan if value is None else float(value)] for value in values])


def _platforms(warehouse: Warehouse, days: list[date]) -> dict[str, dict[str, dict[date, int]]]:
    """Platform → events and users by day, of qualifying events of users who are not internal."""
    rows = warehouse.engine.query(
        "SELECT e.platform, e.event_date AS day, COUNT(*) AS events, COUNT(DISTINCT e.user_id) AS users"
        " FROM stickiness.event_log AS e LEFT JOIN stickiness.members AS m ON m.user_id = e.user_id"
        " WHERE e.is_qualifying AND NOT COALESCE(m.is_internal, FALSE) AND e.platform IS NOT NULL"
        " AND e.event_date BETWEEN CAST(:first AS DATE) AND CAST(:last AS DATE) GROUP BY e.platform, e.event_date"
        " ORDER BY e.platform, e.event_date",
        {"first": days[0], "last": days[-1]},
    ).to_pylist()
    found: dict[str, dict[str, dict[date, int]]] = {}
    for row in rows:
        of = found.setdefault(row["platform"], {"events": {}, "users": {}})
        of["events"][row["day"]], of["users"][row["day"]] = row["events"], row["users"]
    return found


def _change(counts: dict[date, int], day: date) -> float | None:
    """A day's count against the median of the same weekday in the four weeks before; None without two of them."""
    from statistics import median

    before = [counts[past] for week in range(1, 5) if (past := day - timedelta(days=7 * week)) in counts]
    usual = median(before) if len(before) >= 2 else 0
    return counts.get(day, 0) / usual - 1 if usual else None


def _gaps(platforms: dict[str, dict[str, dict[date, int]]], days: list[date]) -> dict[str, float]:
    """Platforms whose events and users fell far more than those of the others, with the change of their events."""
    changes = {
        name: (_change(of["events"], days[-1]), _change(of["users"], days[-1])) for name, of in platforms.items()
    }
    known = {name: (e, u) for name, (e, u) in changes.items() if e is not None and u is not None}
    found = {}
    for name, (events, users) in known.items():
        others = [e for other, (e, _) in known.items() if other != name]
        if others and events <= -GAP and users <= -GAP and events <= max(others) - APART:
            found[name] = events
    return found if len(found) < len(known) else {}


def _suspect(
    reason: str, platforms: dict[str, dict[str, dict[date, int]]], blamed: dict[str, float]
) -> dict[str, Any]:
    """Cause, reason and action of a fall of DAU."""
    if not platforms:
        return {"suspected_cause": "unknown",
                "reason": f"{reason}; no events with a platform to check the tracking by"}  # fmt: skip
    if blamed:
        said = ", ".join(f"{name} {change:+.0%}" for name, change in sorted(blamed.items(), key=lambda item: item[1]))
        return {"suspected_cause": "tracking", "platforms": said,
                "reason": f"{reason}; events fell by platform, {said}, while the others did not: a tracking gap?",
                "action": "Check what this platform's client sends before believing the fall."}  # fmt: skip
    return {"suspected_cause": "real or all platforms",
            "reason": f"{reason}; no platform stands out, so no single client's tracking explains it"}  # fmt: skip
