"""The two windows that an explanation compares, and whether their difference is more than usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.metrics import periods

if TYPE_CHECKING:
    from prodsense.inference.seasonal import Array

#: Days of history before the first window that tell what is usual.
HISTORY = 70
#: Fewest earlier changes of the same kind from which "usual" is taken.
LEAST_CHANGES = 8
#: Changes of fewer usual spreads than this are called usual.
USUAL = 2.0


@dataclass(frozen=True)
class Window:
    """Days from `since` to `until`, the last outside."""

    since: date
    until: date

    @property
    def days(self) -> int:
        return (self.until - self.since).days

    def __str__(self) -> str:
        last = self.until - periods.DAY
        return str(self.since) if self.days == 1 else f"{self.since}..{last}"


def read_window(text: Any, what: str) -> Window:
    """A day (``2024-01-31``), a month (``2024-01``) or days ``2024-01-01..2024-01-07``, both inside."""
    if isinstance(text, Window):
        return text
    if isinstance(text, (date, datetime)):
        day = periods.read_day(text, what)
        return Window(day, day + periods.DAY)
    given = str(text).strip()
    first, dots, last = given.partition("..")
    if not dots and len(given) == 7:
        start = periods.read_day(f"{given}-01", what)
        return Window(start, periods.shift(start, "month", 1))
    since = periods.read_day(first, what)
    until = (periods.read_day(last, what) if dots else since) + periods.DAY
    if until <= since:
        raise UsageError(f"{what} ends on {last} before it begins on {first}")
    return Window(since, until)


def read_windows(before: Any, after: Any) -> tuple[Window, Window]:
    """Both windows; UsageError when they overlap."""
    a, b = read_window(before, "from"), read_window(after, "to")
    if a.since < b.until and b.since < a.until:
        raise UsageError(f"from {a} and to {b} overlap; name the time before the move and the time after it")
    return a, b


@dataclass(frozen=True)
class Daily:
    """A metric by day: first day, and for each day the sums of its parts (or its value alone)."""

    first: date
    top: Array
    bottom: Array | None = None

    def value(self, window: Window) -> float | None:
        """The metric over a window: the sum of its days, or the ratio of sums; None outside of the data."""
        import numpy as np

        start, end = (window.since - self.first).days, (window.until - self.first).days
        if start < 0 or end > len(self.top):
            return None
        top = float(np.nansum(self.top[start:end]))
        if self.bottom is None:
            return top
        bottom = float(np.nansum(self.bottom[start:end]))
        return top / bottom if bottom else None

    @property
    def values(self) -> Array:
        """One value a day; NaN without a denominator."""
        import numpy as np

        if self.bottom is None:
            return self.top
        there = self.bottom > 0
        return np.where(there, self.top / np.where(there, self.bottom, 1.0), np.nan)


def usual_change(daily: Daily, before: Window, after: Window) -> dict[str, Any]:
    """How far the change between the windows is beyond changes of the same kind in the past.

    The same kind: between windows as long and as far apart, all of whose days lie before both of the windows' ends.
    ``score`` is the change less their median over 1.4826 MAD, null where there are fewer than `LEAST_CHANGES`.
    """
    import numpy as np

    lag = (after.since - before.since).days
    now = daily.value(after)
    then = daily.value(before)
    found: list[float] = []
    if lag > 0:
        last = (min(before.until, after.since) - daily.first).days
        start = last - lag - after.days
        scale = after.days / before.days if daily.bottom is None else 1.0
        while start >= 0:
            a = Window(daily.first + timedelta(days=start), daily.first + timedelta(days=start + before.days))
            b = Window(a.since + timedelta(days=lag), a.since + timedelta(days=lag + after.days))
            va, vb = daily.value(a), daily.value(b)
            if va is not None and vb is not None:
                found.append(vb - va * scale)
            start -= 1
    told: dict[str, Any] = {"compared_with": len(found), "usual_low": None, "usual_high": None, "score": None,
                            "verdict": "unknown"}  # fmt: skip
    if len(found) < LEAST_CHANGES or now is None or then is None:
        return told
    scale = after.days / before.days if daily.bottom is None else 1.0
    middle = float(np.median(found))
    # Windows that overlap tell little more than one of them: few independent ones make the spread wider.
    independent = max(2.0, len(found) / max(1, after.days))
    spread = 1.4826 * float(np.median(np.abs(np.array(found) - middle))) * (1 + 1 / independent)
    spread = max(spread, 1e-9 * abs(then), 1e-300)
    score = (now - then * scale - middle) / spread
    verdict = "beyond usual" if abs(score) >= 2 * USUAL else "at the edge of usual" if abs(score) >= USUAL else "usual"
    return {**told, "usual_low": middle - USUAL * spread, "usual_high": middle + USUAL * spread, "score": score,
            "verdict": verdict}  # fmt: skip


def onset(daily: Daily, before: Window, after: Window) -> dict[str, Any] | None:
    """The day on which the level changed in the direction of the move; None when no change stands out.

    Weekday effects of the days before are taken off first. Change points are searched for from four weeks before the
    first window to two weeks after the second; the one nearest to the move's size after the first window is told.
    """
    import numpy as np

    from prodsense.inference.changepoint import change_points

    now, then = daily.value(after), daily.value(before)
    if now is None or then is None or after.since < before.since:
        return None
    if daily.bottom is None:
        now, then = now / after.days, then / before.days
    begin = max(0, (before.since - daily.first).days - 28)
    end = min(len(daily.top), (after.until - daily.first).days + 14)
    values = daily.values[begin:end]
    days = [daily.first + timedelta(days=begin + i) for i in range(len(values))]
    calm = np.array([day < before.until for day in days])
    values = without_weekdays(values, np.array([day.weekday() for day in days]), calm)
    known = np.isfinite(values)
    days = [day for day, there in zip(days, known, strict=True) if there]
    changes = change_points(values[known], least=1 if min(before.days, after.days) < 3 else 2)
    fit = [
        c for c in changes
        if before.since < days[c.at] < after.until and (c.after - c.before) * (now - then) > 0
    ]
    if not fit:
        return None
    best = max(fit, key=lambda c: abs(c.after - c.before) * min(1.0, abs(c.score) / 4))
    return {"day": days[best.at], "before": best.before, "after": best.after, "score": best.score}


def without_weekdays(values: Array, weekday: Any, calm: Any) -> Array:
    """Values less what their weekday usually adds, where two weeks of calm days tell it."""
    import numpy as np

    if np.isfinite(values[calm]).sum() < 14:
        return values
    level = float(np.nanmedian(values[calm]))
    out = values.copy()
    for day in range(7):
        own = values[calm & (weekday == day)]
        own = own[np.isfinite(own)]
        if len(own) >= 2:
            out[weekday == day] -= float(np.median(own)) - level
    return out


def change_of(before: float | None, after: float | None) -> Mapping[str, float | None]:
    """The move, absolute and relative to the size of what was before."""
    if before is None or after is None:
        return {"delta": None, "change": None}
    return {"delta": after - before, "change": (after - before) / abs(before) if before else None}
