"""Rules about levels: a metric beyond a stated limit, and a level that changed for good. Declared by `detectors`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prodsense.errors import UsageError
from prodsense.inference.detect import TooLittleError
from prodsense.inference.detect_rules import Row, concerns, course_of, first_day
from prodsense.metrics.show import number


@dataclass(frozen=True)
class Limit:
    """The last whole period of a metric is below or above what is allowed."""

    metric: str
    grain: str
    by: tuple[str, ...]
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, below: float | None, above: float | None
    ) -> Iterator[Row]:
        if below is None and above is None:
            raise UsageError(f"{self.metric}: say below or above which value it is off")
        course = course_of(warehouse, pack, self, self.grain, as_of, first_day(as_of, self.grain, 2))
        metric, last = course.metric, course.whole(self.grain)[-1]
        for subject, value in zip(course.subjects, course.values[last].tolist(), strict=True):
            low, high = below is not None and value < below, above is not None and value > above
            if not low and not high:  # NaN, no data, is neither
                continue
            limit = below if low else above
            assert limit is not None
            yield {
                "subject": subject, "period": course.starts[last], "value": value, "expected": limit, "low": below,
                "high": above, "score": abs(value - limit) / abs(limit) if limit else None,
                "reason": f"{number(value, metric.unit)} is {'below' if low else 'above'} {number(limit, metric.unit)}",
            }  # fmt: skip


@dataclass(frozen=True)
class LevelShift:
    """The level of a metric's daily series changed lately and stayed: since when, from what to what."""

    metric: str
    by: tuple[str, ...]
    history: int
    direction: str
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, within: int, min_change: float, threshold: float
    ) -> Iterator[Row]:
        import numpy as np

        from prodsense.inference.changepoint import change_points
        from prodsense.inference.explain_windows import without_weekdays

        course = course_of(warehouse, pack, self, "day", as_of, first_day(as_of, "day", self.history))
        metric = course.metric
        whole = [i for i, start in enumerate(course.starts) if start <= course.cut][-self.history :]
        if len(whole) < within + 14:
            raise TooLittleError(f"{self.metric} has {len(whole)} days; a change of level needs {within + 14}")
        days = [course.starts[i] for i in whole]
        weekday = np.array([day.weekday() for day in days])
        calm = np.arange(len(days)) < len(days) - within
        for column, subject in enumerate(course.subjects):
            series = course.values[whole, column]
            if metric.unit == "count":
                series = np.where(np.isfinite(series), series, 0.0)
            known = np.isfinite(series)
            if known[calm].sum() < 14:
                continue
            flat = without_weekdays(series, weekday, calm)[known]
            at = [day for day, there in zip(days, known, strict=True) if there]
            for change in change_points(flat, least=3)[-1:]:
                moved, size = change.after - change.before, abs(change.before)
                if (days[-1] - at[change.at]).days >= within or abs(change.score) < threshold:
                    continue
                if abs(moved) < min_change * size or not concerns(moved, metric.better, self.direction):
                    continue
                yield {
                    "subject": subject, "period": at[change.at], "value": change.after, "expected": change.before,
                    "score": change.score if np.isfinite(change.score) else None,
                    "reason": f"since {at[change.at]} about {number(change.after, metric.unit)} a day, before"
                              f" {number(change.before, metric.unit)}",
                }  # fmt: skip
