"""Difference-in-differences of one date: two groups before and after, and the event study of the same.

Source: Angrist & Pischke 2009, chapter 5; clustered errors after Bertrand, Duflo & Mullainathan 2004. Adoption at
several dates is another estimator (`causal_staggered`): a regression would take the treated for controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_data import Sample
from prodsense.inference.causal_result import QUASI, Estimate, estimate, headline, numbers, spoken_test
from prodsense.inference.ols import Array, Codes, Fit, Joint, band_factor, compact, demeaned, ols

#: Below so many clusters in an arm their errors are too small more often than not.
FEW_CLUSTERS = 10
#: Periods before are tested one by one up to so many, and in so many blocks beyond.
MOST_BLOCKS = 24
MOST_PLACEBOS = 10
#: An event study with more periods is no picture.
MOST_PERIODS = 200

PARALLEL = (
    "Parallel trends: without the change, the treated would have moved as the others did.",
    "No anticipation: nothing reacted before the date.",
    "No spillover: the others did not feel the change.",
    "Stable groups: who belongs to a group does not depend on the change.",
)


@dataclass(frozen=True)
class Cells:
    """Rows of a comparison: single ones, or those of equal regressors together.

    `count` rows stand behind each; `spread` is the sum of squares of their outcomes around `y`.
    """

    y: Array
    treated: Array
    period: Codes
    periods: list[Any]
    unit: Codes | None
    units: list[Any]
    cluster: Codes | None
    count: Array
    spread: Array
    x: Array
    x_names: list[str]
    notes: list[str]

    def only(self, kept: Array) -> Cells:
        """The rows chosen, codes unchanged."""
        return Cells(
            self.y[kept], self.treated[kept], self.period[kept], self.periods,
            None if self.unit is None else self.unit[kept], self.units,
            None if self.cluster is None else self.cluster[kept],
            self.count[kept], self.spread[kept], self.x[kept], self.x_names, self.notes,
        )

    def fit(self, x: Array, names: Sequence[str], errors: str, absorbed: int = 0, y: Array | None = None) -> Fit:
        """A regression of the rows with the errors that belong to them."""
        clusters = []
        if errors == "cluster":
            assert self.cluster is not None
            clusters = [self.cluster]
        return ols(
            self.y if y is None else y, x, names, errors=errors, clusters=clusters, count=self.count,
            spread=self.spread, absorbed=absorbed,
        )


def did(
    data: Any,
    outcome: str,
    *,
    treated: str | Sequence[Any],
    after: str | None = None,
    time: str | None = None,
    since: object = None,
    unit: str | None = None,
    cluster: str | None = None,
    covariates: str | Sequence[str] = (),
    errors: str | None = None,
    grain: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """How much more the treated changed than the others: ``outcome ~ treated * after`` (and covariates).

    * `treated`: a column that is 1 in the treated group in all periods and 0 in the other, or a list of values of
      `unit`. `after`: a column that is 1 after the change; or `time` with `since`, its first period.
    * Errors are clustered by `cluster`, else by `unit`, else robust to unequal variances (HC1); `errors` names
      ``classic``, ``robust`` or ``cluster`` instead. Intervals use t with the clusters' degrees (G − 1).
    * `covariates`: columns; text becomes one 0/1 column a value.

    Columns: ``term``, ``estimate``, ``std_error``, ``low``, ``high``, ``p_value``; the first row is the effect. Extras:
    ``estimate``, ``means`` (of the four cells), ``relative`` (effect over what the treated would have had),
    ``pre_trend`` and ``placebo`` (null where only one period lies before). Raises UsageError when a cell is empty or
    an arm has a single cluster.
    """
    with cd.opened(data, where) as sample:
        if (after is None) == (time is None or since is None):
            raise UsageError("say what is after: either after (a 0/1 column), or time with since")
        cells = read_cells(sample, outcome, treated, time, after, unit, cluster, _names(covariates), grain)
        if time is None and 1 not in cells.periods:
            raise UsageError(f"{after} is 1 in no row: nothing lies after the change")
        start = cells.periods.index(1) if time is None else _first(cells, since)
        return _did(sample, cells, start, outcome, errors, confidence, time is not None)


def _did(
    sample: Sample, cells: Cells, start: int, outcome: str, errors: str | None, confidence: float, dated: bool
) -> Estimate:
    kind = check_errors(cells, errors)
    fit, means = two_by_two(cells, cells.period >= start, kind)
    rows = [{"term": name, **numbers(float(b), float(e), fit.degrees, confidence)}
            for name, b, e in zip(fit.names, fit.coefficients, fit.std_errors, strict=True)]  # fmt: skip
    main = headline("effect", rows[0], confidence, degrees=fit.degrees, errors=fit.errors)
    trend, placebo = (pre_trends(cells, start, kind, confidence) if dated and start > 1 else (None, []))
    warnings = cluster_warnings(cells, fit)
    if trend is None:
        why = "one period before the change" if not dated or start < 2 else "a period before has one group only"
        warnings.append(f"{why}: parallel trends, all that this rests on, cannot be tested")
    elif trend.p_value < 0.05:
        warnings.append(f"the groups moved apart before the change already (p = {trend.p_value:.3g})")
    usual = float(means[3]["mean"]) - fit.coefficients[0]
    extras = {
        "means": means, "relative": fit.coefficients[0] / usual if usual else None,
        "observations": fit.observations, "clusters": list(fit.clusters), "r_squared": fit.r_squared,
        "pre_trend": trend.as_dict() if trend else None, "placebo": placebo or None, "outcome": outcome,
    }
    notes = [*cells.notes, spoken_test(trend, "parallel trends before"), *_placebo_note(placebo)]
    notes += _panel_note(cells, start)
    return estimate(
        sample, rows, method="did", title="Difference in differences", label=QUASI, main=main, extras=extras,
        assumptions=PARALLEL, warnings=warnings, notes=notes, picture=_picture_did, units={},
    )


def event_study(
    data: Any,
    outcome: str,
    *,
    time: str,
    treated: str | Sequence[Any] | None = None,
    since: object = None,
    cohort: str | None = None,
    unit: str | None = None,
    cluster: str | None = None,
    covariates: str | Sequence[str] = (),
    reference: int = -1,
    errors: str | None = None,
    grain: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """The difference between the groups in each period, less that of the period before the change.

    `treated` with `since`, or `cohort`: a column with the first treated period (null or 0: never). Unit effects are
    taken out where `unit` is named, else those of the two groups. `reference` is the relative period that the others
    are set against. Other arguments as of `did`.

    Columns: ``relative`` (periods since the change), ``period``, ``estimate``, ``std_error``, ``low``, ``high``,
    ``p_value``, ``band_low``, ``band_high`` (a band for all periods at once). Extras: ``estimate`` (mean of the
    periods after), ``pre_trend`` (are all before 0), ``band_factor``. Raises UsageError for several dates of adoption:
    use `staggered_did`.
    """
    with cd.opened(data, where) as sample:
        if (cohort is None) == (treated is None or since is None):
            raise UsageError("say who is treated when: either treated with since, or cohort")
        if cohort is not None:
            since = _single_cohort(sample, cohort, grain)
        cells = read_cells(
            sample, outcome, treated or "", time, None, unit, cluster, _names(covariates), grain, cohort=cohort
        )
        if len(cells.periods) > MOST_PERIODS:
            raise UsageError(f"{len(cells.periods)} periods are too many for an event study; name a coarser grain")
        start = _first(cells, since)
        kind = check_errors(cells, errors)
        base = start + reference
        if not 0 <= base < start:
            raise UsageError(f"reference {reference} is no period before the change; there are {start} of them")
        fit, places = event_fit(cells, base, kind)
        chosen = sorted(places)
        index = [places[p] for p in chosen]
        factor = band_factor(fit.covariance[np.ix_(index, index)], confidence)
        rows = []
        for period in sorted({*places, base}):
            known = period in places
            value = float(fit.coefficients[places[period]]) if known else 0.0
            error = float(fit.std_errors[places[period]]) if known else None
            line = numbers(value, error, fit.degrees, confidence)
            reach = factor * error if error else None
            rows.append({
                "relative": period - start, "period": cells.periods[period], **line,
                "band_low": value - reach if reach else None, "band_high": value + reach if reach else None,
            })
        later = [places[p] for p in chosen if p >= start]
        weights = np.zeros(len(fit.coefficients))
        weights[later] = 1 / len(later)
        main = headline(
            "mean effect after", numbers(*fit.combination(weights), fit.degrees, confidence), confidence,
            degrees=fit.degrees, errors=fit.errors,
        )
        earlier = [places[p] for p in chosen if p < start]
        trend = fit.test(earlier) if earlier else None
        warnings = cluster_warnings(cells, fit)
        if trend is None:
            warnings.append("one period before the change: parallel trends, all that this rests on, cannot be tested")
        elif trend.p_value < 0.05:
            warnings.append(f"the groups moved apart before the change already (p = {trend.p_value:.3g})")
        extras = {
            "pre_trend": trend.as_dict() if trend else None, "reference": reference, "since": cells.periods[start],
            "band_factor": factor, "observations": fit.observations, "clusters": list(fit.clusters), "outcome": outcome,
        }
        return estimate(
            sample, rows, method="event_study", title="Event study", label=QUASI, main=main, extras=extras,
            assumptions=PARALLEL, warnings=warnings,
            notes=[*cells.notes, spoken_test(trend, "parallel trends before")], picture=_picture_events,
        )


# -- rows --------------------------------------------------------------------------------------------------


def read_cells(
    sample: Sample, outcome: str, treated: str | Sequence[Any], time: str | None, after: str | None,
    unit: str | None, cluster: str | None, covariates: Sequence[str], grain: str | None, cohort: str | None = None,
) -> Cells:
    """The rows of a comparison, aggregated in the engine where no covariate tells them apart."""
    named = not isinstance(treated, str)
    if named and unit is None:
        raise UsageError("treated lists values of a unit: name the unit's column")
    items = {"y": sample.number(outcome, "outcome")}
    items["period"] = sample.moment(time, grain) if time else sample.number(after or "", "after")
    if cohort:
        moment = sample.moment(cohort, grain)
        never = f"{moment} = 0" if "BIGINT" in moment else "FALSE"
        items["treated"] = f"CASE WHEN {moment} IS NULL OR {never} THEN 0.0 ELSE 1.0 END"
    elif not named:
        items["treated"] = sample.number(str(treated), "treated")
    for name, column in (("unit", unit), ("cluster", cluster)):
        if column:
            items[name] = comma([sample.column(column, name)])
    items |= cd.covariate_items(sample, covariates)
    needed = list(items)
    asked = [outcome, time or after, None if named else str(treated), unit, cluster, *covariates]
    said = ", ".join(dict.fromkeys(name for name in asked if name))
    notes = sample.note_left_out(items, needed, said)
    if covariates:
        table = sample.rows(items)
        count, spread = np.ones(table.num_rows), np.zeros(table.num_rows)
    else:
        keys = ", ".join(name for name in items if name != "y")
        table = sample.query(
            f"WITH given AS ({sample.source(items, needed)}) SELECT {keys}, mean(y) AS y, COUNT(*) AS n,"
            f" VAR_POP(y) AS variance FROM given GROUP BY {keys} ORDER BY {keys}"
        )
        count = table["n"].to_numpy().astype(float)
        spread = table["variance"].to_numpy().astype(float) * count
    if not table.num_rows:
        raise UsageError(f"{sample.label} has no rows with {said}")
    codes, units = cd.coded(table, "unit") if unit else (None, [])
    period, periods = cd.coded(table, "period")
    if after:
        cd.zero_one(np.array(periods, float), after)
        periods = [int(p) for p in periods]
    if named:
        wanted = {str(value) for value in treated}
        chosen = np.array([str(value) in wanted for value in units])
        missing = wanted - {str(value) for value in units}
        if missing:
            raise UsageError(f"{unit} has no value {sorted(missing)[0]}")
        assert codes is not None
        flags = chosen[codes].astype(float)
    else:
        flags = cd.zero_one(cd.floats(table, "treated"), str(treated))
    if codes is not None:
        share = np.bincount(codes, flags) / np.bincount(codes)
        mixed = np.flatnonzero((share > 0) & (share < 1))
        if len(mixed):
            raise UsageError(
                f"{unit} {units[int(mixed[0])]} is treated in some rows and untreated in others; treated marks a group"
                " in all periods. Where units adopt at different dates, use staggered_did with each one's first period"
            )
    x, x_names = cd.covariate_columns(sample, table, covariates)
    clusters = cd.coded(table, "cluster")[0] if cluster else codes
    y = cd.floats(table, "y", outcome)
    return Cells(y, flags, period, periods, codes, units, clusters, count, spread, x, x_names, notes)


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _first(cells: Cells, since: object) -> int:
    """Place of the first period at or after `since`; UsageError when no period lies before or after it."""
    start = cd.read_start(since, cells.periods)
    place = sum(1 for period in cells.periods if period < start)
    if place == 0 or place == len(cells.periods):
        side = "before" if place == 0 else "at or after"
        raise UsageError(f"no rows {side} {since}; times run from {cells.periods[0]} to {cells.periods[-1]}")
    return place


def _single_cohort(sample: Sample, cohort: str, grain: str | None) -> Any:
    """The one date of adoption in a column of cohorts."""
    given = sample.source({"cohort": sample.moment(cohort, grain)}, [])
    found = sample.query(f"WITH given AS ({given}) SELECT DISTINCT cohort FROM given")["cohort"].to_pylist()
    dates = sorted(value for value in found if value is not None and value != 0)
    if len(dates) != 1:
        raise UsageError(
            f"{cohort} has {len(dates)} dates of adoption; an event study by regression is for one:"
            " use staggered_did, which never compares with those who are treated already"
        )
    return dates[0]


def check_errors(cells: Cells, errors: str | None) -> str:
    """The kind of errors to use; UsageError where an arm has one cluster or the kind has nothing to stand on."""
    kind = errors or ("cluster" if cells.cluster is not None else "robust")
    if kind not in ("classic", "robust", "cluster"):
        raise UsageError(f"no errors named {kind!r}; choose one of classic, robust, cluster")
    if kind == "cluster":
        if cells.cluster is None:
            raise UsageError("clustered errors need a column to cluster by: name cluster or unit")
        for arm, said in ((1, "treated"), (0, "untreated")):
            many = _many(cells.cluster[cells.treated == arm])
            if many < 2:
                raise UsageError(
                    f"{many} {said} cluster{'' if many == 1 else 's'}: how clusters vary cannot be seen from so few;"
                    " a synthetic control needs only one treated unit"
                )
    return kind


def _many(codes: Codes) -> int:
    """How many codes there are."""
    return int((np.bincount(codes) > 0).sum()) if len(codes) else 0


def cluster_warnings(cells: Cells, fit: Fit) -> list[str]:
    """What to know of errors from few clusters, or from none."""
    if fit.errors == "cluster":
        assert cells.cluster is not None
        least = min(_many(cells.cluster[cells.treated == arm]) for arm in (0, 1))
        if least < FEW_CLUSTERS:
            return [f"{least} clusters in an arm: with fewer than {FEW_CLUSTERS} the interval is likely too narrow"]
        return []
    if cells.cluster is None:
        return ["rows are taken as independent; where a unit appears more than once, name it (unit or cluster)"]
    return []


# -- regressions -------------------------------------------------------------------------------------------


def two_by_two(cells: Cells, later: Array, kind: str) -> tuple[Fit, list[dict[str, Any]]]:
    """``y ~ treated * after`` and covariates, the effect first; and the means of the four cells."""
    post = later.astype(float)
    means = []
    for arm in (0.0, 1.0):
        for moment in (0.0, 1.0):
            cell = (cells.treated == arm) & (post == moment)
            rows = float(cells.count[cell].sum())
            who = f"{'treated' if arm else 'untreated'} {'after' if moment else 'before'}"
            if rows == 0:
                raise UsageError(f"no row is {who}: treated marks a group in all periods, before and after")
            mean = float((cells.count * cells.y)[cell].sum() / rows)
            means.append({"treated": bool(arm), "after": bool(moment), "mean": mean, "rows": int(rows)})
    if float(np.ptp(cells.y)) == 0 and float(cells.spread.sum()) == 0:
        raise UsageError("the outcome has one value in all rows: there is nothing to compare")
    one = np.ones(len(cells.y))
    x = np.column_stack([cells.treated * post, cells.treated, post, one, cells.x])
    return cells.fit(x, ["effect", "treated", "after", "constant", *cells.x_names], kind), means


def event_fit(cells: Cells, base: int, kind: str) -> tuple[Fit, dict[int, int]]:
    """Differences of the groups in each period against period `base`; and period → place of its coefficient."""
    periods = np.unique(cells.period)
    for period in periods:
        arms = np.unique(cells.treated[cells.period == period])
        if len(arms) < 2:
            raise UsageError(f"period {cells.periods[int(period)]} has rows of one group only; leave it out (where)")
    shown = [int(p) for p in periods if p != base]
    events = np.column_stack([cells.treated * (cells.period == p) for p in shown])
    seasons = np.column_stack([(cells.period == p).astype(float) for p in shown])
    names = [f"relative to {cells.periods[base]}: {cells.periods[p]}" for p in shown]
    names += [f"period {cells.periods[p]}" for p in shown] + cells.x_names
    x = np.column_stack([events, seasons, cells.x])
    if cells.unit is None:
        x = np.column_stack([x, cells.treated, np.ones(len(x))])
        fit = cells.fit(x, [*names, "treated", "constant"], kind)
    else:
        units = compact(cells.unit)
        y = demeaned(cells.y, units, cells.count)
        fit = cells.fit(demeaned(x, units, cells.count), names, kind, int(units.max()) + 1, y)
    return fit, {p: i for i, p in enumerate(shown)}


def pre_trends(cells: Cells, start: int, kind: str, confidence: float) -> tuple[Joint | None, list[dict[str, Any]]]:
    """Are the groups apart before the change: the joint test of an event study, and effects of dates that were none."""
    before = cells.only(cells.period < start)
    blocks = np.arange(start)
    if start > MOST_BLOCKS:
        # Many short periods would cost a coefficient each: the test takes them in blocks.
        blocks = blocks * MOST_BLOCKS // start
    try:
        fit, places = event_fit(replace(before, period=blocks[before.period]), int(blocks[-1]), kind)
        trend = fit.test(list(places.values()))
    except UsageError:  # a period with one group only, or too few rows: the test is not to be had
        trend = None
    placebo = []
    for fake in sorted({int(p) for p in np.linspace(1, start - 1, min(MOST_PLACEBOS, start - 1)).round()}):
        try:
            found, _ = two_by_two(before, before.period >= fake, kind)
        except UsageError:
            continue
        line = numbers(float(found.coefficients[0]), float(found.std_errors[0]), found.degrees, confidence)
        placebo.append({"since": cells.periods[fake], **line})
    return trend, placebo


def _placebo_note(placebo: Sequence[dict[str, Any]]) -> list[str]:
    if not placebo:
        return []
    seen = sum(1 for line in placebo if line["p_value"] is not None and line["p_value"] < 0.05)
    return [f"placebo dates before the change: {seen} of {len(placebo)} show an effect at 5%"]


def _panel_note(cells: Cells, start: int) -> list[str]:
    """Whether the same units stand on both sides."""
    if cells.unit is None:
        return []
    sides = [np.bincount(cells.unit[side], minlength=len(cells.units)) > 0
             for side in (cells.period < start, cells.period >= start)]  # fmt: skip
    missing = int((sides[0] != sides[1]).sum())
    return [f"{missing} of {len(cells.units)} units are seen on one side only"] if missing else []


def _picture_did(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import intervals

    rows = [row for row in answer.rows if row["term"] in ("effect", "treated", "after")]
    return intervals(rows, "term", "estimate", low="low", high="high", **{"title": answer.title, **options})


def _picture_events(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import event_study as draw

    return draw(
        answer.rows, "relative", "estimate", low="low", high="high", band_low="band_low", band_high="band_high",
        **{"title": answer.title, **options},
    )
