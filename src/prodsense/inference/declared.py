"""Declared experiments: assignments and metrics of a pack, joined unit by unit into a study.

A unit that was assigned and did nothing counts with nothing: it is in the denominator of a mean a unit. A unit seen in
several arms is left out and counted. A metric's rows count from the unit's assignment on; those before it are what
CUPED explains variance away with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.contracts.sql import parse_select, qualify_tables
from prodsense.contracts.vocabulary import Experiment, Metric, Param, ParamType
from prodsense.engines.base import comma
from prodsense.engines.dialect import parse
from prodsense.errors import UsageError, did_you_mean
from prodsense.inference.estimators import Outcome
from prodsense.inference.formula import Formula
from prodsense.inference.study import Margin, Measure, Role, Study
from prodsense.inference.study import Plan as Design
from prodsense.inference.units import Derived, UnitMetrics
from prodsense.metrics import periods
from prodsense.metrics.compiler import Plan, newest, probe_of
from prodsense.metrics.queries import coerce
from prodsense.metrics.rows import Context
from prodsense.metrics.scope import Request, Scope

if TYPE_CHECKING:
    from sqlglot import exp

    from prodsense.engines.base import Engine

#: How assignments are logged where an experiment does not say: the first of these columns that is there.
ARM_COLUMNS = ("variant", "arm")
TIME_COLUMNS = ("assigned_at", "exposed_at", "enrolled_at")
NAME_COLUMNS = ("experiment", "experiment_name", "experiment_id")
BLOCK_COLUMNS = ("block", "cluster")
LOG = "experiment_assignments"


@dataclass(frozen=True)
class Options:
    """What a run may say beside the declaration: the window of assignments, and other statistics."""

    since: Any = None
    until: Any = None
    as_of: Any = None
    tz: str = "UTC"
    segments: tuple[str, ...] = ()
    alpha: float | None = None
    correction: str | None = None
    sequential: bool | None = None
    adjustment: str = "cuped"
    before_days: int | None = None
    within_days: int | None = None
    novelty_days: int = 0
    min_units: int = 2

    @classmethod
    def read(cls, params: Mapping[str, Any], owner: str) -> Options:
        """Options by name, values of a shell's texts among them; UsageError for an unknown or ill-typed one."""
        kinds: dict[str, ParamType] = {
            "since": "text", "until": "text", "as_of": "text", "tz": "text", "correction": "text",
            "adjustment": "text", "alpha": "number", "sequential": "boolean", "before_days": "integer",
            "within_days": "integer", "novelty_days": "integer", "min_units": "integer",
        }
        values: dict[str, Any] = {}
        for name, value in params.items():
            if name == "segments":
                values[name] = (value,) if isinstance(value, str) else tuple(value)
            elif name not in kinds:
                hint = did_you_mean(name, set(kinds)) or f" It takes: {', '.join([*kinds, 'segments'])}"
                raise UsageError(f"{owner} has no parameter {name}.{hint}")
            elif value is not None:
                values[name] = value if kinds[name] == "text" else coerce(value, Param(name, kinds[name]), owner)
        if not 0 < values.get("alpha", 0.05) < 1:
            raise UsageError(f"{owner}: alpha lies between 0 and 1, not {values['alpha']}")
        if values.get("adjustment", "cuped") not in ("cuped", "lin"):
            raise UsageError(f"{owner}: adjustment is cuped or lin, not {values['adjustment']}")
        if any(values.get(name, 0) < 0 for name in ("before_days", "within_days", "novelty_days", "min_units")):
            raise UsageError(f"{owner}: days and units are not below 0")
        return cls(**values)


def assignments(experiment: Experiment, scope: Scope) -> exp.Query:
    """The SELECT of assignments: ``unit``, ``arm``, ``assigned_at``, and the columns that the design names."""
    from sqlglot import exp

    origin = f"{scope.pack}.{experiment.name}"
    if experiment.sql:
        tree = qualify_tables(parse_select(experiment.sql, origin), scope.pack)
        assert isinstance(tree, exp.Query)
        return tree
    columns = scope.relation(LOG, origin).columns

    def first(names: Sequence[str]) -> str | None:
        return next((name for name in names if name in columns), None)

    unit, arm = first((experiment.key, "unit_id")), first(ARM_COLUMNS)
    if unit is None or arm is None:
        raise UsageError(
            f"{origin} does not say who was assigned: {scope.full(LOG)} has no column {experiment.key or 'unit_id'}"
            " or no variant; give the experiment its own `sql`"
        )
    time, name, block = first(TIME_COLUMNS), first(NAME_COLUMNS), first(BLOCK_COLUMNS)
    items = [
        exp.alias_(exp.Anonymous(this="text_of", expressions=[exp.column(unit)]), "unit"),
        exp.alias_(exp.column(arm), "arm"),
        exp.alias_(exp.column(time) if time else exp.cast(exp.Null(), "TIMESTAMP"), "assigned_at"),
    ]
    extra = [experiment.cluster, *experiment.strata, *experiment.segments, *experiment.covariates]
    items += [exp.column(column) for column in dict.fromkeys(filter(None, extra)) if column in columns]
    if block and not experiment.cluster and experiment.design in ("switchback", "cluster"):
        items.append(exp.alias_(exp.column(block), "block"))
    query = exp.select(*items).from_(exp.table_(LOG, db=scope.pack))
    if name:
        query = query.where(exp.column(name).eq(exp.Literal.string(experiment.name)))
    return query


@dataclass(frozen=True)
class Declared:
    """A declared experiment, compiled: what it reads is known before it runs (`tree`)."""

    experiment: Experiment
    scope: Scope
    options: Options
    plan: Plan
    metrics: tuple[tuple[Metric, Role, Margin | None], ...]
    found: Mapping[str, Derived]
    refused: Mapping[str, str]
    select: str
    quantiles: Mapping[str, str]
    cluster: str

    @property
    def tree(self) -> exp.Query:
        return self.plan.tree


def roles(experiment: Experiment, scope: Scope) -> tuple[tuple[Metric, Role, Margin | None], ...]:
    """Each metric with what it decides; one that is both primary and guardrail is there twice."""
    found: list[tuple[Metric, Role, Margin | None]] = []
    for names, role in ((experiment.primary, "primary"), (experiment.secondary, "secondary")):
        found += [(scope.metric(name), role, None) for name in names]  # type: ignore[misc]
    for name, margin in experiment.guardrails.items():
        found.append((scope.metric(name), "guardrail", Margin.read(margin, f"{scope.pack}.{experiment.name}")))
    return tuple(found)


def check(experiment: Experiment, scope: Scope) -> None:
    """Resolve a declaration without running it; UsageError or SqlError says what is wrong."""
    if experiment.run is None:
        compiled(experiment, scope, Options())


def compiled(experiment: Experiment, scope: Scope, options: Options) -> Declared:
    """Write the statement of an experiment.

    A metric that no experiment can read is kept with its reason, as long as there is another.
    """
    from sqlglot import exp

    origin = f"{scope.pack}.{experiment.name}"
    if len(experiment.arms) < 2:
        raise UsageError(f"{origin} has {len(experiment.arms)} arms; a comparison needs two")
    log = assignments(experiment, scope)
    logged = {item.alias_or_name.lower() for item in log.selects}
    for need in ("unit", "arm", "assigned_at"):
        if need not in logged:
            raise UsageError(f"{origin}: its assignments give no column {need}; they have: {', '.join(sorted(logged))}")
    cluster = experiment.cluster or ("block" if "block" in logged else "")
    extra = [cluster, *experiment.strata, *experiment.covariates,
             *(options.segments or experiment.segments)]
    carried = list(dict.fromkeys(filter(None, extra)))
    for name in carried:
        if name not in logged:
            raise UsageError(f"{origin}: its assignments have no column {name}.{did_you_mean(name, logged)}")
    request = Request([m.name for m, _, _ in roles(experiment, scope)][:1], as_of=options.as_of, tz=options.tz)
    context = Context(scope, request, "all")
    metrics = roles(experiment, scope)
    units = UnitMetrics(scope, context, experiment.key or "unit_id")
    found: dict[str, Derived] = {}
    refused: dict[str, str] = {}
    for metric, _, _ in metrics:
        if metric.name in found or metric.name in refused:
            continue
        try:
            found[metric.name] = units.add(metric)
        except UsageError as error:
            refused[metric.name] = error.message
    if not found:
        raise UsageError(f"{origin}: {next(iter(refused.values()))}")
    timed = experiment.since_assignment
    before = options.before_days if options.before_days is not None else experiment.before_days
    within = options.within_days if options.within_days is not None else experiment.within_days
    text, quantiles = _statements(
        units, found, log, carried, timed=timed, before=before, within=within, options=options
    )
    tree = parse(text, origin)
    assert isinstance(tree, exp.Query)
    read = {(s.rows.relation.name, s.time): s.rows.relation.is_day(s.time) for s in units.sources if s.time}
    plan = Plan(
        request, tree, probe_of(read), tuple(m for m, _, _ in metrics), (), "all", dict(context.literals.values),
        tuple(context.notes), False, max((units.matures(i) for i in range(len(units.sources))), default=0),
        tuple(dict.fromkeys(s.rows.relation.name for s in units.sources)),
    )
    return Declared(experiment, scope, options, plan, metrics, found, refused, text, quantiles, cluster)


def _statements(
    units: UnitMetrics, found: Mapping[str, Derived], log: exp.Query, carried: Sequence[str], *, timed: bool,
    before: int, within: int, options: Options,
) -> tuple[str, dict[str, str]]:
    """One row an assigned unit: arm, design columns, and each metric's sums in the window, before, early and late;
    and for each quantile the SELECT of its rows."""
    window = []
    if options.since is not None:
        window.append("a.assigned_at >= :assigned_since")
    if options.until is not None:
        window.append("a.assigned_at < :assigned_until")
    if within:
        # A unit whose window is not over would count with less.
        window.append(f"(a.assigned_at IS NULL OR add_minutes(a.assigned_at, {within * 1440}) <= :as_of)")
    where = f" WHERE {' AND '.join(window)}" if window else ""
    held = "".join(f", MIN({comma([name])}) AS {comma([name])}" for name in carried)
    logged = (
        f"log AS ({log.sql('duckdb')}), assigned AS (SELECT unit, MIN(arm) AS arm,"
        f" MIN(CAST(assigned_at AS TIMESTAMP)) AS assigned_at{held}"
        " FROM log WHERE unit IS NOT NULL AND arm IS NOT NULL GROUP BY unit HAVING COUNT(DISTINCT arm) = 1)"
    )
    ctes = [logged]
    shown = ["a.unit", "a.arm", "a.assigned_at", *(f"a.{comma([name])}" for name in carried)]
    joins = []
    quantiles: dict[str, str] = {}
    for i, source in enumerate(units.sources):
        is_day = bool(source.time) and source.rows.is_day
        windows = _windows(is_day, timed and bool(source.time), before, within, options.novelty_days)
        rows = f"({source.select(units.matures(i)).sql('duckdb')}) AS r"
        for name, metric in found.items():
            if metric.quantile is not None and metric.terms[0].source == i:
                inside = windows["in"].replace("b.assigned_at", "a.assigned_at")
                both = " AND ".join([*window, *([inside] if inside else []), f"r.{metric.terms[0].column} IS NOT NULL"])
                quantiles[name] = (
                    f"WITH {logged} SELECT a.unit, a.arm, r.{metric.terms[0].column} AS value"
                    f" FROM assigned AS a JOIN {rows} ON r.unit = a.unit WHERE {both}"
                )
        terms = [t for d in found.values() if d.quantile is None for t in d.terms if t.source == i]
        if not terms:
            continue
        sums = []
        for term in dict.fromkeys(terms):
            for prefix, condition in windows.items():
                value = f"CASE WHEN {condition} THEN r.{term.column} END" if condition else f"r.{term.column}"
                name = f"{prefix}_{term.column}{'_distinct' if term.distinct else ''}"
                sums.append(f"{f'COUNT(DISTINCT {value})' if term.distinct else f'SUM({value})'} AS {name}")
                # A unit without rows adds nothing, which for a sum is 0.
                shown.append(f"COALESCE(CAST(s{i}.{name} AS DOUBLE), 0) AS s{i}_{name}")
        joined = " JOIN assigned AS b ON b.unit = r.unit" if any(windows.values()) else ""
        ctes.append(f"s{i} AS (SELECT r.unit, {', '.join(sums)} FROM {rows}{joined} GROUP BY r.unit)")
        joins.append(f"LEFT JOIN s{i} ON s{i}.unit = a.unit")
    select = f"WITH {', '.join(ctes)} SELECT {', '.join(shown)} FROM assigned AS a {' '.join(joins)}{where}"
    return select, quantiles


def _windows(is_day: bool, timed: bool, before: int, within: int, novelty: int) -> dict[str, str]:
    """Conditions on a row's moment by prefix: ``in`` the window, ``pre``, ``early`` and ``late``."""
    if not timed:
        return {"in": ""}
    start = "date_of(b.assigned_at)" if is_day else "b.assigned_at"

    def after(days: int) -> str:
        return f"add_days(b.assigned_at, {days})" if is_day else f"add_minutes(b.assigned_at, {days * 1440})"

    inside = f"(b.assigned_at IS NULL OR r.moment >= {start})"
    if within:
        inside += f" AND (b.assigned_at IS NULL OR r.moment < {after(within)})"
    found = {"in": inside}
    if before:
        found["pre"] = f"r.moment < {start} AND r.moment >= {after(-before)}"
    if novelty:
        found["early"] = f"r.moment >= {start} AND r.moment < {after(novelty)}"
        found["late"] = f"r.moment >= {after(novelty)}" + (f" AND r.moment < {after(within)}" if within else "")
    return found


def study_of(engine: Engine, declared: Declared) -> Study:
    """The study of a compiled experiment on an engine's data."""
    experiment, options, plan = declared.experiment, declared.options, declared.plan
    moment, notes = plan.request.as_of, list(plan.notes)
    if moment is None:
        moment, _ = newest(engine, plan)
    moment = moment or datetime(1970, 1, 1)
    params: dict[str, Any] = {**plan.params(moment), "as_of": moment}
    for name, value in (("assigned_since", options.since), ("assigned_until", options.until)):
        if value is not None:
            params[name] = periods.midnight(periods.read_day(value, name.removeprefix("assigned_")), options.tz)
    before = options.before_days if options.before_days is not None else experiment.before_days
    measures = [
        _measure(declared.found[metric.name], metric, role, margin, bool(before) and experiment.since_assignment,
                 experiment.covariates, declared.quantiles.get(metric.name, ""))
        for metric, role, margin in declared.metrics if metric.name in declared.found
    ]
    refused = tuple(
        (metric.name, role, declared.refused[metric.name]) for metric, role, _ in declared.metrics
        if metric.name in declared.refused
    )
    notes += [
        f"{name}: what it counts as distinct is distinct within a unit" for name, found in declared.found.items()
        if any(term.distinct for term in found.terms)
    ]
    shares = dict(experiment.shares)
    if "planned" in {item.alias_or_name.lower() for item in assignments(experiment, declared.scope).selects}:
        shares = _planned(engine, declared, params) or shares
    design = experiment.design
    control = experiment.control or experiment.arms[0]
    return Study(
        f"{declared.scope.pack}.{experiment.name}", declared.select, tuple(measures),
        Design(
            control, experiment.arms, shares, options.alpha or experiment.alpha,
            options.correction or experiment.correction,
            experiment.sequential if options.sequential is None else options.sequential,
            adjustment=options.adjustment, design=design,  # type: ignore[arg-type]
            min_units=options.min_units,
            label="observational" if design == "observational" else "randomised", unit=experiment.unit,
            says=experiment.says,
        ),
        params, False, declared.cluster, experiment.strata, options.segments or experiment.segments,
        "assigned_at", moment, _facts(engine, declared, params), tuple(notes), refused=refused,
        novelty=_novelty(declared) if options.novelty_days and experiment.since_assignment else (),
    )


def _measure(
    found: Derived, metric: Metric, role: Role, margin: Margin | None, before: bool, covariates: tuple[str, ...],
    rows: str = "",
) -> Measure:
    names = [f"s{t.source}_in_{t.column}{'_distinct' if t.distinct else ''}" for t in found.terms]
    outcome = Outcome(found.formula)
    adjusted: list[str] = []
    if before and found.quantile is None:
        names += [name.replace("_in_", "_pre_") for name in names]
        outcome = Outcome(found.formula, (found.formula,))
        adjusted.append(f"{metric.name} before")
    if covariates and found.quantile is None:
        names += covariates
        outcome = Outcome(found.formula, (*outcome.covariates, *(Formula.mean() for _ in covariates)))
        adjusted += covariates
    return Measure(
        metric.name, outcome, tuple(names), role, metric.better, metric.unit, margin, tuple(adjusted), found.quantile,
        rows,
    )


def _novelty(declared: Declared) -> tuple[Measure, ...]:
    """Later less early, for each metric that is not a quantile; units of days before both count in neither."""
    found = []
    for name, metric in declared.found.items():
        if metric.quantile is None:
            early = [f"s{t.source}_early_{t.column}{'_distinct' if t.distinct else ''}" for t in metric.terms]
            late = [column.replace("_early_", "_late_") for column in early]
            outcome = Outcome(metric.formula.later_less_early())
            found.append(Measure(name, outcome, (*late, *early), "secondary", metric.metric.better, metric.metric.unit))
    return tuple(found)


def _planned(engine: Engine, declared: Declared, params: Mapping[str, Any]) -> dict[str, float]:
    """The planned share of each arm, where the assignments say it of each unit."""
    log = assignments(declared.experiment, declared.scope).sql("duckdb")
    text = f"SELECT arm, mean(planned) AS share FROM ({log}) AS log GROUP BY arm"
    found = {row["arm"]: row["share"] for row in engine.query(text, params).to_pylist()}
    shares = {arm: found.get(arm) for arm in declared.experiment.arms}
    return {arm: float(s) for arm, s in shares.items() if s} if all(shares.values()) else {}


def _facts(engine: Engine, declared: Declared, params: Mapping[str, Any]) -> dict[str, int]:
    """Units that were assigned oddly."""
    log = assignments(declared.experiment, declared.scope).sql("duckdb")
    text = (
        f"WITH log AS ({log}), units AS (SELECT unit, COUNT(DISTINCT arm) AS arms, COUNT(arm) AS logged FROM log"
        " WHERE unit IS NOT NULL GROUP BY unit)"
        " SELECT COUNT(*) AS units, COUNT(*) FILTER (WHERE arms > 1) AS several_arms,"
        " COUNT(*) FILTER (WHERE logged > arms) AS logged_again, COUNT(*) FILTER (WHERE arms = 0) AS no_arm FROM units"
    )
    return {name: int(value or 0) for name, value in engine.query(text, params).to_pylist()[0].items()}
