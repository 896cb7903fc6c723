"""Run a study: the split first, then each metric in each arm, then the decision and its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import ProdsenseError, UsageError
from prodsense.inference import designs, estimators
from prodsense.inference.decision import decide
from prodsense.inference.estimators import Effect, Outcome, RefusalError
from prodsense.inference.multiplicity import adjust
from prodsense.inference.quantiles import quantile_values
from prodsense.inference.sequential import always_valid_half, always_valid_interval, always_valid_p
from prodsense.inference.srm import BROKEN, Srm, srm
from prodsense.inference.study import Measure, Study
from prodsense.inference.suffstats import Blocks, Moments, gather, merged
from prodsense.inference.tables import completed

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from prodsense.engines.base import Engine

#: Units seen in several arms beyond this share make a test unsound.
MOST_EXPOSED_TWICE = 0.01
#: A change of this size is more often a fault than a finding.
SUSPICIOUS = 0.5


@dataclass
class Findings:
    """All that a readout shows. `study` has the arms that the data have."""

    study: Study
    rows: list[dict[str, Any]]
    srm: Srm
    decision: str
    reasons: list[str]
    notes: list[str]
    checks: list[dict[str, Any]]
    by_arm: dict[str, str]
    segments: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    novelty: list[dict[str, Any]] = field(default_factory=list)
    statements: list[tuple[Any, Mapping[str, Any]]] = field(default_factory=list)


def analyse(engine: Engine, study: Study, *, series: bool = True) -> Findings:
    """Everything about a study.

    Raises ProdsenseError where there is nothing to compare (an arm without any unit).
    """
    units = _cluster_units(engine, study) if study.cluster else _units(engine, study)
    if not study.plan.arms:
        study = replace(study, plan=completed(study.plan, list(units.counts)))
    plan = study.plan
    split = _split(study, units.counts)
    notes = list(study.notes)
    statements: list[tuple[Any, Mapping[str, Any]]] = [*study.statements, *units.statements]
    effects: dict[tuple[str, str], Effect | str] = {}
    for measure in study.measures:
        if measure.quantile is not None:
            found, more = _quantiles(engine, study, measure)
            statements += more
        else:
            found = _effects(study, measure, units)
        if study.cluster and measure.covariates:
            notes.append(f"{measure.name}: covariates are not used where whole clusters were assigned")
        effects |= {(measure.name, arm): effect for arm, effect in found.items()}
    rows = _rows(study, effects, units)
    checks, broken, blocking = _checks(study, split, rows, units)
    waiting = []
    total = sum(split.observed.values())
    if plan.planned_units and not plan.sequential and total < plan.planned_units:
        waiting.append(f"{total:,} of {plan.planned_units:,} planned units are in; a fixed test is read at the end")
    decision, reasons, by_arm = decide(rows, blocking, broken, plan.alpha, waiting)
    findings = Findings(study, rows, split, decision, reasons, notes, checks, by_arm, statements=statements)
    if study.segments and study.cluster:
        findings.notes.append("effects by segment are not read where whole clusters were assigned")
    elif study.segments:
        for segment in study.segments:
            findings.segments += _segment(engine, study, segment, findings)
        _correct_segments(findings.segments, plan.alpha)
    if study.novelty and not study.cluster:
        findings.novelty = _novelty(engine, study, findings)
    if series and study.day and not study.cluster:
        findings.series = _series(engine, study, findings)
    return findings


# -- gathering ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Units:
    """What one pass found of the units, by arm and stratum; of clusters also each one's sums."""

    counts: Mapping[str, int]
    moments: Mapping[tuple[Any, ...], Mapping[str, Moments]]
    statements: tuple[tuple[str, Mapping[str, Any]], ...]
    clusters: pa.Table | None = None
    mixed: int = 0

    def of(self, arm: str, measure: Measure) -> Moments:
        """An arm's moments, its strata together."""
        parts = [found[measure.name] for key, found in self.moments.items() if key[0] == arm]
        return merged(parts) if parts else Moments.empty(len(measure.columns))


def arm_name(value: Any) -> str:
    """An arm as the engine's text_of writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _blocks(study: Study) -> Blocks:
    return {m.name: m.columns for m in study.measures if m.quantile is None}


def _arms(study: Study) -> tuple[str, dict[str, Any]]:
    """The study's source, restricted to the arms of its plan where that names them."""
    if not study.plan.arms or study.base:
        return study.source, dict(study.params)
    names = {f"in_arm_{i}": arm for i, arm in enumerate(study.plan.arms)}
    listed = ", ".join(f":{name}" for name in names)
    return f"SELECT * FROM ({study.source}) AS every_unit WHERE arm IN ({listed})", {**study.params, **names}


def _read(engine: Engine, study: Study, source: str, keys: Sequence[str], params: Mapping[str, Any]) -> Units:
    found = gather(engine, source, _blocks(study), keys, params, base=study.base)
    counts: dict[str, int] = {}
    moments: dict[tuple[Any, ...], Mapping[str, Moments]] = {}
    for key, n in found.rows.items():
        if key[0] is not None:
            arm = arm_name(key[0])
            counts[arm] = counts.get(arm, 0) + n
            moments[(arm, *key[1:])] = found.moments[key]
    return Units(counts, moments, found.statements)


def _units(engine: Engine, study: Study) -> Units:
    source, params = _arms(study)
    return _read(engine, study, source, ["arm", *study.strata], params)


def _cluster_units(engine: Engine, study: Study) -> Units:
    """Sums of each cluster, one row each; moments over the clusters' sums, with their sizes behind."""
    source, params = _arms(study)
    columns = list(dict.fromkeys(name for block in _blocks(study).values() for name in block))
    sums = "".join(f", SUM(CAST({comma([name])} AS DOUBLE)) AS {comma([name])}" for name in columns)
    keys = comma(["arm", *study.strata, study.cluster])
    counted = f"COUNT(*) AS cluster_units{sums}"
    text = f"SELECT {keys}, {counted} FROM ({source}) AS units GROUP BY {keys} ORDER BY {keys}"
    table = engine.query(text, params)
    arms = np.array([arm_name(value) for value in table["arm"].to_pylist()])
    named = np.array(table[study.cluster].to_pylist(), dtype=object)
    by_arm = {arm: set(named[arms == arm]) for arm in dict.fromkeys(arms)}
    mixed = len(set(named)) and sum(len(s) for s in by_arm.values()) - len(set().union(*by_arm.values()))
    counts = {arm: len(found) for arm, found in by_arm.items()}
    moments: dict[tuple[Any, ...], Mapping[str, Moments]] = {}
    for arm in by_arm:
        # A cluster that spans strata is one all the same.
        _, place = np.unique(named[arms == arm].astype(str), return_inverse=True)
        size = place.max() + 1

        def added(name: str, of: str = arm, at: Any = place, cells: int = size) -> NDArray[np.float64]:
            values = table[name].to_numpy(zero_copy_only=False)[arms == of].astype(float)
            return np.bincount(at, np.nan_to_num(values), minlength=cells).astype(float)

        moments[(arm,)] = {
            metric: Moments.of(np.column_stack([*(added(name) for name in block), added("cluster_units")]))
            for metric, block in _blocks(study).items()
        }
    return Units(counts, moments, ((text, params),), table, int(mixed))


def _split(study: Study, counts: Mapping[str, int]) -> Srm:
    """The sample-ratio test; ProdsenseError where an arm has no unit."""
    plan = study.plan
    if not counts:
        raise ProdsenseError(f"{study.name}: no unit has an arm, so there is nothing to compare")
    if plan.control not in plan.arms:
        raise UsageError(f"control {plan.control} is none of the arms {', '.join(plan.arms)}")
    there = ", ".join(f"{arm} {counts[arm]:,}" for arm in counts) or "none at all"
    empty = [arm for arm in plan.arms if not counts.get(arm)]
    if len(plan.arms) < 2 or empty:
        what = f"arm {' and '.join(empty)} has no units" if empty else "there is only one arm"
        raise ProdsenseError(f"{study.name}: {what}, so there is nothing to compare (units: {there})")
    return srm({arm: counts[arm] for arm in plan.arms}, plan.shares or None)


# -- effects ------------------------------------------------------------------------------------------


def _effects(study: Study, measure: Measure, units: Units) -> dict[str, Effect | str]:
    """The effect in each treatment, or why there is none."""
    plan = study.plan
    found: dict[str, Effect | str] = {}
    for arm in plan.treatments:
        try:
            pair = {name: units.of(name, measure) for name in (plan.control, arm)}
            estimators.refuse_few(pair, plan.min_units, "clusters" if study.cluster else "units")
            if study.cluster:
                found[arm] = _cluster_effect(study, measure, pair, arm, units)
            elif study.strata:
                by: dict[str, dict[Any, Moments]] = {plan.control: {}, arm: {}}
                for key, moments in units.moments.items():
                    if key[0] in by:
                        by[key[0]][key[1:]] = moments[measure.name]
                found[arm] = estimators.post_stratified(
                    by[plan.control], by[arm], measure.outcome, alpha=plan.alpha)
            else:
                found[arm] = _effect(study, measure, pair[plan.control], pair[arm])
        except RefusalError as refusal:
            found[arm] = str(refusal)
    return found


def _effect(study: Study, measure: Measure, control: Moments, treatment: Moments) -> Effect:
    """The effect on units assigned one by one, without strata."""
    plan, outcome = study.plan, measure.outcome
    lin = bool(outcome.covariates) and plan.adjustment == "lin"
    method = estimators.regression_adjusted if lin else estimators.compare
    return method(control, treatment, outcome, alpha=plan.alpha, names=measure.covariates)


def _part_effect(study: Study, measure: Measure, arm: str, of: Mapping[str, Mapping[str, Moments]]) -> Effect:
    """The same of a part of the units, from moments by arm and measure; RefusalError where they are few."""
    none = Moments.empty(len(measure.columns))
    pair = {name: of.get(name, {}).get(measure.name) or none for name in (study.plan.control, arm)}
    estimators.refuse_few(pair, study.plan.min_units)
    return _effect(study, measure, pair[study.plan.control], pair[arm])


def _cluster_effect(study: Study, measure: Measure, pair: Mapping[str, Moments], arm: str, units: Units) -> Effect:
    """The effect where whole clusters were assigned; with strata, by least squares with their fixed effects."""
    plan, outcome = study.plan, measure.outcome
    columns = [*range(outcome.formula.columns), len(pair[arm].mean) - 1]
    values = [
        estimators.clustered_value(pair[name].take(columns), outcome, round(pair[name].n * pair[name].mean[-1]))
        for name in (plan.control, arm)
    ]
    if not study.strata:
        return estimators.difference(*values, alpha=plan.alpha)
    fit = designs.cluster_effect(_cells(study, measure, arm, units))
    effect, se = float(fit.beta[0]), float(fit.se[0])
    if not se > 1e-12 * max(abs(values[0].value), 1e-300):
        raise RefusalError("it does not vary between clusters")
    # What both arms share is taken out, so each has half of what is left.
    control = replace(values[0], variance=se**2 / 2)
    treatment = replace(values[1], value=values[0].value + effect, variance=se**2 / 2)
    return Effect(control, treatment, effect, se, float(fit.freedom[0]), plan.alpha, study.strata)


def _cells(study: Study, measure: Measure, arm: str, units: Units) -> designs.Clusters:
    """The clusters of one treatment and the control, by stratum."""
    table, formula = units.clusters, measure.outcome.formula
    assert table is not None
    if formula.ratio is None and (formula.tree is not None or formula.columns != 1):
        raise RefusalError("with strata, clusters are read for means and ratios only")
    arms = np.array([arm_name(value) for value in table["arm"].to_pylist()])
    kept = (arms == study.plan.control) | (arms == arm)

    def column(name: str) -> NDArray[Any]:
        return np.array(table[name].to_pylist(), dtype=object)[kept]

    top, bottom = (measure.columns[formula.ratio[0]], measure.columns[formula.ratio[1]]) if formula.ratio else (
        measure.columns[0], "cluster_units")
    weight = np.array([v or 0.0 for v in column(bottom)], float)
    total = np.array([v or 0.0 for v in column(top)], float) * formula.scale
    return designs.Clusters(
        total, weight, arms[kept] == arm, tuple(column(name) for name in study.strata), int(weight.sum()),
        column(study.cluster))


def _quantiles(
    engine: Engine, study: Study, measure: Measure
) -> tuple[dict[str, Effect | str], list[tuple[str, Mapping[str, Any]]]]:
    source, params = _arms(study)
    value = comma([measure.columns[0]])
    # One row a unit: nothing has to be told apart.
    rows = measure.rows or f"SELECT text_of(arm) AS arm, {value} AS value FROM ({source}) AS units"
    plan = study.plan
    if study.cluster:
        return dict.fromkeys(plan.treatments, "a quantile is not read from clusters; use a mean or a share"), []
    values, statements = quantile_values(engine, rows, float(measure.quantile or 0), plan.arms, params,
                                         unit="unit" if measure.rows else "")
    found: dict[str, Effect | str] = {}
    for arm in plan.treatments:
        lacking = [name for name in (plan.control, arm) if name not in values]
        try:
            if lacking:
                raise RefusalError(f"arm {lacking[0]} has too few units for an interval of this quantile")
            found[arm] = estimators.difference(values[plan.control], values[arm], alpha=plan.alpha)
        except RefusalError as refusal:
            found[arm] = str(refusal)
    return found, statements


def numbers(effect: Effect, *, sequential: bool = False, tuned_for: float = 5000) -> dict[str, Any]:
    """An effect as the columns of a readout, intervals before p-values."""
    if sequential:
        low, high = always_valid_interval(effect, tuned_for)
        n = effect.control.n + effect.treatment.n
        p_value = always_valid_p(effect.effect / effect.se, n, effect.alpha, tuned_for)
        critical = always_valid_half(1.0, n, effect.alpha, tuned_for)
        relative_low, relative_high = estimators.fieller(effect.control, effect.treatment, critical)
    else:
        (low, high), p_value = effect.interval, effect.p_value
        relative_low, relative_high = effect.relative_interval
    return {
        "control_mean": effect.control.value, "treatment_mean": effect.treatment.value,
        "n_control": effect.control.n, "n_treatment": effect.treatment.n,
        "effect": effect.effect, "ci_low": low, "ci_high": high,
        "relative": effect.relative, "relative_low": relative_low, "relative_high": relative_high,
        "p_value": p_value, "p_adjusted": None, "se": effect.se,
        "variance_reduction": effect.variance_reduction,
    }


_NOTHING = dict.fromkeys(
    ("control_mean", "treatment_mean", "n_control", "n_treatment", "effect", "ci_low", "ci_high", "relative",
     "relative_low", "relative_high", "p_value", "p_adjusted", "se", "variance_reduction")
)


def _rows(
    study: Study, effects: Mapping[tuple[str, str], Effect | str], units: Units
) -> list[dict[str, Any]]:
    plan, rows = study.plan, []
    for measure in study.measures:
        for arm in plan.treatments:
            effect = effects[measure.name, arm]
            row: dict[str, Any] = {"metric": measure.name, "role": measure.role, "arm": arm, "control": plan.control}
            if isinstance(effect, str):
                counts = units.counts
                row |= {**_NOTHING, "n_control": counts.get(plan.control, 0), "n_treatment": counts.get(arm, 0)}
            else:
                row |= numbers(effect, sequential=plan.sequential, tuned_for=plan.tuned_for)
            row |= {"better": measure.better, "unit": measure.unit, "margin": None, "margin_bound": None,
                    "p_margin": None, "guardrail": None, "verdict": None, "refused": None,
                    "adjusted_for": None, "p_randomisation": None}
            if isinstance(effect, str):
                row["refused"] = effect
            else:
                row["adjusted_for"] = ", ".join(effect.adjusted_for) or None
                if study.cluster and measure.quantile is None:
                    with suppress(RefusalError):
                        row["p_randomisation"] = designs.randomisation_test(_cells(study, measure, arm, units))
                if measure.margin is not None:
                    row |= _guardrail(study, measure, effect)
            rows.append(row)
    for name, role, why in study.refused:
        rows += [
            {"metric": name, "role": role, "arm": arm, "control": plan.control, **_NOTHING, "better": None,
             "unit": "", "margin": None, "margin_bound": None, "p_margin": None, "guardrail": None, "verdict": None,
             "refused": why, "adjusted_for": None}
            for arm in plan.treatments
        ]
    # The error is shared among the metrics that can win; a guardrail has to pass, so it needs no share.
    primary = [row for row in rows if row["role"] == "primary"]
    for row, p in zip(primary, adjust([r["p_value"] for r in primary], plan.correction), strict=True):
        row["p_adjusted"] = p
    for row in rows:
        if row["role"] != "primary":
            row["p_adjusted"] = row["p_value"]
        row["verdict"] = verdict(row, plan.alpha)
    return rows


def verdict(row: Mapping[str, Any], alpha: float) -> str | None:
    """``better``, ``worse``, ``changed`` (no direction is better) or ``no difference shown``; None without a result."""
    if row["p_adjusted"] is None:
        return None
    if row["p_adjusted"] >= alpha:
        return "no difference shown"
    if row["better"] == "none":
        return "changed"
    return "better" if (row["effect"] > 0) == (row["better"] == "up") else "worse"


def _guardrail(study: Study, measure: Measure, effect: Effect) -> dict[str, Any]:
    plan, margin = study.plan, measure.margin
    assert margin is not None
    if measure.better not in ("up", "down"):
        return {"refused": "a guardrail needs to know which direction is better"}
    try:
        test = estimators.non_inferior(effect, margin.size, measure.better, relative=margin.relative, alpha=plan.alpha)
    except RefusalError as refusal:
        return {"refused": str(refusal)}
    p_value, shown, harmed, bound = test.p_value, test.shown, test.harmed, test.bound
    if plan.sequential:
        # Looked at all the time: the two-sided sequence, which is valid for either side.
        n = effect.control.n + effect.treatment.n
        passed = always_valid_p(test.statistic, n, plan.alpha, plan.tuned_for)
        p_value = passed if test.statistic > 0 else 1.0
        shown, harmed = p_value < plan.alpha, test.statistic < 0 and passed < plan.alpha
        half = always_valid_half(effect.se, n, plan.alpha, plan.tuned_for)
        bound = effect.effect - half if measure.better == "up" else effect.effect + half
        if margin.relative:
            low, high = estimators.fieller(effect.control, effect.treatment, half / effect.se)
            bound = low if measure.better == "up" else high
    state = "within" if shown else "harmed" if harmed else "not shown"
    return {"margin": str(margin), "margin_bound": bound, "p_margin": p_value, "guardrail": state}


# -- checks -------------------------------------------------------------------------------------------


def _checks(
    study: Study, split: Srm, rows: Sequence[Mapping[str, Any]], units: Units
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """(all checks, reasons to stop, reasons to hold)."""
    checks = [{"check": "sample ratio", "status": split.status, "says": split.says}]
    broken, blocking = [], []
    if split.status == "broken":
        broken.append(f"the split is not as planned ({split.says}): find the cause before reading any effect")
    several, known = study.facts.get("several_arms", 0), study.facts.get("units", 0)
    if units.mixed:
        says = f"{units.mixed:,} clusters hold units of several arms, so arms leak into each other"
        checks.append({"check": "one arm a cluster", "status": "broken", "says": says})
        blocking.append(says)
    if known:
        share = several / known
        status = "broken" if share > MOST_EXPOSED_TWICE else "warning" if several else "ok"
        says = f"{several:,} of {known:,} units were seen in several arms and are left out"
        checks.append({"check": "one arm a unit", "status": status, "says": says})
        if status == "broken":
            blocking.append(f"{says}: more than {MOST_EXPOSED_TWICE:.0%}")
    for what, arm, p_value in _imbalance(study, units):
        says = f"{what} differed before the assignment ({arm}, p = {p_value:.3g}): the arms were not alike"
        checks.append({"check": "alike before", "status": "broken", "says": says})
        blocking.append(says)
    checks += [
        {"check": "suspicious change", "status": "warning",
         "says": f"{row['metric']} ({row['arm']}) changes by {row['relative']:+.0%}; check the data first"}
        for row in rows
        if row["relative"] is not None and abs(row["relative"]) > SUSPICIOUS and row["role"] != "secondary"
    ]
    return checks, broken, blocking


def _imbalance(study: Study, units: Units) -> list[tuple[str, str, float]]:
    """Covariates that differ between arms: (name, arm, p) where p is below the level at which a split is broken."""
    found: dict[tuple[str, str], float] = {}
    if study.cluster:
        return []
    for measure in study.measures:
        start = measure.outcome.formula.columns
        for name, formula in zip(measure.covariates, measure.outcome.covariates, strict=True):
            columns = range(start, start + formula.columns)
            start += formula.columns
            for arm in study.plan.treatments:
                control, treatment = (units.of(side, measure).take(columns) for side in (study.plan.control, arm))
                with suppress(RefusalError):
                    estimators.refuse_few({0: control, 1: treatment}, study.plan.min_units)
                    found[name, arm] = estimators.compare(control, treatment, Outcome(formula)).p_value
    return [(name, arm, p) for (name, arm), p in found.items() if p * len(found) < BROKEN]


# -- segments and time ----------------------------------------------------------------------------------


def _segment(engine: Engine, study: Study, segment: str, findings: Findings) -> list[dict[str, Any]]:
    """Effects in each value of a segment, and whether they differ between values (Cochran's Q)."""
    from scipy.special import chdtrc

    source, params = _arms(study)
    gathered = _read(engine, study, source, ["arm", segment], params)
    findings.statements += gathered.statements
    values = list(dict.fromkeys(key[1] for key in gathered.moments))
    values.sort(key=lambda v: (v is None, str(v)))
    rows = []
    for measure in study.measures:
        if measure.quantile is not None:
            continue
        for arm in study.plan.treatments:
            effects: list[Effect] = []
            lines = []
            for value in values:
                row: dict[str, Any] = {"segment": segment, "value": value, "metric": measure.name, "arm": arm}
                try:
                    inside = {name: gathered.moments.get((name, value), {}) for name in (study.plan.control, arm)}
                    effect = _part_effect(study, measure, arm, inside)
                    effects.append(effect)
                    lines.append({**row, **numbers(effect, sequential=study.plan.sequential,
                                                   tuned_for=study.plan.tuned_for), "refused": None})
                except RefusalError as refusal:
                    lines.append({**row, **_NOTHING, "refused": str(refusal)})
            interaction = None
            if len(effects) > 1:
                weight = np.array([1 / e.se**2 for e in effects])
                size = np.array([e.effect for e in effects])
                q = float(np.sum(weight * (size - np.sum(weight * size) / weight.sum()) ** 2))
                interaction = float(chdtrc(len(effects) - 1, q))
            rows += [{**line, "p_interaction": interaction, "better": measure.better} for line in lines]
    return rows


def _novelty(engine: Engine, study: Study, findings: Findings) -> list[dict[str, Any]]:
    """Whether an effect fades or grows: in the same units, later days less the first ones, treatment less control."""
    source, params = _arms(study)
    later = replace(study, measures=study.novelty)
    units = _read(engine, later, source, ["arm"], params)
    findings.statements += units.statements
    rows: list[dict[str, Any]] = []
    for measure in study.novelty:
        for arm, effect in _effects(replace(later, strata=()), measure, units).items():
            shown = {**_NOTHING, "refused": effect} if isinstance(effect, str) else {**numbers(effect), "refused": None}
            rows.append({"metric": measure.name, "arm": arm, **{
                k: shown[k] for k in ("effect", "ci_low", "ci_high", "p_value", "refused")}})
    for row, p in zip(rows, adjust([row["p_value"] for row in rows], "holm"), strict=True):
        row["p_adjusted"] = p
        if p is not None and p < study.plan.alpha:
            findings.checks.append({
                "check": "novelty", "status": "warning",
                "says": f"the effect on {row['metric']} ({row['arm']}) changes by {row['effect']:.4g} after the first"
                        f" days (adjusted p = {p:.3g}): it is not yet what it will be",
            })
    return rows


def _correct_segments(rows: list[dict[str, Any]], alpha: float) -> None:
    """Every slice looked at is a test: all of them share the error (Holm)."""
    for row, p in zip(rows, adjust([row.get("p_value") for row in rows], "holm"), strict=True):
        row["p_adjusted"] = p
        row["verdict"] = verdict(row, alpha) if p is not None else None


def _series(engine: Engine, study: Study, findings: Findings) -> list[dict[str, Any]]:
    """The effect on all units that had come by each day: how it settled."""
    source, params = _arms(study)
    dated = f"SELECT *, date_of({comma([study.day])}) AS entry_day FROM ({source}) AS units"
    gathered = _read(engine, study, dated, ["arm", "entry_day"], params)
    findings.statements += gathered.statements
    days = sorted({key[1] for key in gathered.moments if key[1] is not None})
    rows, so_far = [], dict[str, dict[str, Moments]]()
    for day in days:
        for arm in study.plan.arms:
            if (arm, day) in gathered.moments:
                into = so_far.setdefault(arm, {})
                for name, moments in gathered.moments[arm, day].items():
                    into[name] = merged([into[name], moments]) if name in into else moments
        for measure in study.measures:
            if measure.quantile is not None:
                continue
            for arm in study.plan.treatments:
                try:
                    effect = _part_effect(study, measure, arm, so_far)
                except RefusalError:
                    continue
                shown = numbers(effect, sequential=study.plan.sequential, tuned_for=study.plan.tuned_for)
                low, high = always_valid_interval(effect, study.plan.tuned_for)
                rows.append({
                    "day": day, "metric": measure.name, "arm": arm,
                    **{k: shown[k] for k in ("effect", "ci_low", "ci_high", "n_control", "n_treatment")},
                    "always_low": low, "always_high": high,
                })
    return rows


__all__ = ["Findings", "analyse", "numbers", "verdict"]
