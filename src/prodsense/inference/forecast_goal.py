"""Goals over a forecast: the chance to reach them by a date, and the pace that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.forecast_models import Array
    from prodsense.inference.forecast_read import Axis, Series

KINDS, DIRECTIONS = ("total", "level"), ("up", "down")


@dataclass(frozen=True)
class Goal:
    """A value to reach as a total or as a level, from below (``up``) or to stay under (``down``)."""

    value: float
    kind: str = "total"
    direction: str = "up"

    @classmethod
    def of(cls, value: float, kind: str, direction: str) -> Goal:
        if kind not in KINDS:
            raise UsageError(f"no goal of kind {kind!r}; choose one of {', '.join(KINDS)}")
        if direction not in DIRECTIONS:
            raise UsageError(f"no direction named {direction!r}; choose one of {', '.join(DIRECTIONS)}")
        if not np.isfinite(value):
            raise UsageError("a target is a number")
        return cls(float(value), kind, direction)


def goal_row(
    goal: Goal, one: Series, mean: Array, errors: Array, origins: Sequence[int], axis: Axis, until: object,
    since: object, confidence: float, never_falls: bool,
) -> dict[str, Any]:
    """Where a series will stand at the goal's date.

    Columns: ``target``, ``by``, ``done`` (already there, for a total), ``expected`` with ``low`` and ``high``,
    ``probability``, ``pace_needed`` and ``pace_expected`` (per step, for a total), ``reached`` (when the forecast
    gets there, null where it does not by then) and a sentence, ``says``.

    The errors of the total (or level) so many steps ahead, from past origins, are taken as normal around 0 with a
    variance of their own mean square: the chance is Student's t with as many degrees as origins that do not overlap.
    """
    from scipy import stats

    steps = axis.place(until, "target_by") - one.end + 1
    done = _done(one, axis, since) if goal.kind == "total" else 0.0
    known = np.isfinite(errors[:, :steps])
    # Where a past value is not known its error counts as the mean of those that are.
    filled = np.where(known, errors[:, :steps], 0.0)
    share = known.mean(axis=1)
    if goal.kind == "total":
        ahead = np.cumsum(mean[:steps])
        missed = np.divide(filled.sum(axis=1), share, out=np.full(len(filled), np.nan), where=share > 0.5)
    else:
        ahead = mean[:steps]
        missed = np.where(known[:, -1], filled[:, -1], np.nan)
    missed = missed[np.isfinite(missed)]
    if len(missed) < 3:
        raise UsageError(f"the past is too short to judge a goal {steps} steps ahead: {len(missed)} origins of 3")
    expected = done + float(ahead[-1])
    # Origins nearer to each other than the goal is far share their errors.
    apart = max(2.0, min(float(len(missed)), (origins[-1] - origins[0]) / steps + 1))
    spread = float(np.sqrt(np.mean(missed**2) * (1 + 1 / apart)))
    sign = 1.0 if goal.direction == "up" else -1.0
    already = goal.kind == "total" and never_falls and done >= goal.value
    if already:
        chance = 1.0 if goal.direction == "up" else 0.0
    elif spread == 0:
        raise UsageError("the past was forecast without any error: a chance cannot be told from it")
    else:
        chance = float(stats.t.cdf(sign * (expected - goal.value) / spread, apart))
    reach = float(stats.t.ppf(0.5 + confidence / 2, apart)) * spread
    low = max(expected - reach, done) if never_falls else expected - reach
    row: dict[str, Any] = {
        "target": goal.value, "kind": goal.kind, "direction": goal.direction, "by": axis.moment(one.end + steps - 1),
        "done": done if goal.kind == "total" else None, "expected": expected, "low": low, "high": expected + reach,
        "probability": chance, "reached": _reached(goal, done, ahead, one, axis),
    }
    if goal.kind == "total":
        row["pace_needed"] = (goal.value - done) / steps
        row["pace_expected"] = float(ahead[-1]) / steps
    row["says"] = _sentence(goal, row, axis)
    return row


def _done(one: Series, axis: Axis, since: object) -> float:
    """What is known of the total already."""
    if since is None:
        return 0.0
    start = axis.place(since, "target_since")
    if start >= one.end:
        raise UsageError(f"target_since {since} is after the last value; leave it out to count from there")
    if start < one.first:
        raise UsageError(f"target_since {since} is before the first value, {axis.moment(one.first)}")
    return float(np.nansum(one.values[start - one.first :]))


def _reached(goal: Goal, done: float, ahead: Array, one: Series, axis: Axis) -> Any:
    if goal.direction == "down":
        return None
    hit = np.flatnonzero(done + ahead >= goal.value)
    return axis.moment(one.end + int(hit[0])) if len(hit) else None


def _sentence(goal: Goal, row: dict[str, Any], axis: Axis) -> str:
    side = "at least" if goal.direction == "up" else "at most"
    chance = row["probability"]
    said = "over 99%" if chance > 0.99 else "under 1%" if chance < 0.01 else f"{chance:.0%}"
    text = f"{goal.kind} of {side} {goal.value:,.6g} by {row['by']}: {said} likely, expected {row['expected']:,.6g}"
    if goal.kind == "total" and goal.direction == "up" and row["pace_needed"] > 0:
        text += (
            f"; it takes {row['pace_needed']:,.4g} a {axis.word}, {row['pace_expected']:,.4g} are expected"
        )
    return text
