"""Causal methods on any table, file or metric: did, event-study, staggered, matching, interrupted, synthetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    ChartOption,
    Format,
    FormatOption,
    SqlOption,
    WarehouseOption,
    WhereOption,
    check_chart,
    commands,
    examples,
    give,
    read,
    split_names,
    warehouse_url,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.causal_result import Estimate
    from prodsense.warehouse import Warehouse

app = commands()
causal = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]},
    help="What a change did, where nobody drew lots: every answer says how it was obtained, what it assumes and what"
    " speaks against it.",
    epilog=examples(
        "prodsense causal did shops.csv --outcome sales --treated in_pilot --time week --since 2024-05-06 --unit shop",
        "prodsense causal staggered counties.csv --outcome lemp --unit county --time year --cohort first_treat",
    ),
)
app.add_typer(causal, name="causal")

TableArgument = Annotated[
    str | None,
    typer.Argument(metavar="[TABLE]", show_default=False,
                   help="A table, view or model of the warehouse, or a file; none with --metric."),
]
OutcomeOption = Annotated[
    str | None, typer.Option("--outcome", metavar="COLUMN", show_default=False, help="What may have changed.")
]
UnitOption = Annotated[
    str | None, typer.Option("--unit", metavar="COLUMN", show_default=False, help="Who or what is observed.")
]
TimeOption = Annotated[
    str | None,
    typer.Option("--time", metavar="COLUMN", show_default=False, help="When: dates, or whole numbers like years."),
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="T", show_default=False, help="The first period with the change.")
]
TreatedOption = Annotated[
    str | None,
    typer.Option("--treated", metavar="COLUMN", show_default=False,
                 help="1 for the treated (before the change too), 0 for the others."),
]
TreatedUnitOption = Annotated[
    list[str] | None,
    typer.Option("--treated-unit", metavar="VALUE", show_default=False,
                 help="A value of the unit that is treated; repeat for several."),
]
CovariatesOption = Annotated[
    list[str] | None,
    typer.Option("--covariate", metavar="COLUMN", show_default=False,
                 help="Adjust for this column; repeat, or part with commas."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="COLUMN", show_default=False, help="Errors go together inside (default: unit)."),
]
GrainOption = Annotated[
    str | None,
    typer.Option("--grain", metavar="day|week|month|quarter|year", show_default=False,
                 help="Take times together by such periods."),
]
MetricOption = Annotated[
    str | None,
    typer.Option("--metric", metavar="NAME", show_default=False,
                 help="A metric as outcome instead of a table; its time is the grain, its unit the slice --by."),
]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="DIM", show_default=False, help="With --metric: the slice as unit.")
]
ConfidenceOption = Annotated[float, typer.Option("--confidence", metavar="SHARE", help="Of the intervals.")]


@dataclass(frozen=True)
class Ask:
    """What the commands share: where the rows come from and how the answer is told."""

    ctx: typer.Context
    table: str | None
    warehouse: str | None
    where: str | None
    metric: str | None
    by: str | None
    grain: str | None

    def run(
        self, action: Callable[..., Estimate], outcome: str | None, unit: str | None, time: str | None,
        *, with_unit: bool = True, **options: Any,
    ) -> Estimate:
        """Call `action` with the data, the outcome and the columns that are meant."""
        from prodsense.inference.causal_data import Sample
        from prodsense.metrics.reading import is_file

        if (self.table is None) == (self.metric is None):
            raise UsageError("name either a table or file, or a metric (--metric)")
        if self.metric:
            for given, name in ((outcome, "--outcome"), (unit, "--unit"), (time, "--time")):
                if given:
                    raise UsageError(f"{name} goes with a table; a metric brings its own")
            if with_unit and not self.by:
                raise UsageError("name the slice that is the unit: --by")
            url = warehouse_url(self.ctx, self.warehouse)
            return read(url, lambda wh: self._metric(wh, action, with_unit, options))
        if self.by:
            raise UsageError("--by goes with --metric; for a table name --unit")
        if outcome is None:
            raise UsageError("name the column of the outcome: --outcome")
        named: dict[str, Any] = {**options, "outcome": outcome}
        named |= {"unit": unit} if unit else {}
        named |= {"time": time} if time else {}
        named |= {"grain": self.grain} if self.grain else {}
        table = str(self.table)
        if is_file(table):
            with Sample.read(table, self.where or "") as sample:
                return action(sample, **named)
        return read(
            warehouse_url(self.ctx, self.warehouse),
            lambda wh: action(Sample.of(wh.engine, wh.relation(table), self.where or ""), **named),
        )

    def _metric(
        self, wh: Warehouse, action: Callable[..., Estimate], with_unit: bool, options: dict[str, Any]
    ) -> Estimate:
        grain = self.grain or "week"
        by = [self.by] if self.by and with_unit else []
        found = wh.metric(str(self.metric), by=by, grain=grain, where=self.where, tz=zone(None))
        named = {**options, "outcome": found.metrics[0], "time": "period"}
        if with_unit:
            named["unit"] = found.by[0]
        return action(found, **named)


def _need(value: Any, option: str) -> Any:
    if not value:
        raise UsageError(f"this method needs {option}")
    return value


@causal.command(
    epilog=examples(
        "prodsense causal did shops.csv --outcome sales --treated in_pilot --time week --since 2024-05-06 --unit shop",
        "prodsense causal did houses.csv --outcome price --treated near --after later",
        "prodsense causal did --metric delivery.on_time_rate --by city --grain week --treated-unit Berlin"
        " --since 2024-05-06",
    )
)
def did(
    ctx: typer.Context,
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    treated: TreatedOption = None,
    treated_unit: TreatedUnitOption = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="COLUMN", show_default=False, help="1 after the change, instead of --time."),
    ] = None,
    time: TimeOption = None,
    since: SinceOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    covariate: CovariatesOption = None,
    errors: Annotated[
        str | None,
        typer.Option("--errors", metavar="cluster|robust|classic", show_default=False,
                     help="Standard errors (default: clustered where a unit or cluster is named, else robust)."),
    ] = None,
    metric: MetricOption = None,
    by: ByOption = None,
    grain: GrainOption = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """How much more the treated changed than the others (difference in differences).

    Pre-trends and placebo dates are tested where more than one period lies before the change.
    """
    _chart(chart)
    from prodsense.inference.causal_did import did as ask

    who = _treated(treated, treated_unit)
    options: dict[str, Any] = {"treated": who, "after": after, "since": since, "cluster": cluster,
               "covariates": split_names(covariate), "errors": errors, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, metric, by, grain)
    give(source.run(ask, outcome, unit, time, **options), form, sql, chart)


@causal.command(
    "event-study",
    epilog=examples(
        "prodsense causal event-study shops.csv --outcome sales --unit shop --time week --treated in_pilot"
        " --since 2024-05-06 --chart effect.png",
    ),
)
def event_study(
    ctx: typer.Context,
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    treated: TreatedOption = None,
    treated_unit: TreatedUnitOption = None,
    cohort: Annotated[
        str | None,
        typer.Option("--cohort", metavar="COLUMN", show_default=False,
                     help="First treated period of a unit (null or 0: never), instead of --treated and --since."),
    ] = None,
    time: TimeOption = None,
    since: SinceOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    covariate: CovariatesOption = None,
    reference: Annotated[
        int, typer.Option("--reference", metavar="N", help="Set all against this period; -1 is the last before.")
    ] = -1,
    metric: MetricOption = None,
    by: ByOption = None,
    grain: GrainOption = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """The difference between treated and others in each period around one date, with a joint test of those before."""
    _chart(chart)
    from prodsense.inference.causal_did import event_study as ask

    who = None if cohort else _treated(treated, treated_unit)
    options: dict[str, Any] = {"treated": who, "since": since, "cohort": cohort, "cluster": cluster,
               "covariates": split_names(covariate), "reference": reference, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, metric, by, grain)
    if metric is None:
        _need(time, "--time")
    give(source.run(ask, outcome, unit, time, **options), form, sql, chart)


class Aggregate(StrEnum):
    """How group-time effects are put together."""

    dynamic = "dynamic"
    group = "group"
    calendar = "calendar"
    simple = "simple"
    group_time = "group_time"


class Control(StrEnum):
    """Whom the treated are compared with."""

    never = "never"
    not_yet = "not_yet"


@causal.command(
    epilog=examples(
        "prodsense causal staggered counties.csv --outcome lemp --unit county --time year --cohort first_treat"
        " --aggregate group_time",
    )
)
def staggered(
    ctx: typer.Context,
    unit: Annotated[str, typer.Option("--unit", metavar="COLUMN", show_default=False, help="Who adopts.")],
    time: Annotated[str, typer.Option("--time", metavar="COLUMN", show_default=False, help="When.")],
    cohort: Annotated[
        str,
        typer.Option("--cohort", metavar="COLUMN", show_default=False,
                     help="First treated period of a unit (null or 0: never)."),
    ],
    outcome: OutcomeOption = None,
    table: TableArgument = None,
    aggregate: Annotated[
        Aggregate,
        typer.Option("--aggregate", metavar="dynamic|group|calendar|simple|group_time", help="Which effects to list."),
    ] = Aggregate.dynamic,
    control: Annotated[
        Control, typer.Option("--control", metavar="never|not_yet", help="Compare with the never or not yet treated.")
    ] = Control.never,
    covariate: CovariatesOption = None,
    estimator: Annotated[
        str,
        typer.Option("--estimator", metavar="doubly_robust|regression|weighting", help="How covariates enter."),
    ] = "doubly_robust",
    anticipation: Annotated[
        int, typer.Option("--anticipation", metavar="N", help="Periods before the date that may react already.")
    ] = 0,
    balance: Annotated[
        int | None,
        typer.Option("--balance", metavar="N", show_default=False, help="Dynamic: only cohorts seen N periods on."),
    ] = None,
    cluster: ClusterOption = None,
    grain: GrainOption = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Effects of a change adopted at different dates, without comparing with those treated already.

    Periods before adoption are placebos and tested together; a two-way regression is shown beside, taken apart.
    """
    _chart(chart)
    from prodsense.inference.causal_staggered import staggered_did as ask

    options: dict[str, Any] = {"cohort": cohort, "covariates": split_names(covariate), "control": control.value,
               "method": estimator, "aggregate": aggregate.value, "anticipation": anticipation, "balance": balance,
               "cluster": cluster, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, None, None, grain)
    give(source.run(ask, outcome, unit, time, **options), form, sql, chart)


class Method(StrEnum):
    """How an observational comparison is adjusted."""

    doubly_robust = "doubly_robust"
    weighting = "weighting"
    matching = "matching"


class Target(StrEnum):
    """On whom the effect is."""

    treated = "treated"
    all = "all"
    overlap = "overlap"


@causal.command(
    epilog=examples(
        "prodsense causal matching users.parquet --outcome orders --treated saw_tips --covariate age,plan,orders_before"
        " --placebo-outcome orders_before_that --chart balance.png",
    )
)
def matching(
    ctx: typer.Context,
    treated: Annotated[
        str, typer.Option("--treated", metavar="COLUMN", show_default=False, help="1 for the treated, 0 for others.")
    ],
    covariate: Annotated[
        list[str],
        typer.Option("--covariate", metavar="COLUMN", show_default=False,
                     help="Measured before the treatment; repeat, or part with commas."),
    ],
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    method: Annotated[
        Method, typer.Option("--method", metavar="doubly_robust|weighting|matching", help="How to adjust.")
    ] = Method.doubly_robust,
    target: Annotated[
        Target, typer.Option("--target", metavar="treated|all|overlap", help="On whom the effect is.")
    ] = Target.treated,
    ratio: Annotated[int, typer.Option("--ratio", metavar="N", help="Matching: untreated for each treated.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Matching: an untreated row may serve again.")] = False,
    caliper: Annotated[
        float | None,
        typer.Option("--caliper", metavar="SD", show_default=False,
                     help="Matching: the largest distance, in standard deviations of the score."),
    ] = None,
    trim: Annotated[
        float | None,
        typer.Option("--trim", metavar="SHARE", show_default=False, help="Leave out scores nearer to 0 or 1."),
    ] = None,
    placebo_outcome: Annotated[
        str | None,
        typer.Option("--placebo-outcome", metavar="COLUMN", show_default=False,
                     help="An outcome from before the treatment, which it cannot have changed."),
    ] = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """An observational comparison adjusted by the propensity score, with the balance that it reached.

    The chart is a love plot of the covariates before and after.
    """
    _chart(chart)
    from prodsense.inference.causal_propensity import propensity as ask

    options: dict[str, Any] = {"treated": treated, "covariates": split_names(covariate), "method": method.value,
               "target": target.value, "ratio": ratio, "replace": replace, "caliper": caliper, "trim": trim,
               "placebo_outcome": placebo_outcome, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, None, None, None)
    give(source.run(ask, outcome, None, None, **options), form, sql, chart)


@causal.command(
    epilog=examples(
        "prodsense causal interrupted casualties.csv --outcome drivers --time month --since 1983-02-01 --log"
        " --control rear --chart law.png",
        "prodsense causal interrupted --metric delivery.on_time_rate --grain day --since 2024-05-06",
    )
)
def interrupted(
    ctx: typer.Context,
    since: Annotated[
        str, typer.Option("--since", metavar="T", show_default=False, help="The first period after the change.")
    ],
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    time: TimeOption = None,
    covariate: CovariatesOption = None,
    control: Annotated[
        str | None,
        typer.Option("--control", metavar="COLUMN", show_default=False,
                     help="A series that the change cannot have touched."),
    ] = None,
    season: Annotated[
        int | None,
        typer.Option("--season", metavar="N", show_default=False,
                     help="Periods of a season (default: 7 days, 12 months, 4 quarters; 0 for none)."),
    ] = None,
    level_only: Annotated[bool, typer.Option("--level-only", help="A step without a bend.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Relative effects, from logarithms.")] = False,
    lags: Annotated[
        int | None,
        typer.Option("--lags", metavar="N", show_default=False, help="Of the errors (default: a season)."),
    ] = None,
    metric: MetricOption = None,
    grain: GrainOption = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """What a date did to one series: a step, a bend, and the gap to the line that went on (interrupted time series)."""
    _chart(chart)
    from prodsense.inference.causal_interrupted import interrupted_series as ask

    adjust = split_names(covariate)
    options: dict[str, Any] = {"since": since, "covariates": adjust, "control": control, "season": season,
               "slope": not level_only, "log": log, "lags": lags, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, metric, None, grain)
    if metric is None:
        _need(time, "--time")
    give(source.run(ask, outcome, None, time, with_unit=False, **options), form, sql, chart)


class Mix(StrEnum):
    """How the comparison is mixed."""

    synthetic = "synthetic"
    sdid = "sdid"


@causal.command(
    epilog=examples(
        "prodsense causal synthetic smoking.csv --outcome cigsale --unit state --time year --treated-unit California"
        " --since 1989 --chart california.png",
        "prodsense causal synthetic --metric delivery.on_time_rate --by city --treated-unit Berlin --since 2024-05-06",
    )
)
def synthetic(
    ctx: typer.Context,
    treated_unit: Annotated[
        list[str],
        typer.Option("--treated-unit", metavar="VALUE", show_default=False, help="Who is treated; repeat for several."),
    ],
    since: Annotated[
        str, typer.Option("--since", metavar="T", show_default=False, help="The first period with the change.")
    ],
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    unit: UnitOption = None,
    time: TimeOption = None,
    donor: Annotated[
        list[str] | None,
        typer.Option("--donor", metavar="VALUE", show_default=False,
                     help="A unit to mix from (default: all others); repeat, or part with commas."),
    ] = None,
    method: Annotated[
        Mix, typer.Option("--method", metavar="synthetic|sdid", help="Synthetic control, or synthetic DiD.")
    ] = Mix.synthetic,
    errors: Annotated[
        str, typer.Option("--errors", metavar="placebo|jackknife", help="Jackknife: sdid with several treated units.")
    ] = "placebo",
    metric: MetricOption = None,
    by: ByOption = None,
    grain: GrainOption = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """One treated unit against a weighted mix of others that moved like it before.

    Placebos in space (each donor in its place) and in time (dates at which nothing happened) are always shown.
    """
    _chart(chart)
    from prodsense.inference.causal_synthetic import synthetic_control as ask

    options: dict[str, Any] = {"treated": treated_unit, "since": since, "donors": split_names(donor) or None,
               "method": method.value, "errors": errors, "confidence": confidence}  # fmt: skip
    source = Ask(ctx, table, warehouse, where, metric, by, grain)
    if metric is None:
        _need(unit, "--unit")
        _need(time, "--time")
    give(source.run(ask, outcome, unit, time, **options), form, sql, chart)


@causal.command(
    epilog=examples(
        "prodsense causal regression firms.csv --outcome y --on x --cluster firm --cluster year",
    )
)
def regression(
    ctx: typer.Context,
    on: Annotated[
        list[str],
        typer.Option("--on", metavar="COLUMN", show_default=False,
                     help="What explains the outcome, the one of interest first; repeat, or part with commas."),
    ],
    table: TableArgument = None,
    outcome: OutcomeOption = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option("--cluster", metavar="COLUMN", show_default=False,
                     help="Errors move together inside; once or twice."),
    ] = None,
    errors: Annotated[
        str | None,
        typer.Option("--errors", metavar="robust|classic", show_default=False, help="Without clusters."),
    ] = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Least squares with robust or clustered errors: what goes with what."""
    _chart(chart)
    from prodsense.inference.causal_regression import cluster_ols as ask

    options: dict[str, Any] = {"on": split_names(on), "cluster": split_names(cluster), "errors": errors}
    options["confidence"] = confidence
    source = Ask(ctx, table, warehouse, where, None, None, None)
    give(source.run(ask, outcome, None, None, **options), form, sql, chart)


def _chart(path: Path | None) -> None:
    if path:
        check_chart(path)


def _treated(column: str | None, units: list[str] | None) -> str | list[str]:
    """Who is treated: a column, or values of the unit."""
    if (column is None) == (not units):
        raise UsageError("say who is treated: a column (--treated), or values of the unit (--treated-unit)")
    return column or list(units or ())
