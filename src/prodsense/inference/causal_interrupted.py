"""Interrupted time series: one series, a date, and a line on either side of it.

Source: segmented regression as in Wagner et al. 2002 and Bernal, Cummins & Gasparrini 2017, with Newey & West's errors.
Those are too small for short series and steps near an end, so intervals and p-values take the distribution of t that
this very design has under first-order autocorrelation: it is simulated, with the autocorrelation's bias taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_result import QUASI, Estimate, estimate, headline, spoken
from prodsense.inference.ols import Array, Fit, ols, quantile_of
from prodsense.metrics import periods as calendar

#: Periods of a season by grain.
SEASONS = {"day": 7, "month": 12, "quarter": 4}
LEAST_BEFORE, LEAST_AFTER = 8, 3
DRAWS, PLACEBO_DRAWS, MOST_PLACEBOS = 1999, 499, 10
#: Beyond this autocorrelation a series has hardly a level to come back to.
WANDERING = 0.8
#: More missing periods than this share are no series.
MOST_MISSING = 0.2

ASSUMPTIONS = (
    "The line before goes on: without the change, trend and season would have stayed as they were.",
    "Nothing else happened at the date; a control series that it cannot have touched helps to see that.",
    "What is counted did not change at the date.",
    "Errors follow first-order autocorrelation, for intervals and p-values.",
)


@dataclass(frozen=True)
class Design:
    """A series as a regression: rows in the order of time, zeros where a period is missing."""

    y: Array
    x: Array
    names: list[str]
    known: Array
    start: int
    lags: int

    def post(self) -> Array:
        return (np.arange(len(self.y)) >= self.start).astype(float)


@dataclass(frozen=True)
class Segmented:
    """A fitted design, and weighted sums of its coefficients with simulated distributions of their t."""

    fit: Fit
    rho: float
    values: Array
    errors: Array
    reach: Array
    chance: Array


def interrupted_series(
    data: Any,
    outcome: str,
    *,
    time: str,
    since: object,
    covariates: str | Sequence[str] = (),
    control: str | None = None,
    season: int | None = None,
    slope: bool = True,
    log: bool = False,
    lags: int | None = None,
    grain: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """What a date did to one series: a step, a bend, and the gap to the line that went on.

    The mean of `outcome` by period is regressed on a trend, a step at `since` (the first period after the change), a
    bend there (unless `slope` is False), one effect a place in the `season` (7 for days, 12 for months, 4 for quarters
    unless given; 0 for none) and `covariates`. `log`: effects are then relative. `lags` of Newey and West's errors: a
    season, else 4 (n / 100)^(2/9). `control`: a series that the change cannot have touched, analysed alike.

    Rows: ``step`` (at the date; the headline, since it leans least on the line far ahead), ``bend`` (a period),
    ``mean effect`` (of all periods after), ``last effect``; columns ``term``, ``estimate``, ``std_error``, ``low``,
    ``high``, ``p_value``, and with `log` ``relative`` with its ends. Extras: ``estimate``, ``series`` (actual,
    counterfactual, gap, cumulative with bands), ``placebo_dates``, ``control``, ``coefficients``,
    ``autocorrelation``. Raises UsageError with fewer than 8 known periods before or 3 after.
    """
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    with cd.opened(data, where) as sample:
        series, notes = _series(sample, outcome, time, names, control, grain)
        start_value = cd.read_start(since, series.periods)
        start = sum(1 for p in series.periods if p < start_value)
        warnings: list[str] = []
        per = _season(season, series, start, warnings)
        design = _design(series.values[outcome], series, start, per, slope, log, lags, names, outcome)
        found = fitted(design, _effects(design), confidence)
        line = _numbers(found, 0)
        relative = {"relative": _percent(line["estimate"]), "relative_low": _percent(line["low"]),
                    "relative_high": _percent(line["high"])} if log else {}  # fmt: skip
        main = {**headline("step", line, confidence, errors="hac", lags=design.lags), **relative}
        rows = []
        for place, name in enumerate(_terms(slope)):
            row = {"term": name, **_numbers(found, place)}
            if log:
                row |= {f"relative{end}": _percent(row[key]) for end, key in
                        (("", "estimate"), ("_low", "low"), ("_high", "high"))}  # fmt: skip
            rows.append(row)
        told = _told(series.periods, design, found, confidence, log)
        placebo = _placebos(series, design, start, per, slope, log, lags, names, outcome, confidence)
        seen = sum(1 for p in placebo if p["p_value"] < 0.05)
        if placebo:
            notes.append(f"placebo dates before the change: {seen} of {len(placebo)} show an effect at 5%")
            if seen > max(1, 0.2 * len(placebo)):
                warnings.append("dates at which nothing happened show effects too: the line does not fit the series")
        else:
            warnings.append("too few periods before the change for a placebo date")
        control_found = None
        if control:
            other = _design(series.values[control], series, start, per, slope, log, lags, names, control)
            control_line = _numbers(fitted(other, _effects(other), confidence), 0)
            control_found = {"outcome": control, **control_line}
            chance = control_line["p_value"]
            notes.append(f"control series {control}: {spoken(control_line['estimate'])}, p = {chance:.3g}")
            if chance < 0.05:
                warnings.append(f"the control series {control} moved too: something else happened at the date")
        else:
            warnings.append("no control series: whatever else happened then is in the effect")
        if found.rho > WANDERING:
            warnings.append(f"autocorrelation {found.rho:.2f}: the series wanders, a line says little of its future")
        missing = int((~design.known).sum())
        if missing:
            notes.append(f"{missing} of {len(series.periods)} periods without a value")
        if series.averaged:
            notes.append("several rows in a period: their mean counts")
        level = float(np.mean([t["counterfactual"] for t in told if t["after"] and t["counterfactual"] is not None]))
        gap = [t["gap"] for t in told if t["after"] and t["gap"] is not None]
        extras = {
            "since": series.periods[start], "season": per, "log": log, "autocorrelation": found.rho,
            "relative": relative.get("relative", line["estimate"] / level if level else None),
            "total": float(np.sum(gap)), "observations": found.fit.observations, "series": told,
            "placebo_dates": placebo, "control": control_found, "outcome": outcome,
            "coefficients": [
                {"term": n, "estimate": float(b), "std_error": float(e)}
                for n, b, e in zip(found.fit.names, found.fit.coefficients, found.fit.std_errors, strict=True)
            ],
        }
        return estimate(
            sample, rows, method="interrupted_series", title="Interrupted series", label=QUASI, main=main,
            extras=extras, assumptions=ASSUMPTIONS, warnings=warnings, notes=notes, picture=_picture,
        )


# -- the series --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Series:
    periods: list[Any]
    values: dict[str, Array]
    grain: str | None
    averaged: bool


def _series(
    sample: cd.Sample, outcome: str, time: str, covariates: Sequence[str], control: str | None, grain: str | None
) -> tuple[_Series, list[str]]:
    """The mean of each column by period, on a line of periods without holes (NaN where nothing is known)."""
    columns = list(dict.fromkeys([outcome, *covariates, *([control] if control else [])]))
    items = {"period": sample.moment(time, grain)}
    items |= {f"v_{i}": sample.number(name, "outcome" if name == outcome else "covariate")
              for i, name in enumerate(columns)}  # fmt: skip
    means = ", ".join(f"mean(v_{i}) AS v_{i}" for i in range(len(columns)))
    found = sample.query(
        f"WITH given AS ({sample.source(items, ['period'])}) SELECT period, {means}, COUNT(v_0) AS n FROM given"
        " GROUP BY period ORDER BY period"
    )
    notes = sample.note_left_out(items, ["period"], time)
    seen = found["period"].to_pylist()
    if len(seen) < 2:
        least = LEAST_BEFORE + LEAST_AFTER
        raise UsageError(f"{sample.label} has {len(seen)} periods; a series needs at least {least}")
    dated = isinstance(seen[0], date)
    kind = (grain or _grain(seen)) if dated else None
    long = calendar.count(calendar.start_of(seen[0], kind), seen[-1], kind) if kind else seen[-1] - seen[0] + 1
    if long * (1 - MOST_MISSING) > len(seen):
        raise UsageError(f"{long - len(seen)} of {long} periods have no row; fill them, or name a coarser grain")
    if kind:
        line: list[Any] = calendar.spine(calendar.start_of(seen[0], kind), calendar.start_of(seen[-1], kind), kind)
    else:
        line = list(range(seen[0], seen[-1] + 1))
    places = {value: place for place, value in enumerate(line)}
    at = [places[value if kind is None else calendar.start_of(value, kind)] for value in seen]
    values = {}
    for i, name in enumerate(columns):
        column = np.full(len(line), np.nan)
        column[at] = found[f"v_{i}"].to_numpy(zero_copy_only=False).astype(float)
        if (np.abs(column) > cd.LARGEST).any():
            raise UsageError(f"{name} holds values that are infinite or too large to square; leave them out (where)")
        values[name] = column
    averaged = int(max(found["n"].to_pylist())) > 1
    return _Series(line, values, kind, averaged), notes


def _grain(days: Sequence[date]) -> str:
    """The coarsest grain at whose periods all days start, one a period; days else."""
    for grain in ("year", "quarter", "month", "week"):
        if all(calendar.start_of(day, grain) == day for day in days):
            return grain
    gaps = {(b - a).days for a, b in pairwise(days)}
    return "week" if min(gaps) >= 7 and all(gap % 7 == 0 for gap in gaps) else "day"


def _season(given: int | None, series: _Series, start: int, warnings: list[str]) -> int:
    if given is not None and (given < 0 or given == 1):
        raise UsageError(f"season is a number of periods, at least 2, or 0 for none: {given}")
    per = given if given is not None else SEASONS.get(series.grain or "", 0)
    if per and start < 2 * per:
        said = f"{start} periods before the change are less than two seasons of {per}"
        if given:
            raise UsageError(f"{said}; give season=0")
        warnings.append(f"{said}: no season is taken out")
        return 0
    return per


def _design(
    values: Array, series: _Series, start: int, season: int, slope: bool, log: bool, lags: int | None,
    covariates: Sequence[str], name: str,
) -> Design:
    """The regression of one series; UsageError where too little is known on a side."""
    n = len(values)
    known = ~np.isnan(values)
    for column in covariates:
        known &= ~np.isnan(series.values[column])
    before, after = int(known[:start].sum()), int(known[start:].sum())
    least = LEAST_BEFORE + (season - 1 if season else 0) + len(covariates)
    if before < least or after < LEAST_AFTER:
        raise UsageError(
            f"{before} known periods before and {after} after are too few: {least} and {LEAST_AFTER} are the least"
        )
    if (~known).sum() > MOST_MISSING * n:
        raise UsageError(f"{int((~known).sum())} of {n} periods have no value; fill them, or name a coarser grain")
    if log and (values[known] <= 0).any():
        raise UsageError(f"{name} has values that are not above 0: no logarithm; leave out log")
    y = np.where(known, np.log(np.where(known, values, 1.0)) if log else np.where(known, values, 0.0), 0.0)
    if float(np.ptp(y[known])) == 0:
        raise UsageError(f"{name} has one value in all periods: there is nothing to see")
    at = np.arange(n)
    post = (at >= start).astype(float)
    columns, names = [np.ones(n), (at - start) / 1.0, post], ["constant", "trend", "step"]
    if slope:
        columns.append(post * (at - start))
        names.append("bend")
    for place in range(1, season):
        columns.append((at % season == place).astype(float))
        names.append(f"season {place + 1}")
    for column in covariates:
        columns.append(np.nan_to_num(series.values[column]))
        names.append(column)
    x = np.column_stack(columns) * known[:, None]
    chosen = lags if lags is not None else season or int(4 * (n / 100) ** (2 / 9))
    if chosen < 0 or chosen >= n // 2:
        raise UsageError(f"{chosen} lags do not fit a series of {n} periods")
    return Design(y, x, names, known, start, chosen)


# -- fitting -----------------------------------------------------------------------------------------------


def _terms(slope: bool) -> list[str]:
    return ["step", "bend", "mean effect", "last effect"] if slope else ["step"]


def _effects(design: Design) -> Array:
    """The weights of the coefficients in each term: terms × coefficients."""
    later = np.arange(len(design.y) - design.start)[design.known[design.start :]]
    shapes = [(1.0, 0.0)]
    if "bend" in design.names:
        shapes += [(0.0, 1.0), (1.0, float(later.mean())), (1.0, float(later.max()))]
    rows = np.zeros((len(shapes), len(design.names)))
    for row, (step, bend) in zip(rows, shapes, strict=True):
        row[2] = step
        if len(shapes) > 1:
            row[3] = bend
    return rows


def fitted(design: Design, effects: Array, confidence: float, draws: int = DRAWS) -> Segmented:
    """Least squares with HAC errors; reach and p-value of each effect from the simulated distribution of its t."""
    fit = ols(design.y, design.x, design.names, errors="hac", lags=design.lags)
    values = effects @ fit.coefficients
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", effects, fit.covariance, effects), 0.0))
    q, r = np.linalg.qr(design.x)
    weights = q @ np.linalg.solve(r.T, effects.T)
    rng = np.random.default_rng(0)
    shocks = rng.standard_normal((len(design.y), min(draws, max(199, 4_000_000 // len(design.y)))))
    rho = _autocorrelation(fit.residuals, design.known, q, shocks[:, :200])
    noise = _wander(shocks, rho) * design.known[:, None]
    left = noise - q @ (q.T @ noise)
    reach, chance = [], []
    for place in range(len(effects)):
        size = _hac_sizes(weights[:, place][:, None] * left, design.lags)
        t = np.abs(weights[:, place] @ noise) / size
        seen = abs(float(values[place])) / float(errors[place])
        reach.append(max(float(np.quantile(t, confidence)), quantile_of(confidence)))
        chance.append((1 + int((t >= seen).sum())) / (1 + len(t)))
    return Segmented(fit, rho, values, errors, np.array(reach), np.array(chance))


def _hac_sizes(scores: Array, lags: int) -> Array:
    """Newey and West's standard error of each column's sum."""
    total = (scores**2).sum(axis=0)
    for lag in range(1, lags + 1):
        total = total + 2 * (1 - lag / (lags + 1)) * (scores[lag:] * scores[:-lag]).sum(axis=0)
    return np.sqrt(np.maximum(total, 1e-300))


def _wander(shocks: Array, rho: float) -> Array:
    """First-order autoregressive columns of variance 1, made of independent shocks."""
    from scipy.signal import lfilter

    scaled = shocks * np.sqrt(1 - rho**2)
    scaled[0] = shocks[0]
    return np.asarray(lfilter([1.0], [1.0, -rho], scaled, axis=0))


def _autocorrelation(residuals: Array, known: Array, q: Array, shocks: Array) -> float:
    """The autocorrelation whose residuals, after this regression, look on average as autocorrelated as ours."""

    def first(left: Array) -> Array:
        return (left[1:] * left[:-1]).sum(axis=0) / np.maximum((left**2).sum(axis=0), 1e-300)

    seen = float(first(residuals[:, None] * known[:, None])[0])
    low, high = 0.0, 0.99
    for _ in range(14):
        middle = (low + high) / 2
        noise = _wander(shocks, middle) * known[:, None]
        if float(first(noise - q @ (q.T @ noise)).mean()) < seen:
            low = middle
        else:
            high = middle
    return (low + high) / 2 if low > 0 else 0.0


def _numbers(found: Segmented, place: int) -> dict[str, Any]:
    value, error = float(found.values[place]), float(found.errors[place])
    reach = float(found.reach[place]) * error
    return {
        "estimate": value, "std_error": error, "low": value - reach, "high": value + reach,
        "p_value": float(found.chance[place]),
    }


def _percent(value: float) -> float:
    return float(np.expm1(value))


def _told(
    periods: Sequence[Any], design: Design, found: Segmented, confidence: float, log: bool
) -> list[dict[str, Any]]:
    """Actual against counterfactual by period, with the bands that the coefficients' errors leave."""
    k = len(design.names)
    plain = design.x.copy()
    plain[:, [i for i, name in enumerate(design.names) if name in ("step", "bend")]] = 0.0
    roots, vectors = np.linalg.eigh(found.fit.covariance)
    half = vectors * np.sqrt(np.maximum(roots, 0.0))
    wide = float(found.reach[0]) / quantile_of(confidence)
    draws = found.fit.coefficients[:, None] + wide * half @ np.random.default_rng(1).standard_normal((k, 1000))
    usual, lines = plain @ found.fit.coefficients, plain @ draws
    actual = design.y
    if log:
        usual, lines, actual = np.exp(usual), np.exp(lines), np.exp(design.y)
    gaps = (actual[:, None] - lines) * design.known[:, None]
    ends = [0.5 - confidence / 2, 0.5 + confidence / 2]
    low, high = np.quantile(gaps, ends, axis=1)
    running = np.cumsum(np.where(np.arange(len(actual))[:, None] >= design.start, gaps, 0.0), axis=0)
    sum_low, sum_high = np.quantile(running, ends, axis=1)
    rows, total = [], 0.0
    for place, period in enumerate(periods):
        known, after = bool(design.known[place]), place >= design.start
        gap = float(actual[place] - usual[place])
        total += gap if known and after else 0.0
        rows.append({
            "period": period, "after": after, "actual": float(actual[place]) if known else None,
            "counterfactual": float(usual[place]) if known else None, "gap": gap if known else None,
            "low": float(low[place]) if known else None, "high": float(high[place]) if known else None,
            "cumulative": total if after else None,
            "cumulative_low": float(sum_low[place]) if after else None,
            "cumulative_high": float(sum_high[place]) if after else None,
        })
    return rows


def _placebos(
    series: _Series, design: Design, start: int, season: int, slope: bool, log: bool, lags: int | None,
    covariates: Sequence[str], outcome: str, confidence: float,
) -> list[dict[str, Any]]:
    """The same at dates before the change, on the data before it."""
    least = LEAST_BEFORE + (season - 1 if season else 0) + len(covariates)
    side = max(LEAST_AFTER, min(len(design.y) - start, start // 4), 6)
    places = range(max(least, 2 * season), start - side + 1)
    if len(places) == 0:
        return []
    chosen = sorted({int(p) for p in np.linspace(places[0], places[-1], min(MOST_PLACEBOS, len(places))).round()})
    short = _Series(series.periods[:start], {n: v[:start] for n, v in series.values.items()}, series.grain, False)
    found = []
    for place in chosen:
        try:
            one = _design(short.values[outcome], short, place, season, slope, log, lags, covariates, outcome)
            line = _numbers(fitted(one, _effects(one), confidence, PLACEBO_DRAWS), 0)
        except UsageError:
            continue
        found.append({"since": series.periods[place], **line})
    return found


def _picture(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import counterfactual

    return counterfactual(
        answer.extras["series"], "period", "actual", "counterfactual", gap="gap", low="low", high="high",
        cumulative="cumulative", cumulative_low="cumulative_low", cumulative_high="cumulative_high",
        since=answer.extras["since"], **{"title": answer.title, **options},
    )
