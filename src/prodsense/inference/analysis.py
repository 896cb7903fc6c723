"""Run a study: the split first, then each metric in each arm, then the decision and its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import ProdsenseError, UsageError
from prodsense.inference import estimators
from prodsense.inference.decision import decide
from prodsense.inference.estimators import Effect, Outcome, RefusalError, Value
from prodsense.inference.multiplicity import adjust
from prodsense.inference.quantiles import quantile_values
from prodsense.inference.sequential import always_valid_half, always_valid_interval, always_valid_p
from prodsense.inference.srm import Srm, srm
from prodsense.inference.study import Measure, Study
from prodsense.inference.suffstats import Blocks, Gathered, Moments, gather, merged

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

#: Units seen in several arms beyond this share make a test unsound.
MOST_EXPOSED_TWICE = 0.01
#: A change of this size is more often a fault than a finding.
SUSPICIOUS = 0.5

Arms = Mapping[str, Mapping[str, Moments]]


@dataclass
class Findings:
    """All that a readout shows."""

    rows: list[dict[str, Any]]
    srm: Srm
    decision: str
    reasons: list[str]
    notes: list[str]
    checks: list[dict[str, Any]]
    by_arm: dict[str, str]
    segments: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    statements: list[tuple[Any, Mapping[str, Any]]] = field(default_factory=list)


def analyse(engine: Engine, study: Study, *, series: bool = True) -> Findings:
    """Everything about a study.

    Raises ProdsenseError where there is nothing to compare (an arm without any unit).
    """
    plan = study.plan
    gathered, clusters = _gathered(engine, study)
    counts, arms = gathered.over()
    split, notes = _split(study, counts)
    statements: list[tuple[Any, Mapping[str, Any]]] = [*study.statements, *gathered.statements]
    effects: dict[tuple[str, str], Effect | str] = {}
    for measure in study.measures:
        if measure.quantile is not None:
            found, more = _quantiles(engine, study, measure)
            statements += more
        else:
            found = _effects(study, measure, gathered, arms, clusters)
        effects |= {(measure.name, arm): effect for arm, effect in found.items()}
    rows = _rows(study, effects, counts)
    checks, broken, blocking = _checks(study, split, rows, clusters)
    waiting = []
    total = sum(split.observed.values())
    if plan.planned_units and not plan.sequential and total < plan.planned_units:
        waiting.append(f"{total:,} of {plan.planned_units:,} planned units are in; a fixed test is read at the end")
    decision, reasons, by_arm = decide(rows, blocking, broken, plan.alpha, waiting)
    findings = Findings(rows, split, decision, reasons, [*study.notes, *notes], checks, by_arm)
    findings.statements = statements
    for segment in study.segments:
        findings.segments += _segment(engine, study, segment, findings)
    if study.segments:
        _correct_segments(findings.segments, plan.alpha)
    if series and study.day and not clusters:
        findings.series = _series(engine, study, findings)
    return findings


# -- gathering ----------------------------------------------------------------------------------------


def _blocks(study: Study) -> Blocks:
    return {m.name: m.columns for m in study.measures if m.quantile is None}


def _arms(study: Study) -> tuple[str, dict[str, Any]]:
    """The study's source, restricted to the arms of its plan."""
    names = {f"in_arm_{i}": arm for i, arm in enumerate(study.plan.arms)}
    listed = ", ".join(f":{name}" for name in names)
    return f"SELECT * FROM ({study.source}) AS every_unit WHERE arm IN ({listed})", {**study.params, **names}


def _gathered(engine: Engine, study: Study) -> tuple[Gathered, bool]:
    """Moments by arm and stratum; of clusters' sums where whole clusters were assigned."""
    source, params = _arms(study)
    if not study.cluster:
        return gather(engine, source, _blocks(study), ["arm", *study.strata], params, base=study.base), False
    columns = list(dict.fromkeys(name for block in _blocks(study).values() for name in block))
    sums = "".join(f", SUM(CAST({comma([name])} AS DOUBLE)) AS {comma([name])}" for name in columns)
    keys = comma(["arm", *study.strata, study.cluster])
    grouped = f"SELECT {keys}, COUNT(*) AS cluster_units{sums} FROM ({source}) AS units GROUP BY {keys}"
    blocks = {name: (*block, "cluster_units") for name, block in _blocks(study).items()}
    blocks["cluster_units"] = ("cluster_units",)
    found = gather(engine, grouped, blocks, ["arm", *study.strata], params, base=False)
    return found, True


def _split(study: Study, counts: Mapping[Any, int]) -> tuple[Srm, list[str]]:
    """The sample-ratio test; ProdsenseError where an arm has no unit."""
    plan = study.plan
    if plan.control not in plan.arms:
        raise UsageError(f"control {plan.control} is none of the arms {', '.join(plan.arms)}")
    present = {str(arm): count for arm, count in counts.items() if arm is not None}
    empty = [arm for arm in plan.arms if not present.get(arm)]
    if empty:
        there = ", ".join(f"{arm} {count:,}" for arm, count in present.items()) or "none at all"
        raise ProdsenseError(
            f"{study.name}: arm {' and '.join(empty)} has no units, so there is nothing to compare (units: {there})"
        )
    observed = {arm: present[arm] for arm in plan.arms}
    return srm(observed, plan.shares or None), []


# -- effects ------------------------------------------------------------------------------------------


def _effects(
    study: Study, measure: Measure, gathered: Gathered, arms: Arms, clusters: bool
) -> dict[str, Effect | str]:
    """The effect in each treatment, or why there is none."""
    plan, found = study.plan, {}
    for arm in plan.treatments:
        try:
            pair = {name: arms[name][measure.name] for name in (plan.control, arm)}
            estimators.refuse_few(pair, plan.min_units)
            found[arm] = _effect(study, measure, gathered, pair, arm, clusters)
        except RefusalError as refusal:
            found[arm] = str(refusal)
    return found


def _effect(
    study: Study, measure: Measure, gathered: Gathered, pair: Mapping[str, Moments], arm: str, clusters: bool
) -> Effect:
    plan, outcome = study.plan, measure.outcome
    control, treatment = pair[plan.control], pair[arm]
    if clusters:
        values = [
            estimators.clustered_value(_without(found, outcome), outcome, round(found.n * float(found.mean[-1])))
            for found in (control, treatment)
        ]
        return estimators.difference(*values, alpha=plan.alpha)
    if study.strata:
        by: dict[str, dict[Any, Moments]] = {plan.control: {}, arm: {}}
        for key, moments in gathered.moments.items():
            if key[0] in by:
                by[key[0]][key[1:]] = moments[measure.name]
        return estimators.post_stratified(by[plan.control], by[arm], outcome, alpha=plan.alpha)
    if outcome.covariates:
        method = estimators.regression_adjusted if plan.adjustment == "lin" else estimators.compare
        return method(control, treatment, outcome, alpha=plan.alpha, names=measure.covariates)
    return estimators.compare(control, treatment, outcome, alpha=plan.alpha)


def _without(found: Moments, outcome: Outcome) -> Moments:
    """Clusters' sums of the metric itself and their sizes; covariates' sums are left out."""
    return found.take([*range(outcome.formula.columns), len(found.mean) - 1])


def _quantiles(
    engine: Engine, study: Study, measure: Measure
) -> tuple[dict[str, Effect | str], list[tuple[str, Mapping[str, Any]]]]:
    source, params = _arms(study)
    rows = measure.rows or (
        f"SELECT unit, arm, {comma([measure.columns[0]])} AS value FROM ({source}) AS units"
    )
    plan = study.plan
    unit = "unit"
    if study.cluster:
        return dict.fromkeys(plan.treatments, "a quantile is not read from clusters; use a mean or a share"), []
    values, statements = quantile_values(engine, rows, float(measure.quantile or 0), plan.arms, params, unit=unit)
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
    study: Study, effects: Mapping[tuple[str, str], Effect | str], counts: Mapping[Any, int]
) -> list[dict[str, Any]]:
    plan, rows = study.plan, []
    for measure in study.measures:
        for arm in plan.treatments:
            effect = effects[measure.name, arm]
            row: dict[str, Any] = {"metric": measure.name, "role": measure.role, "arm": arm, "control": plan.control}
            if isinstance(effect, str):
                row |= {**_NOTHING, "n_control": counts.get(plan.control, 0), "n_treatment": counts.get(arm, 0)}
            else:
                row |= numbers(effect, sequential=plan.sequential, tuned_for=plan.tuned_for)
            row |= {"better": measure.better, "unit": measure.unit, "margin": None, "margin_bound": None,
                    "p_margin": None, "guardrail": None, "verdict": None, "refused": None,
                    "adjusted_for": None}
            if isinstance(effect, str):
                row["refused"] = effect
            else:
                row["adjusted_for"] = ", ".join(effect.adjusted_for) or None
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
    study: Study, split: Srm, rows: Sequence[Mapping[str, Any]], clusters: bool
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """(all checks, reasons to stop, reasons to hold)."""
    checks = [{"check": "sample ratio", "status": split.status, "says": split.says}]
    broken, blocking = [], []
    if split.status == "broken" and not clusters:
        broken.append(f"the split is not as planned ({split.says}): find the cause before reading any effect")
    several, units = study.facts.get("several_arms", 0), study.facts.get("units", 0)
    if units:
        share = several / units
        status = "broken" if share > MOST_EXPOSED_TWICE else "warning" if several else "ok"
        says = f"{several:,} of {units:,} units were seen in several arms and are left out"
        checks.append({"check": "one arm a unit", "status": status, "says": says})
        if status == "broken":
            blocking.append(f"{says}: more than {MOST_EXPOSED_TWICE:.0%}")
    checks += [
        {"check": "suspicious change", "status": "warning",
         "says": f"{row['metric']} ({row['arm']}) changes by {row['relative']:+.0%}; check the data first"}
        for row in rows
        if row["relative"] is not None and abs(row["relative"]) > SUSPICIOUS and row["role"] != "secondary"
    ]
    return checks, broken, blocking


# -- segments and time ----------------------------------------------------------------------------------


def _segment(engine: Engine, study: Study, segment: str, findings: Findings) -> list[dict[str, Any]]:
    """Effects in each value of a segment, and whether they differ between values (Cochran's Q)."""
    from scipy.special import chdtrc

    source, params = _arms(study)
    plain = replace(study, strata=())
    gathered = gather(engine, source, _blocks(study), ["arm", segment], params, base=study.base)
    findings.statements += gathered.statements
    values = list(dict.fromkeys(key[1] for key in gathered.rows))
    values.sort(key=lambda v: (v is None, str(v)))
    rows = []
    if study.cluster:
        return [{"segment": segment, "value": None, "metric": m.name, "arm": arm, "refused":
                 "segments of clustered assignments are not read"} for m in study.measures
                for arm in study.plan.treatments]
    for measure in study.measures:
        if measure.quantile is not None:
            continue
        for arm in study.plan.treatments:
            effects: list[Effect] = []
            lines = []
            for value in values:
                row: dict[str, Any] = {"segment": segment, "value": value, "metric": measure.name, "arm": arm}
                try:
                    pair = {name: gathered.moments.get((name, value), {}).get(measure.name) or
                            Moments.empty(len(measure.columns)) for name in (study.plan.control, arm)}
                    estimators.refuse_few(pair, study.plan.min_units)
                    effect = _effect(plain, measure, gathered, pair, arm, False)
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


def _correct_segments(rows: list[dict[str, Any]], alpha: float) -> None:
    """Every slice looked at is a test: all of them share the error (Holm)."""
    for row, p in zip(rows, adjust([row.get("p_value") for row in rows], "holm"), strict=True):
        row["p_adjusted"] = p
        row["verdict"] = verdict(row, alpha) if p is not None else None


def _series(engine: Engine, study: Study, findings: Findings) -> list[dict[str, Any]]:
    """The effect on all units that had come by each day: how it settled."""
    source, params = _arms(study)
    dated = f"SELECT *, date_of({comma([study.day])}) AS entry_day FROM ({source}) AS units"
    gathered = gather(engine, dated, _blocks(study), ["arm", "entry_day"], params, base=study.base)
    findings.statements += gathered.statements
    days = sorted({key[1] for key in gathered.rows if key[1] is not None})
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
                    pair = {name: so_far.get(name, {}).get(measure.name) or Moments.empty(len(measure.columns))
                            for name in (study.plan.control, arm)}
                    estimators.refuse_few(pair, study.plan.min_units)
                    effect = _effect(replace(study, strata=()), measure, gathered, pair, arm, False)
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


__all__ = ["Findings", "Value", "analyse", "numbers", "verdict"]
