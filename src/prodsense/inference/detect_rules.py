"""Rules over metrics: anomalies of a series, drops by segment, drift of a breakdown. Declared by `detectors`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.detect import TooLittleError
from prodsense.metrics import periods
from prodsense.metrics.show import number

if TYPE_CHECKING:
    from prodsense.contracts.vocabulary import Metric
    from prodsense.inference.seasonal import Array

Row = dict[str, Any]


@dataclass(frozen=True)
class MetricAnomaly:
    """The last whole period lies outside the seasonal baseline of the periods before it."""

    metric: str
    grain: str
    by: tuple[str, ...]
    history: int
    direction: str
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, threshold: float, min_change: float
    ) -> Iterator[Row]:
        from prodsense.inference.seasonal import SEASONS

        if self.grain not in SEASONS or self.grain == "hour":
            raise UsageError(f"{self.metric}: a metric has no series of grain {self.grain}")
        season = SEASONS[self.grain]
        length = self.history or max(60, 10 * season)
        course = course_of(warehouse, pack, self, self.grain, as_of, first_day(as_of, self.grain, length))
        whole = course.whole(self.grain)[-length - 1 :]
        yield from series_findings(
            [course.starts[i] for i in whole], course.subjects, course.values[whole], season=season,
            unit=course.metric.unit, better=course.metric.better, direction=self.direction, threshold=threshold,
            min_change=min_change,
        )


def whole_day(as_of: datetime) -> date:
    """The last day that is over at `as_of`, in UTC: its own once the last hour has begun, else the day before.

    The newest moment in the data is rarely the last second of its day, so that hour is given.
    """
    return as_of.date() if as_of.hour >= 23 else as_of.date() - timedelta(days=1)


def first_day(as_of: datetime | None, grain: str, length: int) -> date | None:
    """The first day to read for `length` periods before `as_of`; None (all) where that is not known yet."""
    if as_of is None:
        return None
    return periods.shift(periods.start_of(as_of.date(), grain), grain, -length - 1)


@dataclass(frozen=True)
class Course:
    """A metric by period: `values` (T, K) by periods and subjects (``city=Bonn``), NaN for no data.

    `cut` is the last day that is over; `incomplete` are periods whose windows are not.
    """

    metric: Metric
    starts: list[date]
    subjects: list[str]
    values: Array
    cut: date
    incomplete: frozenset[Any]

    def whole(self, grain: str) -> list[int]:
        """Places of the periods that are over, oldest first; TooLittleError where none is."""
        found = [
            i for i, start in enumerate(self.starts)
            if start not in self.incomplete and periods.last_day(start, grain) <= self.cut
        ]
        if not found:
            raise TooLittleError(f"{self.metric.name} has no whole {grain} yet")
        return found


def course_of(
    warehouse: Any, pack: str, rule: Any, grain: str, as_of: datetime | None, since: date | None
) -> Course:
    """What a rule watches (`metric`, `by`, `where`) by period, from the day `since` on; all where that is None."""
    import numpy as np

    result = warehouse.metric(f"{pack}.{rule.metric}", by=rule.by, grain=grain, as_of=as_of, since=since,
                              where=rule.where or None)
    starts = sorted({row["period"] for row in result.rows})
    place = {start: i for i, start in enumerate(starts)}
    columns: dict[str, int] = {}
    for row in result.rows:
        columns.setdefault(subject_of(row, rule.by), len(columns))
    values = np.full((len(starts), len(columns)), np.nan)
    for row in result.rows:
        if (value := row[rule.metric]) is not None:
            values[place[row["period"]], columns[subject_of(row, rule.by)]] = value
    _, metric = warehouse.find("metrics", f"{pack}.{rule.metric}")
    return Course(metric, starts, list(columns), values, whole_day(result.as_of), frozenset(result.incomplete))


def subject_of(row: Mapping[str, Any], by: Sequence[str]) -> str:
    """How a slice is called: ``city=Bonn, vehicle=bike``; ``all`` for the total."""
    return ", ".join(f"{name}={'none' if row[name] is None else row[name]}" for name in by) or "all"


def series_findings(
    starts: Sequence[Any], subjects: Sequence[str], values: Array, *, season: int, unit: str = "",
    better: str = "none", direction: str = "both", threshold: float = 4.0, min_change: float = 0.0, last: int = 1,
) -> Iterator[Row]:
    """Findings among the `last` rows of series side by side (T, K): what lies outside the seasonal baseline.

    A count without data is 0 once it had begun. Raises TooLittleError when no series has the history for it.
    """
    import numpy as np

    from prodsense.inference.seasonal import LEAST, baseline, kind_of

    judged = 0
    for column, subject in enumerate(subjects):
        series = values[:, column]
        known = np.flatnonzero(np.isfinite(series))
        if not len(known):
            continue
        begin = int(known[0])
        series = series[begin:]
        kind = kind_of(series, unit)
        if kind == "count" and unit in ("count", ""):
            series = np.where(np.isfinite(series), series, 0.0)
        found = baseline(series, season, kind=kind, threshold=threshold)
        for at in range(max(0, len(series) - last), len(series)):
            score, value, expected = found.score[at], series[at], found.expected[at]
            if not np.isfinite(score) or not np.isfinite(value):
                continue
            judged += 1
            moved = value - expected
            if abs(score) < threshold or abs(moved) < min_change * abs(expected):
                continue
            if not concerns(moved, better, direction):
                continue
            good = better in ("up", "down") and (moved > 0) == (better == "up")
            yield {
                **({"severity": "info"} if good else {}),
                "subject": subject, "period": starts[begin + at], "value": value, "expected": expected,
                "low": found.low[at], "high": found.high[at], "score": score,
                "reason": f"{number(float(value), unit)} instead of about {number(float(expected), unit)}"
                          f" ({abs(score):.1f} spreads {'above' if moved > 0 else 'below'} its baseline)",
            }  # fmt: skip
    if not judged:
        raise TooLittleError(
            f"{len(starts)} periods are too few for a baseline; about"
            f" {2 * season + (0 if season > 1 else 4) + LEAST} are needed"
        )


def concerns(moved: float, better: str, direction: str) -> bool:
    """Whether a move in this direction is what the rule is about."""
    if direction == "bad":
        direction = {"up": "fall", "down": "rise"}.get(better, "both")
    return direction == "both" or (moved < 0) == (direction == "fall")


@dataclass(frozen=True)
class Windows:
    """Values of a metric over windows of equal length that end with the day of `as_of`, newest first."""

    since: date
    until: date
    values: list[dict[tuple[Any, ...], float]]


def windows_of(
    warehouse: Any, pack: str, metric: str, by: Sequence[str], as_of: datetime | None, days: int, count: int,
    where: str = "",
) -> Windows:
    """The window of the last `days` whole days and `count` before it, by slice; TooLittleError without history."""
    if days < 1 or count < 2:
        raise UsageError("a window has at least one day, and its history at least two windows")
    name = f"{pack}.{metric}"
    probe = warehouse.metric(name, grain="day", as_of=as_of, where=where or None,
                             since=None if as_of is None else as_of.date() - timedelta(days=days * (count + 1) + 1))
    cut = whole_day(probe.as_of)
    over = [row["period"] for row in probe.rows if row["period"] not in set(probe.incomplete) and row["period"] <= cut]
    known = [row["period"] for row in probe.rows if row[metric] is not None]
    if not over or not known:
        raise TooLittleError(f"{metric} has no whole day of data")
    until = max(over) + timedelta(days=1)
    begin = until - timedelta(days=days * (count + 1))
    if min(known) > begin:
        raise TooLittleError(f"{metric} begins on {min(known)}; {count} windows of {days} days need data since {begin}")
    moment = as_of or probe.as_of
    values = []
    for step in range(count + 1):
        end = until - timedelta(days=days * step)
        found = warehouse.metric(name, by=tuple(by), grain="all", since=end - timedelta(days=days), until=end,
                                 as_of=moment, where=where or None)
        values.append({
            tuple(row[d] for d in by): float(row[metric]) for row in found.rows if row[metric] is not None
        })
    return Windows(until - timedelta(days=days), until, values)


@dataclass(frozen=True)
class DropRule:
    """A metric over the last window is worse than over the windows before by more than a stated share."""

    metric: str
    by: tuple[str, ...]
    windows: int
    volume: str
    direction: str
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, drop: float, days: int, threshold: float,
        min_volume: float,
    ) -> Iterator[Row]:
        import numpy as np

        if drop <= 0:
            raise UsageError(f"drop is {drop}; it is the smallest relative change, above 0")
        _, metric = warehouse.find("metrics", f"{pack}.{self.metric}")
        found = windows_of(warehouse, pack, self.metric, self.by, as_of, days, self.windows, self.where)
        sizes: dict[tuple[Any, ...], float] = {}
        if self.volume and min_volume > 0:
            counted = warehouse.metric(f"{pack}.{self.volume}", by=self.by, grain="all", since=found.since,
                                       until=found.until, as_of=as_of, where=self.where or None)
            sizes = {tuple(row[d] for d in self.by): float(row[self.volume] or 0) for row in counted.rows}
        zero = 0.0 if metric.unit == "count" else None
        for key in dict.fromkeys(k for window in found.values for k in window):
            now = found.values[0].get(key, zero)
            before = [v for window in found.values[1:] if (v := window.get(key, zero)) is not None]
            if now is None or len(before) < max(2, self.windows - 1):
                continue
            if self.volume and min_volume > 0 and sizes.get(key, 0.0) < min_volume:
                continue
            usual = float(np.median(before))
            moved = now - usual
            if usual == 0 or abs(moved) < drop * abs(usual) or not concerns(moved, metric.better, self.direction):
                continue
            # The range of few windows says little; their mean distance from the median does, widened for few.
            spread = float(np.mean(np.abs(np.array(before) - usual))) * 1.2533 * (1 + 2 / len(before))
            if metric.unit == "count":
                spread = max(spread, float(np.sqrt(usual)))
            score = moved / max(spread, 1e-9 * abs(usual))
            if abs(score) < threshold:
                continue
            yield {
                "subject": subject_of(dict(zip(self.by, key, strict=True)), self.by), "period": found.since,
                "value": now, "expected": usual, "low": usual - threshold * spread, "high": usual + threshold * spread,
                "score": score,
                "reason": f"{number(now, metric.unit)} in the {days} days to {found.until - timedelta(days=1)}, usually"
                          f" {number(usual, metric.unit)} ({moved / abs(usual):+.0%})",
            }  # fmt: skip


@dataclass(frozen=True)
class ShareDrift:
    """The shares of a breakdown shift by more than they do between other windows."""

    metric: str
    by: str
    windows: int
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, days: int, min_shift: float, threshold: float
    ) -> Iterator[Row]:
        import numpy as np

        found = windows_of(warehouse, pack, self.metric, (self.by,), as_of, days, self.windows, self.where)
        keys = sorted({key for window in found.values for key in window}, key=lambda k: (k[0] is None, str(k[0])))
        counts = np.array([[window.get(key, 0.0) for key in keys] for window in found.values])
        if (counts < 0).any():
            raise TooLittleError(f"{self.metric} is negative in places; it has no shares")
        totals = counts.sum(axis=1)
        if (totals <= 0).any():
            raise TooLittleError(f"{self.metric} is 0 in a whole window")
        shares = counts / totals[:, None]
        usual = np.median(shares[1:], axis=0)
        usual = usual / usual.sum()
        shift = np.abs(shares - usual).sum(axis=1) / 2
        typical = float(np.mean(shift[1:])) * (1 + 2 / self.windows)
        if shift[0] < min_shift or shift[0] < threshold * typical:
            return
        change = totals[0] / float(np.median(totals[1:])) - 1
        moved = shares[0] - usual
        top = int(np.argmax(np.abs(moved)))
        yield {
            "subject": subject_of({self.by: keys[top][0]}, (self.by,)), "period": found.since,
            "value": shares[0, top], "expected": usual[top], "low": None, "high": None,
            "score": shift[0] / max(typical, 1e-12),
            "reason": f"share {shares[0, top]:.1%} instead of {usual[top]:.1%}; {shift[0]:.1%} of all moved between"
                      f" values of {self.by} while the total changed {change:+.1%}",
            "shares": {str(key[0]): [float(usual[i]), float(shares[0, i])] for i, key in enumerate(keys)},
        }  # fmt: skip


@dataclass(frozen=True)
class NoveltyDecay:
    """A lift after a launch that wears off: high at first, falling since, and by now much smaller."""

    metric: str
    by: tuple[str, ...]
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, launch: date, days: int, min_decay: float,
        threshold: float,
    ) -> Iterator[Row]:
        import numpy as np

        course = course_of(warehouse, pack, self, "day", as_of, launch - timedelta(days=4 * days))
        metric, values, since = course.metric, course.values, (course.cut - launch).days
        if since + 1 < 3 * days:
            raise TooLittleError(f"{since + 1} days since {launch}; {3 * days} show whether a lift lasts")
        at = np.array([(start - launch).days for start in course.starts])
        over = at <= since
        for column, subject in enumerate(course.subjects):
            before, early, late, after = (
                series[np.isfinite(series)]
                for series in (
                    values[at < 0, column], values[(at >= 0) & (at < days), column],
                    values[over & (at > since - days), column], values[over & (at >= 0), column],
                )
            )
            if len(before) < days or len(early) < days // 2 + 1 or len(late) < days // 2 + 1:
                continue
            base, spread = float(np.mean(before)), float(np.std(before, ddof=1))
            lifts = [float(np.mean(part)) - base for part in (early, late)]
            error = spread * np.sqrt(1 / len(before) + 1 / len(early))
            if lifts[0] <= threshold * error or lifts[0] <= 0:
                continue
            decay = 1 - lifts[1] / lifts[0]
            falls = _kendall(after)
            # Both a smaller lift now and a course that falls: a single bad last week is something else.
            if decay < min_decay or falls > -1.645:
                continue
            yield {
                "subject": subject, "period": launch, "value": lifts[1], "expected": lifts[0],
                "score": falls, "metric": f"lift of {self.metric}",
                "reason": f"lift of {number(lifts[0], metric.unit)} in the first {days} days,"
                          f" {number(lifts[1], metric.unit)} in the last {days}: {decay:.0%} of it is gone",
            }  # fmt: skip


def _kendall(values: Array) -> float:
    """The normal score of Mann-Kendall's trend test: negative falls (ties are not corrected for)."""
    import numpy as np

    n = len(values)
    if n < 4:
        return 0.0
    total = float(np.sign(np.triu(values[None, :] - values[:, None], 1)).sum())
    return (total - np.sign(total)) / float(np.sqrt(n * (n - 1) * (2 * n + 5) / 18))
