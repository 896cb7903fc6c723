"""One treated unit against a weighted mix of the others: synthetic control and synthetic difference-in-differences.

Sources: Abadie, Diamond & Hainmueller 2010 (weights on the outcome before, placebos in space and time, ratios of mean
squared errors); Arkhangelsky, Athey, Hirshberg, Imbens & Wager 2021 (unit and time weights, placebo and jackknife
errors: their algorithms 1, 3 and 4). Both weight problems are solved to their optimum (`causal_weights`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prodsense.errors import UsageError
from prodsense.inference import causal_data as cd
from prodsense.inference.causal_result import QUASI, Estimate, estimate, headline, numbers, spoken
from prodsense.inference.causal_weights import simplex_weights
from prodsense.inference.ols import Array, quantile_of

METHODS = ("synthetic", "sdid")
ERRORS = ("placebo", "jackknife")
#: Placebo groups drawn where several units are treated.
REPLICATIONS = 200
LEAST_BEFORE, LEAST_DONORS = 3, 3

ASSUMPTIONS = (
    "The mix goes on as the treated unit would have: what moved them together before still does.",
    "No donor feels the change, and none has a change of its own.",
    "No anticipation: nothing reacted before the date.",
    "Intervals take the treated unit's gap to vary like the donors' placebo gaps.",
)


@dataclass(frozen=True)
class Mix:
    """A fitted comparison: the `gap` of each period, weights of donors and (sdid) of periods before."""

    gap: Array
    donors: Array
    before: Array | None
    start: int

    @property
    def effect(self) -> float:
        return float(self.gap[self.start :].mean())

    @property
    def error_before(self) -> float:
        """Root of the mean squared gap before."""
        return float(np.sqrt((self.gap[: self.start] ** 2).mean()))

    @property
    def ratio(self) -> float:
        """Mean squared gap after over that before."""
        before = float((self.gap[: self.start] ** 2).mean())
        after = float((self.gap[self.start :] ** 2).mean())
        return after / before if before > 0 else float("inf")


def mix(treated: Array, donors: Array, start: int, method: str = "synthetic", units: int = 1) -> Mix:
    """Fit the mean series of the treated by `donors` (periods × donors); the change comes at place `start`.

    `units` is the number of treated units behind `treated`, which sets the ridge of sdid.
    """
    before, a = treated[:start], donors[:start]
    if method == "synthetic":
        w = simplex_weights(a, before)
        return Mix(treated - donors @ w, w, None, start)
    many, last = donors.shape[1], len(treated)
    # Noise of one period to the next among donors, as the authors' package measures it.
    noise = float(np.diff(a, axis=0).std(ddof=1))
    zeta = (units * (last - start)) ** 0.25 * noise
    w = simplex_weights(a, before, ridge=zeta**2 * start, intercept=True)
    times = simplex_weights(
        a.T, donors[start:].mean(axis=0), ridge=(1e-6 * noise) ** 2 * many, intercept=True
    )
    gap = treated - donors @ w
    return Mix(gap - float(times @ gap[:start]), w, times, start)


def synthetic_control(
    data: Any,
    outcome: str,
    *,
    unit: str,
    time: str,
    treated: Any,
    since: object,
    donors: Sequence[Any] | None = None,
    method: str = "synthetic",
    errors: str = "placebo",
    grain: str | None = None,
    where: str = "",
    confidence: float = 0.95,
) -> Estimate:
    """The effect on one unit (or the mean of a few), against a mix of others that moved like it before.

    * `treated`: a value of `unit`, or a list. `since`: the first period with the change. `donors`: values to mix from
      (all others unless given); those not seen in every period are left out.
    * `method`: ``synthetic`` (weights that are not below 0 and add to 1, fitted on the outcome before) or ``sdid``
      (levels may differ; periods before are weighted too).
    * `errors`: ``placebo`` (each donor in the treated unit's place) or ``jackknife`` (sdid with several treated units).

    Columns: ``period``, ``after``, ``actual``, ``counterfactual``, ``gap``, ``low``, ``high``, ``cumulative``. Extras:
    ``estimate`` (mean gap after; for ``synthetic`` the p-value is the rank of its error ratio among the placebos),
    ``weights``, ``error_before`` (RMSPE), ``placebo_units``, ``placebo_dates``, ``leave_one_out``, ``compared``.
    Raises UsageError with fewer than 3 periods before or 3 donors.
    """
    for given, known, what in ((method, METHODS, "method"), (errors, ERRORS, "errors")):
        if given not in known:
            raise UsageError(f"no {what} named {given!r}; choose one of {', '.join(known)}")
    wanted = [treated] if isinstance(treated, str) or not isinstance(treated, Sequence) else list(treated)
    with cd.opened(data, where) as sample:
        panel = cd.panel(sample, unit, time, outcome, grain=grain)
        notes, warnings = list(panel.notes), []
        mine, others = _roles(panel, unit, wanted, donors, notes)
        start_value = cd.read_start(since, panel.periods)
        start = sum(1 for p in panel.periods if p < start_value)
        last = len(panel.periods)
        if start == last:
            raise UsageError(f"no period at or after {since}; times run to {panel.periods[-1]}")
        if start < LEAST_BEFORE:
            raise UsageError(
                f"{start} periods before {since} are too few to learn a mix from (at least {LEAST_BEFORE}); with so few"
                " use a difference in differences"
            )
        if len(others) < LEAST_DONORS:
            raise UsageError(f"{len(others)} donors seen in every period are too few (at least {LEAST_DONORS})")
        if errors == "jackknife" and (method != "sdid" or len(mine) < 2):
            raise UsageError("the jackknife needs sdid and at least 2 treated units; use errors='placebo'")
        outcomes = panel.outcome.T
        target, pool = outcomes[:, mine].mean(axis=1), outcomes[:, others]
        if float(np.ptp(pool[:start])) == 0:
            raise UsageError("the donors never moved before the change: nothing to fit on")
        fit = mix(target, pool, start, method, len(mine))
        placebos = placebo_mixes(pool, start, method, len(mine))
        names = [str(panel.units[i]) for i in others]
        gaps = np.array([p.gap for p in placebos])
        degrees = float(min(len(placebos), len(others)) - 1)
        if errors == "jackknife":
            error, degrees = jackknife(outcomes[:, mine], pool, fit), float("inf")
        else:
            error = float(np.sqrt((gaps[:, start:].mean(axis=1) ** 2).mean()))
        line = numbers(fit.effect, error, degrees, confidence)
        rank = 1 + sum(1 for p in placebos if p.ratio >= fit.ratio)
        chance = rank / (len(placebos) + 1)
        if method == "synthetic":
            line["p_value"] = chance
        main = headline("mean gap after", line, confidence, errors=errors, degrees=degrees)
        reach = quantile_of(confidence, float(len(placebos) - 1)) * np.sqrt((gaps**2).mean(axis=0))
        rows = _rows(panel.periods, target, fit, reach)
        dates = placebo_dates(target, pool, start, method, len(mine), panel.periods)
        dropped = _leave_one_out(target, pool, fit, method, len(mine), names)
        warnings += _warnings(fit, target, start, len(others), rank, len(placebos), dates)
        compared = {
            kind: mix(target, pool, start, kind, len(mine)).effect if kind != method else fit.effect for kind in METHODS
        }
        apart = target - pool.mean(axis=1)
        compared["did"] = float(apart[start:].mean() - apart[:start].mean())
        notes.append(
            f"placebos in space: error ratio {spoken(fit.ratio)} ranks {rank} of {len(placebos) + 1} (p = {chance:.3g})"
        )
        if dates:
            largest = max(dates, key=lambda d: abs(d["estimate"]))
            notes.append(f"placebos in time: largest of {len(dates)} gaps {spoken(largest['estimate'])}")
        if dropped:
            low, high = min(d["estimate"] for d in dropped), max(d["estimate"] for d in dropped)
            notes.append(f"leaving out one donor at a time: {spoken(low)} to {spoken(high)}")
        order = [int(i) for i in np.argsort(-fit.donors, kind="stable") if fit.donors[i] > 1e-6]
        weights = [{"unit": names[i], "weight": float(fit.donors[i])} for i in order]
        extras = {
            "estimator": method, "since": panel.periods[start], "treated": [str(v) for v in wanted],
            "periods_before": start, "periods_after": last - start, "donors": len(others), "weights": weights,
            "time_weights": _time_weights(panel.periods, fit), "error_before": fit.error_before, "ratio": fit.ratio,
            "rank": rank, "placebo_p_value": chance, "total": float(fit.gap[start:].sum()),
            "relative": fit.effect / level if (level := float((target - fit.gap)[start:].mean())) else None,
            "placebo_units": _placebo_rows(placebos, names, len(mine)), "placebo_dates": dates,
            "leave_one_out": dropped, "compared": compared, "outcome": outcome,
            "placebo_gaps": gaps.tolist() if len(mine) == 1 else None,
        }
        title = "Synthetic control" if method == "synthetic" else "Synthetic difference in differences"
        return estimate(
            sample, rows, method="synthetic_control", title=title, label=QUASI, main=main, extras=extras,
            assumptions=ASSUMPTIONS, warnings=warnings, notes=notes, picture=_picture,
        )


def _roles(
    panel: cd.Panel, unit: str, wanted: Sequence[Any], donors: Sequence[Any] | None, notes: list[str]
) -> tuple[list[int], list[int]]:
    """Places of the treated units and of the donors."""
    places = {str(value): place for place, value in enumerate(panel.units)}
    for value in [*wanted, *(donors or ())]:
        if str(value) not in places:
            from prodsense.errors import did_you_mean

            raise UsageError(f"{unit} has no value {value}.{did_you_mean(str(value), set(places))}")
    mine = [places[str(value)] for value in dict.fromkeys(wanted)]
    if not mine:
        raise UsageError("name the treated unit")
    whole = panel.complete()
    for place in mine:
        if not whole[place]:
            gone = panel.periods[int(np.flatnonzero(np.isnan(panel.outcome[place]))[0])]
            raise UsageError(f"{unit} {panel.units[place]} has no value in {gone}; it is needed in each period")
    pool = [places[str(v)] for v in dict.fromkeys(donors)] if donors is not None else list(range(len(panel.units)))
    others = [place for place in pool if place not in mine]
    missing = sum(1 for place in others if not whole[place])
    if missing:
        notes.append(f"{missing} of {len(others)} donors not seen in every period left out")
    return mine, [place for place in others if whole[place]]


def placebo_mixes(pool: Array, start: int, method: str, units: int = 1) -> list[Mix]:
    """The same with donors in the treated unit's place: each donor once, or random groups where several are treated."""
    many = pool.shape[1]
    if units == 1:
        groups = [np.array([place]) for place in range(many)]
    else:
        if many <= units + 1:
            raise UsageError(f"{many} donors are too few for placebos of {units} treated units; use more donors")
        random = np.random.default_rng(0)
        groups = [random.permutation(many)[:units] for _ in range(REPLICATIONS)]
    return [
        mix(pool[:, group].mean(axis=1), np.delete(pool, group, axis=1), start, method, units) for group in groups
    ]


def placebo_dates(
    target: Array, pool: Array, start: int, method: str, units: int, periods: Sequence[Any]
) -> list[dict[str, Any]]:
    """Effects of dates at which nothing happened: fitted before them, the gap from them to the true date."""
    places = sorted({place for place in (start // 2, 2 * start // 3, 5 * start // 6) if LEAST_BEFORE <= place < start})
    found = []
    for place in places:
        fit = mix(target[:start], pool[:start], place, method, units)
        found.append({"since": periods[place], "estimate": fit.effect, "ratio": fit.ratio})
    return found


def jackknife(treated: Array, pool: Array, fit: Mix) -> float:
    """Standard error of sdid, leaving out one unit at a time with the weights kept (algorithm 3 of the source)."""
    assert fit.before is not None
    start = fit.start

    def effect(mine: Array, weights: Array, others: Array) -> float:
        gap = mine.mean(axis=1) - others @ (weights / weights.sum())
        return float(gap[start:].mean() - fit.before @ gap[:start])

    found = [effect(np.delete(treated, i, axis=1), fit.donors, pool) for i in range(treated.shape[1])]
    for i in range(pool.shape[1]):
        rest = np.delete(fit.donors, i)
        if rest.sum() <= 0:
            raise UsageError("one donor has all the weight, so that the jackknife is not defined; use errors='placebo'")
        found.append(effect(treated, rest, np.delete(pool, i, axis=1)))
    values = np.array(found)
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))


def _leave_one_out(
    target: Array, pool: Array, fit: Mix, method: str, units: int, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The effect without each donor that carries weight, the heaviest 10 at most."""
    if pool.shape[1] <= LEAST_DONORS:
        return []
    heavy = [int(i) for i in np.argsort(-fit.donors)[:10] if fit.donors[i] > 0.01]
    return [
        {"without": names[i], "estimate": mix(target, np.delete(pool, i, axis=1), fit.start, method, units).effect}
        for i in heavy
    ]


def _rows(periods: Sequence[Any], target: Array, fit: Mix, reach: Array) -> list[dict[str, Any]]:
    rows, total = [], 0.0
    for place, period in enumerate(periods):
        gap, after = float(fit.gap[place]), place >= fit.start
        total += gap if after else 0.0
        rows.append({
            "period": period, "after": after, "actual": float(target[place]),
            "counterfactual": float(target[place]) - gap, "gap": gap, "low": gap - float(reach[place]),
            "high": gap + float(reach[place]), "cumulative": total if after else None,
        })
    return rows


def _time_weights(periods: Sequence[Any], fit: Mix) -> list[dict[str, Any]] | None:
    if fit.before is None:
        return None
    return [{"period": p, "weight": float(w)} for p, w in zip(periods, fit.before, strict=False) if w > 1e-6]


def _placebo_rows(placebos: Sequence[Mix], names: Sequence[str], units: int) -> list[dict[str, Any]]:
    labels = names if units == 1 else [f"group {i + 1}" for i in range(len(placebos))]
    return [
        {"unit": name, "estimate": p.effect, "error_before": p.error_before,
         "ratio": p.ratio if np.isfinite(p.ratio) else None}
        for name, p in zip(labels, placebos, strict=True)
    ]  # fmt: skip


def _warnings(
    fit: Mix, target: Array, start: int, donors: int, rank: int, placebos: int, dates: Sequence[dict[str, Any]]
) -> list[str]:
    found = []
    spread = float(target[:start].std())
    if spread > 0 and fit.error_before > 0.5 * spread:
        found.append(
            f"the mix fits poorly before the change (error {spoken(fit.error_before)} against a spread of"
            f" {spoken(spread)}): do not read the gap as an effect"
        )
    if donors >= start:
        found.append(f"{donors} donors for {start} periods before: a close fit may be chance; fewer donors are safer")
    if placebos < 19:
        found.append(f"{placebos} placebos: the p-value cannot be below {1 / (placebos + 1):.2g}")
    if not dates:
        found.append("too few periods before the change for a placebo date")
    elif max(abs(d["estimate"]) for d in dates) > abs(fit.effect):
        found.append("a date at which nothing happened shows a larger gap than the change")
    return found


def _picture(answer: Estimate, **options: Any) -> Any:
    from prodsense.charts.effects import counterfactual

    gaps = answer.extras["placebo_gaps"]
    return counterfactual(
        answer.rows, "period", "actual", "counterfactual", gap="gap", low="low", high="high", cumulative="cumulative",
        since=answer.extras["since"], placebos=gaps, **{"title": answer.title, **options},
    )
