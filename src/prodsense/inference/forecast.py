"""Forecasts with honest intervals, the naive rule always beside them, and goals: will it be reached, at what pace.

See `forecast_models` for the models, `forecast_fit` for how they are chosen and where the intervals come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference import forecast_fit as fitting
from prodsense.inference.causal_data import opened
from prodsense.inference.forecast_goal import Goal, goal_row
from prodsense.inference.forecast_read import Axis, Series, read_series
from prodsense.metrics.result import Rows, plain

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.inference.forecast_models import Array

#: Of a series at least this share of its moments must be known.
_LEAST_KNOWN = 0.5


@dataclass(frozen=True, repr=False, eq=False)
class Forecast(Rows):
    """Rows of a forecast: the slices, ``time``, ``forecast``, ``low``, ``high`` and ``baseline`` (the naive rule).

    ``extras["series"]`` says of each series which model was chosen and how it fared in the back-test beside the
    baseline (``mae``, ``mase``, ``smape``, ``coverage``, ``beats_baseline``); ``extras["goals"]`` holds a row a series
    where a target was given. `history` are the values that were read.
    """

    history: pa.Table | None = field(default=None)
    by: tuple[str, ...] = ()
    value: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "notes": list(self.notes), "units": plain(dict(self.units))}

    def chart(self, form: str | None = None, **options: Any) -> Any:
        """The end of the history and the fan of the forecast (of the first series), or the rows in a `form`."""
        if form is not None:
            return super().chart(form, **options)
        from prodsense.inference.predict_pictures import fan

        return fan(self, **options)


def forecast(
    data: Any, *, time: str, value: str | None = None, horizon: object = 14, by: str | Sequence[str] = (),
    seasons: Sequence[int] | None = None, grain: str | None = None, how: str = "sum", tz: str = "UTC",
    fill: float | None = None, where: str = "", confidence: float = 0.95, target: float | None = None,
    target_by: object = None, target_since: object = None, goal: str = "total", direction: str = "up", unit: str = "",
) -> Forecast:
    """Forecast `value` over `time`, `horizon` steps (or ``28d``, ``48h``) beyond the end of each series.

    `data`: a file, an answer, Arrow data, a frame, rows, or a `Sample` of a table. `by` names columns of which each
    combination is a series. With `grain` rows are taken together by period (`how`: sum or mean; without `value` they
    are counted) and a period that is not over is left out. `seasons` are in steps (default: by the step: a day and a
    week of hours, a week of days, a year of weeks, months or quarters). A moment without a row is not known, not 0,
    unless `fill` says what it is.

    `target` with `target_by` asks for the chance of a goal: that the ``total`` from `target_since` (default: the first
    moment forecast) to `target_by` (both inside), or the ``level`` at `target_by`, is at least the target, or at most
    with `direction` ``down``.

    Raises UsageError for data without a regular time, for a history too short to be judged by, and for wrong options.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    if (target is None) != (target_by is None):
        raise UsageError("a goal needs both its value (target) and its date (target_by)")
    if target is not None and goal == "total" and unit == "share":
        raise UsageError("a total of shares says nothing: ask for the level of the goal")
    wanted = Goal.of(target, goal, direction) if target is not None else None
    names = (by,) if isinstance(by, str) else tuple(by)
    with opened(data, where) as sample:
        axis, series, notes = read_series(sample, time, value, names, grain=grain, how=how, tz=tz, fill=fill)
        steps = axis.steps(horizon)
        statements, dialect = tuple(sample.statements), sample.engine.dialect
    seasons = _seasons(axis, seasons)
    groups, refused = _by_length(series, steps, axis, wanted, target_by)
    if not groups:
        raise UsageError(next(iter(refused.values())))
    lines: dict[int, _Line] = {}
    for (ahead, _), places in groups.items():
        matrix = np.stack([series[p].values for p in places], axis=1)
        used = fitting.usable_seasons(len(matrix), ahead, seasons)
        found = fitting.fit(matrix, ahead, used)
        short = [m for m in seasons if m not in used]
        if short:
            notes.append(
                f"{len(matrix)} values are too few for a season of {' or '.join(map(str, short))} {axis.word}s,"
                " which is left out"
            )
        for at, p in enumerate(places):
            lines[p] = _Line.of(series[p], found, at, used, confidence, unit)
    rows, told, goals = [], [], []
    for p, one in enumerate(series):
        key = dict(zip(names, one.key, strict=True))
        if p in refused:
            told.append({**key, "model": None, "reason": refused[p], "values": int(np.isfinite(one.values).sum())})
            continue
        line = lines[p]
        rows += line.rows(key, axis, steps)
        told.append({**key, **line.facts(axis, steps)})
        if wanted is not None:
            found_goal = goal_row(
                wanted, one, line.mean, line.errors, line.origins, axis, target_by, target_since, confidence,
                line.floor == 0,
            )
            goals.append({**key, **found_goal})
    label = value or "rows"
    extras: dict[str, Any] = {
        "time": time, "value": label, "by": list(names), "step": axis.word, "horizon": steps,
        "confidence": confidence, "series": told,
    }
    if wanted is not None:
        extras["goals"] = goals
    units = dict.fromkeys(("forecast", "low", "high", "baseline"), unit) if unit else {}
    return Forecast(
        arrow=Rows.from_rows(rows).arrow, extras=extras,
        notes=(*_said(told, names, confidence), *_told(goals), *dict.fromkeys(notes)), units=units, dialect=dialect,
        statements=statements, title=f"Forecast of {label}",
        history=_history(series, names, axis), by=names, value=label,
    )  # fmt: skip


def _seasons(axis: Axis, given: Sequence[int] | None) -> tuple[int, ...]:
    if given is None:
        return axis.seasons()
    if any(int(m) < 2 for m in given):
        raise UsageError("a season has at least two steps")
    if len(set(given)) > 3:
        raise UsageError("at most three seasons can be told apart")
    return tuple(sorted({int(m) for m in given}))


def _by_length(
    series: Sequence[Series], steps: int, axis: Axis, goal: Goal | None, target_by: object
) -> tuple[dict[tuple[int, int], list[int]], dict[int, str]]:
    """Series that can be worked on together, by how far to look and how long they are, and why others are refused."""
    groups: dict[tuple[int, int], list[int]] = {}
    refused: dict[int, str] = {}
    for place, one in enumerate(series):
        ahead = steps
        if goal is not None:
            until = axis.place(target_by, "target_by")
            if until < one.end:
                raise UsageError(f"the goal's date {target_by} is not after the last value, {axis.moment(one.end - 1)}")
            ahead = max(steps, until - one.end + 1)
        reason = _refusal(one.values, ahead)
        if reason:
            refused[place] = reason
        else:
            groups.setdefault((ahead, len(one.values)), []).append(place)
    return groups, refused


def _refusal(values: Array, ahead: int) -> str:
    """Why a series cannot be forecast, or an empty text."""
    known = np.isfinite(values)
    least = ahead + fitting.LEAST_HISTORY + fitting.LEAST_ORIGINS - 1
    if len(values) < least:
        return (
            f"{len(values)} values are too few to forecast {ahead} ahead and to judge that by the past:"
            f" at least {least} are needed"
        )
    if known.mean() < _LEAST_KNOWN:
        return f"{int((~known).sum())} of {len(values)} values are not known: too many for a forecast"
    if np.ptp(values[known]) == 0:
        return f"all values are {values[known][0]:g}: there is nothing to learn from"
    tail = known[-max(ahead, 2) :]
    if not tail.any():
        return "nothing is known of the newest values"
    return ""


@dataclass(frozen=True)
class _Line:
    """A fitted series: what to say of it."""

    end: int
    first: int
    known: int
    model: str
    mean: Array
    width: Array
    rule: Array
    errors: Array
    baseline: Array
    scale: float
    seasons: tuple[int, ...]
    floor: float | None
    top: float | None
    confidence: float
    actual: Array
    origins: tuple[int, ...]

    @classmethod
    def of(
        cls, one: Series, found: fitting.Fitted, at: int, seasons: Sequence[int], confidence: float, unit: str
    ) -> _Line:
        low, high = np.nanmin(one.values), np.nanmax(one.values)
        floor = 0.0 if low >= 0 else None
        top = 1.0 if unit == "share" and floor == 0 and high <= 1 else None
        width = fitting.half_widths(found.errors[:, :, at : at + 1], confidence)[:, 0]
        horizon = len(width)
        actual = np.stack([one.values[o : o + horizon] for o in found.origins])
        return cls(
            one.end, one.first, int(np.isfinite(one.values).sum()), found.names[at], found.mean[:, at], width,
            found.rule_mean[:, at], found.errors[:, :, at], found.baseline[:, :, at], float(found.scale[at]),
            tuple(seasons), floor, top, confidence, actual, found.origins,
        )

    def rows(self, key: Mapping[str, Any], axis: Axis, steps: int) -> list[dict[str, Any]]:
        """A row a step ahead; values that cannot be (below 0 where all were above) are cut off."""
        parts = [self._cut(p[:steps]) for p in (self.mean, self.mean - self.width, self.mean + self.width, self.rule)]
        return [
            {**key, "time": axis.moment(self.end + i), "forecast": float(parts[0][i]), "low": float(parts[1][i]),
             "high": float(parts[2][i]), "baseline": float(parts[3][i]) if np.isfinite(parts[3][i]) else None}
            for i in range(steps)
        ]  # fmt: skip

    def _cut(self, values: Array) -> Array:
        return np.clip(values, self.floor, self.top) if self.floor is not None else values

    def facts(self, axis: Axis, steps: int) -> dict[str, Any]:
        """The model and its record in the back-test."""
        mae, rule = _mean(np.abs(self.errors)), _mean(np.abs(self.baseline))
        scale = self.scale if self.scale > 0 else None
        baseline = f"seasonal naive {self.seasons[0]}" if self.seasons else "naive"
        return {
            "model": self.model, "values": self.known, "from": axis.moment(self.first), "to": axis.moment(self.end - 1),
            "seasons": list(self.seasons), "origins": len(self.errors), "mae": mae,
            "mase": None if scale is None or mae is None else mae / scale, "smape": _smape(self.actual, self.errors),
            "coverage": self._coverage(), "baseline": baseline, "baseline_mae": rule,
            "baseline_mase": None if scale is None or rule is None else rule / scale,
            "baseline_smape": _smape(self.actual, self.baseline),
            "beats_baseline": None if mae is None or rule is None else mae < rule,
        }

    def _coverage(self) -> float | None:
        """Share of past values inside the interval that the other origins give."""
        inside = []
        for place in range(len(self.errors)):
            others = np.delete(self.errors, place, axis=0)[:, :, None]
            width = fitting.half_widths(others, self.confidence)[:, 0]
            own = np.abs(self.errors[place])
            inside.append((own <= width)[np.isfinite(own)])
        seen = np.concatenate(inside)
        return float(seen.mean()) if len(seen) else None


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _smape(actual: Array, errors: Array) -> float | None:
    """Symmetric mean absolute percentage error in percent, as in the M4 competition; 0 where both are 0."""
    size = np.abs(actual) + np.abs(actual - errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean(np.where(size > 0, 200 * np.abs(errors) / size, np.where(np.isfinite(size), 0.0, np.nan)))


def _said(told: Sequence[Mapping[str, Any]], names: Sequence[str], confidence: float) -> list[str]:
    """What a reader should know of the models, worst news first."""
    judged = [t for t in told if t["model"] is not None]
    beaten = [t for t in judged if not t["beats_baseline"]]
    said = []
    if len(told) == 1:
        only = judged[0]
        verdict = "does not beat" if beaten else "beats"
        said.append(
            f"{only['model']} {verdict} {only['baseline']}: mean absolute error {only['mae']:.4g} against"
            f" {only['baseline_mae']:.4g} from {only['origins']} past origins"
        )
    else:
        share = f"{len(judged) - len(beaten)} of {len(judged)}"
        said.append(f"the chosen models beat the naive rule in {share} series (extras: series)")
        said += [
            f"{_name(t, names)}: refused, {t['reason']}" for t in told if t["model"] is None
        ][:5]  # fmt: skip
    if beaten:
        said.append("where it does not beat the baseline, the forecast is no better than repeating the past")
    covered = [t["coverage"] for t in judged if t["coverage"] is not None]
    if covered:
        said.append(f"{confidence:.0%} intervals held {sum(covered) / len(covered):.1%} of past values left out")
    return said


def _name(told: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name}={told[name]}" for name in names)


def _told(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(goals[0]["says"])] if len(goals) == 1 else []


def _history(series: Sequence[Series], names: Sequence[str], axis: Axis) -> pa.Table:
    """The values that were read, a row a series and moment."""
    import pyarrow as pa

    moments: dict[int, Any] = {}
    columns: dict[str, list[Any]] = {**{name: [] for name in names}, "time": [], "value": []}
    for one in series:
        for place in range(one.first, one.end):
            moments.setdefault(place, axis.moment(place))
        for i, name in enumerate(names):
            columns[name] += [one.key[i]] * len(one.values)
        columns["time"] += [moments[place] for place in range(one.first, one.end)]
        columns["value"] += [None if v != v else v for v in one.values.tolist()]
    return pa.table(columns)


def forecast_metric(answer: Any, **options: Any) -> Forecast:
    """Forecast a metric's answer by period (`Warehouse.metric` with a grain): its complete periods, by its slices."""
    from dataclasses import replace

    if not answer.grain or answer.grain == "all":
        raise UsageError("a forecast needs the metric by period: choose a grain")
    name = answer.metrics[0]
    rows = [
        {key: row[key] for key in ("period", *answer.by, name)}
        for row in answer.rows if row["period"] not in answer.incomplete and row[name] is not None
    ]  # fmt: skip
    if not rows:
        raise UsageError(f"{name} has no complete {answer.grain}")
    # Decimal sums are exact in the answer; here only their size matters.
    rows = [{**row, name: float(row[name])} for row in rows]
    found = forecast(rows, time="period", value=name, by=answer.by, unit=answer.units.get(name, ""), **options)
    return replace(found, statements=answer.statements, dialect=answer.dialect, notes=(*found.notes, *answer.notes))
