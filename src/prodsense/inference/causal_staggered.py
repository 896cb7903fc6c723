"""Adoption at several dates: group-time effects against units that are not treated, never against those that are.

Source: Callaway & Sant'Anna 2021 (group-time average effects, aggregation, uniform bands) with the estimators of
Sant'Anna & Zhao 2020 (doubly robust), Heckman, Ichimura & Todd 1997 (outcome regression) and Abadie 2005 (weighting,
normalised). Standard errors come from influence functions, those of the aggregations' weights included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_propensity import Score, logit
from prodsense.inference.causal_result import QUASI, Estimate, estimate, headline, numbers, spoken, spoken_test
from prodsense.inference.causal_twfe import two_way
from prodsense.inference.ols import Array, Codes, band_factor, group_sums, joint, quantile_of

CONTROLS = ("never", "not_yet")
METHODS = ("doubly_robust", "regression", "weighting")
AGGREGATES = ("group_time", "dynamic", "group", "calendar", "simple")
#: A cohort of fewer units than this is estimated, with a warning.
SMALL_COHORT = 5

ASSUMPTIONS = (
    "Parallel trends by cohort: untreated, each cohort would have moved as its controls did (given the covariates).",
    "No anticipation: nothing reacts before the date (less the periods of anticipation given).",
    "Once treated, always treated.",
    "No spillover: the controls do not feel the change.",
)


@dataclass(frozen=True)
class Design:
    """A balanced panel: outcomes (units × periods), each unit's cohort as the place of its first treated period.

    A unit never treated within the panel has the cohort `len(periods)`; `reached` is False for those whose date lies
    after the last period (they are controls that are not yet treated, but not never treated).
    """

    outcome: Array
    cohort: Codes
    never: Array
    x: Array
    cluster: Codes | None
    periods: list[Any]

    @property
    def cohorts(self) -> list[int]:
        return [int(g) for g in np.unique(self.cohort) if g < len(self.periods)]


@dataclass(frozen=True)
class Effects:
    """Numbers with the influence of each unit on them: units × numbers, mean 0."""

    values: Array
    influence: Array

    def covariance(self, cluster: Codes | None) -> Array:
        """Covariance of the numbers; units of a cluster move together."""
        n = len(self.influence)
        sums = self.influence if cluster is None else group_sums(self.influence, cluster)
        groups = len(sums)
        return sums.T @ sums / n**2 * (groups / (groups - 1))


def staggered_did(
    data: Any,
    outcome: str,
    *,
    unit: str,
    time: str,
    cohort: str,
    covariates: str | Sequence[str] = (),
    control: str = "never",
    method: str = "doubly_robust",
    aggregate: str = "dynamic",
    anticipation: int = 0,
    balance: int | None = None,
    cluster: str | None = None,
    grain: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """Effects of a change that units adopt at different dates.

    `cohort` holds a unit's first treated period (null or 0: never). ATT(g, t) compares cohort g's change since its
    last untreated period with that of units that are ``never`` treated, or ``not_yet`` (at t). Before adoption each
    period is set against the one before it: those are placebos. `covariates` (numbers, constant within a unit) enter
    by `method`: ``doubly_robust``, ``regression`` or ``weighting``.

    `aggregate` chooses the rows: ``group_time``, or means weighted by the size of cohorts: ``dynamic`` (by periods
    since adoption; `balance=k` keeps cohorts seen for k more and stops there), ``group``, ``calendar``, ``simple``.
    `anticipation`: periods before the date in which units may react already.

    Columns: ``group``, ``period`` or ``relative`` as asked, ``estimate``, ``std_error``, ``low``, ``high``,
    ``p_value``, ``band_low``, ``band_high``. Extras: ``estimate`` (overall), ``aggregates`` (all four),
    ``pre_trend``, ``cohorts``, ``two_way`` (what a two-way regression says, and how much of it is forbidden
    comparisons). Units not seen in all periods are left out and counted. Raises UsageError without controls.
    """
    for given, known, what in (
        (control, CONTROLS, "control"), (method, METHODS, "method"), (aggregate, AGGREGATES, "aggregate"),
    ):  # fmt: skip
        if given not in known:
            raise UsageError(f"no {what} named {given!r}; choose one of {', '.join(known)}")
    if anticipation < 0:
        raise UsageError(f"anticipation is a number of periods, not below 0: {anticipation}")
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    with cd.opened(data, where) as sample:
        design, notes, warnings = read_design(sample, outcome, unit, time, cohort, names, cluster, grain)
        if control == "never" and not design.never.any():
            raise UsageError("no unit is never treated; compare with those not yet treated: control='not_yet'")
        pairs, effects, skipped = group_time(design, control, method, anticipation)
        warnings += [f"{count} of the group-time effects {said}" for said, count in skipped.items()]
        periods = design.periods
        sizes = {g: int((design.cohort == g).sum()) for g in design.cohorts}
        small = [g for g in sizes if sizes[g] < SMALL_COHORT]
        if small:
            warnings.append(f"{len(small)} cohort{'s' if len(small) > 1 else ''} of fewer than {SMALL_COHORT} units: "
                            "their errors are rough")  # fmt: skip
        # Influence functions are for many units; of few, t with the smaller arm's degrees errs on the safe side.
        arms = [len(np.unique(design.cluster[arm])) if design.cluster is not None else int(arm.sum())
                for arm in (design.cohort < len(periods), design.cohort == len(periods)) if arm.any()]  # fmt: skip
        degrees = float(max(min(arms) - 1, 1))
        overall = {}
        tables = {}
        for kind in ("simple", "group", "dynamic", "calendar"):
            tables[kind] = aggregated(design, pairs, effects, kind, balance if kind == "dynamic" else None)
            one = tables[kind][2]
            error = float(np.sqrt(one.covariance(design.cluster)[0, 0]))
            overall[kind] = numbers(float(one.values[0]), error, degrees, confidence)
        if aggregate == "group_time":
            keys: list[dict[str, Any]] = [
                {"group": periods[g], "period": periods[t], "relative": t - g} for g, t in pairs
            ]
            shown = effects
        else:
            places, shown, _ = tables[aggregate]
            keys = [
                {"relative": k} if aggregate == "dynamic" else {"group": periods[k]} if aggregate == "group"
                else {"period": periods[k]} if aggregate == "calendar" else {"aggregate": "simple"} for k in places
            ]  # fmt: skip
        covariance = shown.covariance(design.cluster)
        factor = band_factor(covariance, confidence) * quantile_of(confidence, degrees) / quantile_of(confidence)
        rows = []
        for key, value, error in zip(keys, shown.values, np.sqrt(np.diag(covariance)), strict=True):
            line = numbers(float(value), float(error), degrees, confidence)
            reach = factor * error if error > 0 else None
            rows.append({**key, **line, "band_low": value - reach if reach else None,
                         "band_high": value + reach if reach else None})  # fmt: skip
        main_kind = "simple" if aggregate == "group_time" else aggregate
        main = headline(f"{main_kind.replace('_', ' ')} effect", overall[main_kind], confidence, degrees=degrees)
        early = [i for i, (g, t) in enumerate(pairs) if t < g - anticipation]
        trend = None
        if early:
            full = effects.covariance(design.cluster)
            trend = joint(effects.values[early], full[np.ix_(early, early)])
            if trend.degrees and trend.p_value < 0.05:
                warnings.append(f"cohorts moved apart from their controls before adoption (p = {trend.p_value:.3g})")
        else:
            warnings.append("no cohort has two periods before adoption: parallel trends cannot be tested")
        naive = two_way(design.outcome, design.cohort, periods, design.cluster)
        if naive["forbidden_weight"] > 0.01:
            warnings.append(
                f"a two-way regression would say {spoken(naive['estimate'])}, {naive['forbidden_weight']:.0%} of it"
                " from comparing with units that are treated already"
            )
        extras = {
            "aggregate": aggregate, "control": control, "estimator": method if names else "unconditional",
            "aggregates": overall, "pre_trend": trend.as_dict() if trend else None,
            "cohorts": [{"group": periods[g], "units": n} for g, n in sizes.items()],
            "untreated": int((design.cohort == len(periods)).sum()), "units": len(design.cohort),
            "anticipation": anticipation, "band_factor": factor, "two_way": naive, "outcome": outcome,
        }
        return estimate(
            sample, rows, method="staggered_did", title="Staggered adoption", label=QUASI, main=main, extras=extras,
            assumptions=ASSUMPTIONS, warnings=warnings,
            notes=[*notes, spoken_test(trend, "parallel trends before adoption")], picture=_picture,
        )


# -- data --------------------------------------------------------------------------------------------------


def read_design(
    sample: cd.Sample, outcome: str, unit: str, time: str, cohort: str, covariates: Sequence[str], cluster: str | None,
    grain: str | None,
) -> tuple[Design, list[str], list[str]]:
    """The balanced panel with cohorts, and notes and warnings of what was left out."""
    moment = sample.moment(cohort, grain)
    whole = "BIGINT" in moment
    started = f"NULLIF({moment}, 0)" if whole else f"days_between(DATE '1970-01-01', {moment})"
    constant = {"cohort": started}
    for number, name in enumerate(covariates, 1):
        if sample.is_text(name):
            raise UsageError(f"{name} is text; give covariates of a staggered design as numbers")
        constant[f"x_{number}"] = sample.number(name, "covariate")
    found = cd.panel(sample, unit, time, outcome, grain=grain, constant=constant)
    periods, notes, warnings = found.periods, list(found.notes), []
    if len(periods) < 2:
        raise UsageError(f"{time} has one value only; a change needs a period before and one after")
    if isinstance(periods[0], int) != whole:
        raise UsageError(f"{cohort} and {time} are of different kinds; both should be dates, or both whole numbers")
    line = np.array([cd.ordinal(p) - (0 if whole else 719163) for p in periods])
    start = found.extra["cohort"]
    known = ~np.isnan(start)
    place: Codes = np.full(len(start), len(periods), dtype=np.int64)
    place[known] = np.searchsorted(line, start[known])
    kept: Array = found.complete()
    if not kept.all():
        notes.append(f"{int((~kept).sum())} of {len(kept)} units not seen in all {len(periods)} periods left out")
    always = kept & (place == 0)
    if always.any():
        notes.append(f"{int(always.sum())} units treated in the first period left out: nothing of them is untreated")
        kept &= ~always
    if len(covariates):
        bare = kept & np.isnan(np.column_stack([found.extra[f"x_{i + 1}"] for i in range(len(covariates))])).any(axis=1)
        if bare.any():
            notes.append(f"{int(bare.sum())} units without a covariate left out")
            kept &= ~bare
    if not (place[kept] < len(periods)).any():
        raise UsageError(f"no unit seen in all periods has its {cohort} among them: nothing to estimate")
    if np.ptp(np.diff(line)) > (4 if not whole else 0):
        warnings.append("the periods are not evenly spaced: periods since adoption are counted, not their length")
    x = np.column_stack([np.ones(int(kept.sum())), *(found.extra[f"x_{i + 1}"][kept] for i in range(len(covariates)))])
    groups = None
    if cluster:
        groups = np.unique(_clusters(sample, unit, cluster, found.units)[kept], return_inverse=True)[1]
    if groups is not None and groups.max() < 1:
        raise UsageError(f"all units are of one {cluster}: nothing says how clusters vary")
    return Design(found.outcome[kept], place[kept], ~known[kept], x, groups, periods), notes, warnings


def _clusters(sample: cd.Sample, unit: str, cluster: str, units: Sequence[Any]) -> Codes:
    """The code of each unit's cluster; UsageError where a unit is in several or in none."""
    items = {"unit": comma([sample.column(unit, "unit")]), "cluster": comma([sample.column(cluster, "cluster")])}
    found = sample.query(
        f"WITH given AS ({sample.source(items, list(items))})"
        " SELECT unit, MIN(cluster) AS cluster, COUNT(DISTINCT cluster) AS n FROM given GROUP BY unit ORDER BY unit"
    )
    named, count = found["unit"].to_pylist(), found["n"].to_numpy()
    if (count > 1).any():
        place = int(np.flatnonzero(count > 1)[0])
        raise UsageError(f"{unit} {named[place]} is in {count[place]} clusters; each unit should be in one")
    codes = dict(zip(named, cd.coded(found, "cluster")[0].tolist(), strict=True))
    missing = [name for name in units if name not in codes]
    if missing:
        raise UsageError(f"{unit} {missing[0]} has no {cluster}")
    return np.array([codes[name] for name in units], dtype=np.int64)


# -- effects -----------------------------------------------------------------------------------------------


def group_time(
    design: Design, control: str, method: str, anticipation: int
) -> tuple[list[tuple[int, int]], Effects, dict[str, int]]:
    """ATT(g, t) of every cohort and period but the first, with influence functions; and what could not be estimated."""
    n, last = len(design.cohort), len(design.periods)
    pairs, values, columns = [], [], []
    skipped: dict[str, int] = {}
    plain = design.x.shape[1] == 1
    # The score of a cohort against its controls is the same in every period.
    scored: dict[tuple[int, bytes], Score] = {}
    for g in design.cohorts:
        mine = design.cohort == g
        for t in range(1, last):
            after = t >= g - anticipation
            base = g - 1 - anticipation if after else t - 1
            if base < 0:
                said = "have no period before to start from"
                skipped[said] = skipped.get(said, 0) + 1
                continue
            if control == "never":
                others = design.never
            else:
                others = (design.cohort > max(t, base) + anticipation) & ~mine
            if not others.any():
                said = "have nobody left to compare with"
                skipped[said] = skipped.get(said, 0) + 1
                continue
            change = design.outcome[:, t] - design.outcome[:, base]
            influence = np.zeros(n)
            if plain:
                value = change[mine].mean() - change[others].mean()
                influence[mine] = n / mine.sum() * (change[mine] - change[mine].mean())
                influence[others] = -n / others.sum() * (change[others] - change[others].mean())
            else:
                both = mine | others
                treated, x = mine[both].astype(float), design.x[both]
                key = (g, others.tobytes())
                if method != "regression" and key not in scored:
                    scored[key] = logit(treated, x)
                value, part = att(change[both], treated, x, method, scored.get(key))
                influence[both] = n / both.sum() * part
            pairs.append((g, t))
            values.append(value)
            columns.append(influence)
    if not any(t >= g for g, t in pairs):
        raise UsageError("no cohort has both a period before its date and controls after it: nothing to estimate")
    return pairs, Effects(np.array(values), np.column_stack(columns)), skipped


def att(
    change: Array, treated: Array, x: Array, method: str, score: Score | None = None
) -> tuple[float, Array]:
    """The effect on the treated of a 2×2 comparison given covariates, and each row's influence on it.

    Sant'Anna & Zhao 2020, estimators with logit propensity and linear outcome (their `drdid_panel`, `reg_did_panel`,
    `std_ipw_did_panel`).
    """
    n = len(change)
    free = 1 - treated
    outcome_part, fitted = np.zeros((n, x.shape[1])), np.zeros(n)
    if method != "weighting":
        gram = (x * free[:, None]).T @ x / n
        if np.linalg.matrix_rank(gram) < x.shape[1]:
            raise UsageError("the covariates of the controls repeat each other; leave one out")
        slope = np.linalg.solve(gram, (x * (free * change)[:, None]).mean(axis=0))
        fitted = x @ slope
        outcome_part = ((free * (change - fitted))[:, None] * x) @ np.linalg.inv(gram)
    if method == "regression":
        level = (treated * (change - fitted)).mean() / treated.mean()
        moved = (treated[:, None] * x).mean(axis=0)
        influence = (treated * (change - fitted) - treated * level - outcome_part @ moved) / treated.mean()
        return float(level), influence
    score = score or logit(treated, x)
    odds = score.probability / (1 - score.probability) * free
    rest = change - fitted
    on, off = (treated * rest).mean() / treated.mean(), (odds * rest).mean() / odds.mean()
    tilt = (odds * (rest - off))[:, None] * x
    inside = treated * (rest - on)
    outside = odds * (rest - off) + score.influence @ tilt.mean(axis=0)
    if method == "doubly_robust":
        inside = inside - outcome_part @ (treated[:, None] * x).mean(axis=0)
        outside = outside - outcome_part @ (odds[:, None] * x).mean(axis=0)
    return float(on - off), inside / treated.mean() - outside / odds.mean()


def aggregated(
    design: Design, pairs: Sequence[tuple[int, int]], effects: Effects, kind: str, balance: int | None = None
) -> tuple[list[int], Effects, Effects]:
    """The places that an aggregation has (periods since, cohorts, periods), its numbers, and the overall one."""
    g, t = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    last = len(design.periods)
    share = {c: float((design.cohort == c).mean()) for c in design.cohorts}
    weight = np.array([share[c] for c in g])
    after = t >= g

    def mean(kept: Array) -> Effects:
        """The mean over `kept` weighted by the cohorts' shares, which are estimated too."""
        w = weight[kept] / weight[kept].sum()
        belong = (design.cohort[:, None] == g[kept][None, :]).astype(float) - weight[kept]
        moved = belong / weight[kept].sum() - belong.sum(axis=1, keepdims=True) * w / weight[kept].sum()
        value = w @ effects.values[kept]
        return Effects(np.array([value]), (effects.influence[:, kept] @ w + moved @ effects.values[kept])[:, None])

    def stacked(parts: Sequence[Effects]) -> Effects:
        return Effects(np.concatenate([p.values for p in parts]), np.column_stack([p.influence for p in parts]))

    if kind == "simple":
        one = mean(np.flatnonzero(after))
        return [0], one, one
    if kind == "dynamic":
        relative = t - g
        allowed = np.ones(len(g), bool)
        if balance is not None:
            allowed = (last - 1 - g >= balance) & (relative <= balance)
            if not (allowed & after).any():
                raise UsageError(f"no cohort is seen for {balance} periods after adoption; take a smaller balance")
        places = sorted({int(e) for e in relative[allowed]})
        found = stacked([mean(np.flatnonzero(allowed & (relative == e))) for e in places])
        later = np.flatnonzero(np.array(places) >= 0)
    elif kind == "calendar":
        places = sorted({int(p) for p in t[after]})
        found = stacked([mean(np.flatnonzero(after & (t == p))) for p in places])
        later = np.arange(len(places))
    else:
        places = sorted({int(c) for c in g[after]})
        found = stacked([
            Effects(effects.values[k].mean(keepdims=True), effects.influence[:, k].mean(axis=1, keepdims=True))
            for k in (np.flatnonzero(after & (g == c)) for c in places)
        ])
        w = np.array([share[c] for c in places])
        belong = (design.cohort[:, None] == np.array(places)[None, :]).astype(float) - w
        moved = belong / w.sum() - belong.sum(axis=1, keepdims=True) * (w / w.sum()) / w.sum()
        w = w / w.sum()
        total = Effects(np.array([w @ found.values]), (found.influence @ w + moved @ found.values)[:, None])
        return places, found, total
    total = Effects(found.values[later].mean(keepdims=True), found.influence[:, later].mean(axis=1, keepdims=True))
    return places, found, total


def _picture(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import event_study as draw
    from prodsense.charts.effects import intervals

    options = {"title": answer.title, **options}
    names = answer.arrow.column_names
    if answer.extras["aggregate"] == "dynamic":
        return draw(
            answer.rows, "relative", "estimate", low="low", high="high", band_low="band_low", band_high="band_high",
            **options,
        )
    keys = [name for name in names[: names.index("estimate")] if name != "relative" or len(answer.rows) == 1]
    rows = [{**row, "name": " · ".join(str(row[key]) for key in keys)} for row in answer.rows]
    return intervals(rows, "name", "estimate", low="low", high="high", **options)
