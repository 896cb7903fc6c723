"""Causal methods on any table, file or metric: did, event-study, staggered, matching, interrupted, synthetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from prodsense.cli.common import ConfidenceOption, Output, WhereOption, commands, examples, option, refuse, zone
from prodsense.cli.groups import Group
from prodsense.contracts.options import split_names
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.causal_result import Estimate
    from prodsense.warehouse import Warehouse

app = commands()
causal = commands(
    no_args_is_help=True,
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
OutcomeOption = Annotated[str | None, option("--outcome", "COLUMN", "What may have changed.")]
UnitOption = Annotated[str | None, option("--unit", "COLUMN", "Who or what is observed.")]
TimeOption = Annotated[str | None, option("--time", "COLUMN", "When: dates, or whole numbers like years.")]
SinceOption = Annotated[str | None, option("--since", "T", "The first period with the change.")]
TreatedOption = Annotated[
    str | None, option("--treated", "COLUMN", "1 for the treated (before the change too), 0 for the others.")
]
TreatedUnitOption = Annotated[
    list[str] | None, option("--treated-unit", "VALUE", "A value of the unit that is treated; repeat for several.")
]
CovariatesOption = Annotated[
    list[str] | None, option("--covariate", "COLUMN", "Adjust for this column; repeat, or part with commas.")
]
ClusterOption = Annotated[str | None, option("--cluster", "COLUMN", "Errors go together inside (default: unit).")]
GrainOption = Annotated[
    str | None, option("--grain", "day|week|month|quarter|year", "Take times together by such periods.")
]
MetricOption = Annotated[
    str | None,
    option("--metric", "NAME",
           "A metric as outcome instead of a table; its time is the grain, its unit the slice --by."),
]
ByOption = Annotated[str | None, option("--by", "DIM", "With --metric: the slice as unit.")]


@dataclass(frozen=True, kw_only=True)
class Data(Group):
    """What is looked at."""

    table: TableArgument = None
    outcome: OutcomeOption = None


@dataclass(frozen=True, kw_only=True)
class Treated(Group):
    """Whom the change met."""

    treated: TreatedOption = None
    treated_unit: TreatedUnitOption = None

    def column_or_units(self) -> str | list[str]:
        """A column, or values of the unit."""
        if (self.treated is None) == (not self.treated_unit):
            raise UsageError("say who is treated: a column (--treated), or values of the unit (--treated-unit)")
        return self.treated or list(self.treated_unit or ())


@dataclass(frozen=True, kw_only=True)
class Panel(Group):
    """Units over time, and when the change came."""

    time: TimeOption = None
    since: SinceOption = None
    unit: UnitOption = None
    cluster: ClusterOption = None
    covariate: CovariatesOption = None

    def options(self) -> dict[str, Any]:
        """What a method takes of it."""
        return {"time": self.time, "since": self.since, "unit": self.unit, "cluster": self.cluster,
                "covariates": split_names(self.covariate)}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Series(Group):
    """A metric in the place of a table."""

    metric: MetricOption = None
    by: ByOption = None
    grain: GrainOption = None


@dataclass(frozen=True, kw_only=True)
class Estimation(Output):
    """On which rows an effect is estimated, and how it is told."""

    where: WhereOption = None
    confidence: ConfidenceOption = 0.95

    def tell(
        self, method: Callable[..., Estimate], data: Data, series: Series | None = None, /, *,
        unit: str | None = None, time: str | None = None, with_unit: bool = True, **options: Any,
    ) -> None:
        """Tell what `method` makes of the data or the metric, with the outcome and the columns that are meant."""
        series = series or Series()
        options["confidence"] = self.confidence
        if (data.table is None) == (series.metric is None):
            raise UsageError("name either a table or file, or a metric (--metric)")
        if series.metric:
            refuse({"--outcome": data.outcome, "--unit": unit, "--time": time},
                   "goes with a table; a metric brings its own")  # fmt: skip
            if with_unit and not series.by:
                raise UsageError("name the slice that is the unit: --by")
            self.answer(lambda wh: self._of_metric(wh, method, series, with_unit, options))
            return
        if series.by:
            raise UsageError("--by goes with --metric; for a table name --unit")
        if data.outcome is None:
            raise UsageError("name the column of the outcome: --outcome")
        options |= {"outcome": data.outcome}
        options |= {"unit": unit} if unit else {}
        options |= {"time": time} if time else {}
        options |= {"grain": series.grain} if series.grain else {}
        self.give(self.on_sample(method, str(data.table), self.where, **options))

    def _of_metric(
        self, wh: Warehouse, method: Callable[..., Estimate], series: Series, with_unit: bool, options: dict[str, Any]
    ) -> Estimate:
        by = [series.by] if series.by and with_unit else []
        found = wh.metric(str(series.metric), by=by, grain=series.grain or "week", where=self.where, tz=zone(None))
        named = {**options, "outcome": found.metrics[0], "time": "period"}
        if with_unit:
            named["unit"] = found.by[0]
        return method(found, **named)


def _need(value: str | None, name: str) -> None:
    if not value:
        raise UsageError(f"this method needs {name}")


@causal.command(
    epilog=examples(
        "prodsense causal did shops.csv --outcome sales --treated in_pilot --time week --since 2024-05-06 --unit shop",
        "prodsense causal did houses.csv --outcome price --treated near --after later",
        "prodsense causal did --metric delivery.on_time_rate --by city --grain week --treated-unit Berlin"
        " --since 2024-05-06",
    )
)
def did(
    data: Data,
    *,
    who: Treated,
    after: Annotated[str | None, option("--after", "COLUMN", "1 after the change, instead of --time.")] = None,
    panel: Panel,
    errors: Annotated[
        str | None,
        option("--errors", "cluster|robust|classic",
               "Standard errors (default: clustered where a unit or cluster is named, else robust)."),
    ] = None,
    series: Series,
    output: Estimation,
) -> None:
    """How much more the treated changed than the others (difference in differences).

    Pre-trends and placebo dates are tested where more than one period lies before the change.
    """
    from prodsense.inference.causal_did import did as ask

    options = {"treated": who.column_or_units(), "after": after, "errors": errors, **panel.options()}
    output.tell(ask, data, series, **options)


@causal.command(
    "event-study",
    epilog=examples(
        "prodsense causal event-study shops.csv --outcome sales --unit shop --time week --treated in_pilot"
        " --since 2024-05-06 --chart effect.png",
    ),
)
def event_study(
    data: Data,
    *,
    who: Treated,
    cohort: Annotated[
        str | None,
        option("--cohort", "COLUMN",
               "First treated period of a unit (null or 0: never), instead of --treated and --since."),
    ] = None,
    panel: Panel,
    reference: Annotated[
        int, typer.Option("--reference", metavar="N", help="Set all against this period; -1 is the last before.")
    ] = -1,
    series: Series,
    output: Estimation,
) -> None:
    """The difference between treated and others in each period around one date, with a joint test of those before."""
    from prodsense.inference.causal_did import event_study as ask

    treated = None if cohort else who.column_or_units()
    if series.metric is None:
        _need(panel.time, "--time")
    output.tell(ask, data, series, treated=treated, cohort=cohort, reference=reference, **panel.options())


#: How group-time effects are put together.
Aggregate = Literal["dynamic", "group", "calendar", "simple", "group_time"]
#: Whom the treated are compared with.
Control = Literal["never", "not_yet"]


@causal.command(
    epilog=examples(
        "prodsense causal staggered counties.csv --outcome lemp --unit county --time year --cohort first_treat"
        " --aggregate group_time",
    )
)
def staggered(
    unit: Annotated[str, option("--unit", "COLUMN", "Who adopts.")],
    time: Annotated[str, option("--time", "COLUMN", "When.")],
    cohort: Annotated[str, option("--cohort", "COLUMN", "First treated period of a unit (null or 0: never).")],
    data: Data,
    *,
    aggregate: Annotated[
        Aggregate,
        typer.Option("--aggregate", metavar="dynamic|group|calendar|simple|group_time", help="Which effects to list."),
    ] = "dynamic",
    control: Annotated[
        Control, typer.Option("--control", metavar="never|not_yet", help="Compare with the never or not yet treated.")
    ] = "never",
    covariate: CovariatesOption = None,
    estimator: Annotated[
        str, typer.Option("--estimator", metavar="doubly_robust|regression|weighting", help="How covariates enter.")
    ] = "doubly_robust",
    anticipation: Annotated[
        int, typer.Option("--anticipation", metavar="N", help="Periods before the date that may react already.")
    ] = 0,
    balance: Annotated[int | None, option("--balance", "N", "Dynamic: only cohorts seen N periods on.")] = None,
    cluster: ClusterOption = None,
    grain: GrainOption = None,
    output: Estimation,
) -> None:
    """Effects of a change adopted at different dates, without comparing with those treated already.

    Periods before adoption are placebos and tested together; a two-way regression is shown beside, taken apart.
    """
    from prodsense.inference.causal_staggered import staggered_did as ask

    output.tell(
        ask, data, Series(grain=grain), unit=unit, time=time, cohort=cohort, covariates=split_names(covariate),
        control=control, method=estimator, aggregate=aggregate, anticipation=anticipation, balance=balance,
        cluster=cluster,
    )


#: How an observational comparison is adjusted.
Method = Literal["doubly_robust", "weighting", "matching"]
#: On whom the effect is.
Target = Literal["treated", "all", "overlap"]


@causal.command(
    epilog=examples(
        "prodsense causal matching users.parquet --outcome orders --treated saw_tips --covariate age,plan,orders_before"
        " --placebo-outcome orders_before_that --chart balance.png",
    )
)
def matching(
    treated: Annotated[str, option("--treated", "COLUMN", "1 for the treated, 0 for others.")],
    covariate: Annotated[
        list[str], option("--covariate", "COLUMN", "Measured before the treatment; repeat, or part with commas.")
    ],
    data: Data,
    *,
    method: Annotated[
        Method, typer.Option("--method", metavar="doubly_robust|weighting|matching", help="How to adjust.")
    ] = "doubly_robust",
    target: Annotated[
        Target, typer.Option("--target", metavar="treated|all|overlap", help="On whom the effect is.")
    ] = "treated",
    ratio: Annotated[int, typer.Option("--ratio", metavar="N", help="Matching: untreated for each treated.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Matching: an untreated row may serve again.")] = False,
    caliper: Annotated[
        float | None, option("--caliper", "SD", "Matching: the largest distance, in standard deviations of the score.")
    ] = None,
    trim: Annotated[float | None, option("--trim", "SHARE", "Leave out scores nearer to 0 or 1.")] = None,
    placebo_outcome: Annotated[
        str | None,
        option("--placebo-outcome", "COLUMN", "An outcome from before the treatment, which it cannot have changed."),
    ] = None,
    output: Estimation,
) -> None:
    """An observational comparison adjusted by the propensity score, with the balance that it reached.

    The chart is a love plot of the covariates before and after.
    """
    from prodsense.inference.causal_propensity import propensity as ask

    output.tell(
        ask, data, treated=treated, covariates=split_names(covariate), method=method, target=target, ratio=ratio,
        replace=replace, caliper=caliper, trim=trim, placebo_outcome=placebo_outcome,
    )


@causal.command(
    epilog=examples(
        "prodsense causal interrupted casualties.csv --outcome drivers --time month --since 1983-02-01 --log"
        " --control rear --chart law.png",
        "prodsense causal interrupted --metric delivery.on_time_rate --grain day --since 2024-05-06",
    )
)
def interrupted(
    since: Annotated[str, option("--since", "T", "The first period after the change.")],
    data: Data,
    *,
    time: TimeOption = None,
    covariate: CovariatesOption = None,
    control: Annotated[
        str | None, option("--control", "COLUMN", "A series that the change cannot have touched.")
    ] = None,
    season: Annotated[
        int | None, option("--season", "N", "Periods of a season (default: 7 days, 12 months, 4 quarters; 0 for none).")
    ] = None,
    level_only: Annotated[bool, typer.Option("--level-only", help="A step without a bend.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Relative effects, from logarithms.")] = False,
    lags: Annotated[int | None, option("--lags", "N", "Of the errors (default: a season).")] = None,
    metric: MetricOption = None,
    grain: GrainOption = None,
    output: Estimation,
) -> None:
    """What a date did to one series: a step, a bend, and the gap to the line that went on (interrupted time series)."""
    from prodsense.inference.causal_interrupted import interrupted_series as ask

    if metric is None:
        _need(time, "--time")
    output.tell(
        ask, data, Series(metric=metric, grain=grain), time=time, with_unit=False, since=since,
        covariates=split_names(covariate), control=control, season=season, slope=not level_only, log=log, lags=lags,
    )


#: How the comparison is mixed.
Mix = Literal["synthetic", "sdid"]


@causal.command(
    epilog=examples(
        "prodsense causal synthetic smoking.csv --outcome cigsale --unit state --time year --treated-unit California"
        " --since 1989 --chart california.png",
        "prodsense causal synthetic --metric delivery.on_time_rate --by city --treated-unit Berlin --since 2024-05-06",
    )
)
def synthetic(
    treated_unit: Annotated[list[str], option("--treated-unit", "VALUE", "Who is treated; repeat for several.")],
    since: Annotated[str, option("--since", "T", "The first period with the change.")],
    data: Data,
    *,
    unit: UnitOption = None,
    time: TimeOption = None,
    donor: Annotated[
        list[str] | None,
        option("--donor", "VALUE", "A unit to mix from (default: all others); repeat, or part with commas."),
    ] = None,
    method: Annotated[
        Mix, typer.Option("--method", metavar="synthetic|sdid", help="Synthetic control, or synthetic DiD.")
    ] = "synthetic",
    errors: Annotated[
        str, typer.Option("--errors", metavar="placebo|jackknife", help="Jackknife: sdid with several treated units.")
    ] = "placebo",
    series: Series,
    output: Estimation,
) -> None:
    """One treated unit against a weighted mix of others that moved like it before.

    Placebos in space (each donor in its place) and in time (dates at which nothing happened) are always shown.
    """
    from prodsense.inference.causal_synthetic import synthetic_control as ask

    if series.metric is None:
        _need(unit, "--unit")
        _need(time, "--time")
    output.tell(
        ask, data, series, unit=unit, time=time, treated=treated_unit, since=since, donors=split_names(donor) or None,
        method=method, errors=errors,
    )


@causal.command(
    epilog=examples(
        "prodsense causal regression firms.csv --outcome y --on x --cluster firm --cluster year",
    )
)
def regression(
    on: Annotated[
        list[str],
        option("--on", "COLUMN", "What explains the outcome, the one of interest first; repeat, or part with commas."),
    ],
    data: Data,
    *,
    cluster: Annotated[
        list[str] | None, option("--cluster", "COLUMN", "Errors move together inside; once or twice.")
    ] = None,
    errors: Annotated[str | None, option("--errors", "robust|classic", "Without clusters.")] = None,
    output: Estimation,
) -> None:
    """Least squares with robust or clustered errors: what goes with what."""
    from prodsense.inference.causal_regression import cluster_ols as ask

    output.tell(ask, data, on=split_names(on), cluster=split_names(cluster), errors=errors)
