"""Forecasts of any series, and predictions: churn, outcomes of a table, hazards, lifetime value."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.cli.behavior_options import EventOption, TableArgument, TimeOption, UserOption, on_events
from prodsense.cli.common import (
    AsOfOption,
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
    notify,
    read,
    split_names,
    warehouse_url,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.forecast import Forecast
    from prodsense.inference.predict import Prediction
    from prodsense.warehouse import Warehouse

T = TypeVar("T")

app = commands()
predict = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]},
    help="Who will: probabilities with reasons, judged on what the model has not seen, its baselines beside it.",
    epilog=examples(
        "prodsense predict churn delivery --horizon 28d",
        "prodsense predict outcome customers.csv --label churned --id customer_id",
        "prodsense predict survival subscriptions.csv --duration months --observed ended --covariate plan,age",
        "prodsense predict ltv orders.csv --customer customer_id --time ordered_at --amount total",
    ),
)
app.add_typer(predict, name="predict")


class Learners(StrEnum):
    """What learns."""

    logit = "logit"
    boosting = "boosting"


class Calibrations(StrEnum):
    """How probabilities are mended."""

    none = "none"
    platt = "platt"
    isotonic = "isotonic"


class Pictures(StrEnum):
    """What of a prediction is drawn."""

    calibration = "calibration"
    lift = "lift"


ConfidenceOption = Annotated[float, typer.Option("--confidence", metavar="SHARE", help="Of the intervals.")]
FileArgument = Annotated[
    str, typer.Argument(metavar="TABLE", help="A table, view or model of the warehouse, or a file.")
]
TopOption = Annotated[int, typer.Option("--top", metavar="N", help="Show so many, the highest first; 0 for all.")]
LearnerOption = Annotated[
    Learners, typer.Option("--learner", metavar="logit|boosting", help="What learns.")
]
CalibrateOption = Annotated[
    Calibrations | None,
    typer.Option("--calibrate", metavar="none|platt|isotonic", show_default=False,
                 help="Mend the probabilities (default: none for logit, platt for boosting)."),
]
PictureOption = Annotated[
    Pictures, typer.Option("--picture", metavar="calibration|lift", help="What --chart draws.")
]


def _on_rows(ctx: typer.Context, warehouse: str | None, table: str, where: str | None, action: Callable[[Any], T]) -> T:
    """Run `action` on the rows of a file, or of a relation of the warehouse that is meant."""
    from prodsense.inference.causal_data import Sample
    from prodsense.metrics.reading import is_file

    if is_file(table):
        with Sample.read(table, where or "") as sample:
            return action(sample)
    return read(
        warehouse_url(ctx, warehouse), lambda wh: action(Sample.of(wh.engine, wh.relation(table), where or ""))
    )


def _show(found: Prediction, form: Format, sql: bool, chart: Any, picture: Pictures) -> None:
    give(found, form, sql, None)
    if chart:
        from prodsense.charts.export import save

        save(found.chart(kind=picture.value), chart)
        notify(f"chart written to {chart}")


@predict.command(
    epilog=examples(
        "prodsense predict churn delivery --horizon 28d",
        "prodsense predict churn events.parquet --user user_id --time at --event name --horizon 14d --chart lift.png"
        " --picture lift",
        "prodsense predict churn events.csv --user user_id --time at --event name --goal pay --once --horizon 30d",
    )
)
def churn(
    ctx: typer.Context,
    table: TableArgument,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DAYS", help="No event for so long is churn.")] = "28d",
    gap: Annotated[
        str, typer.Option("--gap", metavar="DAYS", help="Days between the cut-off and the window, to act in.")
    ] = "0",
    goal: Annotated[
        str | None,
        typer.Option("--goal", metavar="EVENT", show_default=False, help="Predict that this event comes, instead."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="With --goal: leave out who did it before.")] = False,
    within: Annotated[
        str | None,
        typer.Option("--within", metavar="DAYS", show_default=False,
                     help="Subjects are those active so many days before a cut-off (default: the horizon)."),
    ] = None,
    cutoffs: Annotated[int, typer.Option("--cutoffs", metavar="N", help="Past windows; the last one judges.")] = 4,
    learner: LearnerOption = Learners.logit,
    calibrate: CalibrateOption = None,
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", show_default=False, help="Time zone of days.")
    ] = None,
    top: TopOption = 20,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    picture: PictureOption = Pictures.calibration,
    warehouse: WarehouseOption = None,
) -> None:
    """Who of the users of today will not come back, learned from those of earlier days, judged by later ones.

    Features are what is known of a user before a cut-off: how long ago, how often, how regularly, which events.
    """
    if chart:
        check_chart(chart)

    def ask(events: Any) -> Prediction:
        from prodsense.inference.predict import predict as method

        return method(
            events, horizon=horizon, gap=gap, goal=goal, once=once, within=within, cutoffs=cutoffs, as_of=as_of,
            tz=zone(tz), learner=learner.value, calibrate=calibrate.value if calibrate else None, top=top or None,
            confidence=confidence,
        )

    found = on_events(ctx, warehouse, table, ask, user=user, time=time, event=event, where=where or "")
    _show(found, form, sql, chart, picture)


@predict.command(
    epilog=examples(
        "prodsense predict outcome customers.csv --label churned --id customer_id",
        "prodsense predict outcome trials --label converted --features plan,country,days_used --time started_at",
    )
)
def outcome(
    ctx: typer.Context,
    table: FileArgument,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="COLUMN", show_default=False, help="The outcome: true or false, yes or no."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option("--features", metavar="COLUMN", show_default=False,
                     help="Learn from these (default: all that can be); repeat, or part with commas."),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", show_default=False, help="Names the subject.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="VALUE", show_default=False, help="The value of the label that counts."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", show_default=False,
                     help="Judge by the newest quarter by this time, instead of by parts."),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", metavar="N", help="Parts to judge by.")] = 5,
    learner: LearnerOption = Learners.logit,
    calibrate: CalibrateOption = None,
    where: WhereOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the parts.")] = 0,
    top: TopOption = 20,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    picture: PictureOption = Pictures.calibration,
    warehouse: WarehouseOption = None,
) -> None:
    """An outcome of subjects in a table, a row each; those whose outcome is not known yet are scored."""
    if chart:
        check_chart(chart)
    if not label:
        raise UsageError("name the column of the outcome: --label")
    names = split_names(features)

    def ask(sample: Any) -> Prediction:
        from prodsense.inference.predict import predict as method

        return method(
            sample, label=label, features=names, id=id, positive=positive, time=time, folds=folds, seed=seed,
            learner=learner.value, calibrate=calibrate.value if calibrate else None, top=top or None,
            confidence=confidence,
        )

    _show(_on_rows(ctx, warehouse, table, where, ask), form, sql, chart, picture)


@predict.command(
    epilog=examples(
        "prodsense predict survival subscriptions.csv --duration months --observed ended --covariate plan,age",
    )
)
def survival(
    ctx: typer.Context,
    table: FileArgument,
    duration: Annotated[
        str | None,
        typer.Option("--duration", metavar="COLUMN", show_default=False, help="How long until the end, or until lost."),
    ] = None,
    observed: Annotated[
        str | None,
        typer.Option("--observed", metavar="COLUMN", show_default=False, help="1 where the end was seen, else 0."),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option("--covariate", metavar="COLUMN", show_default=False,
                     help="What may shorten or lengthen it; repeat, or part with commas."),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option("--at", metavar="T", show_default=False, help="Survival of the average subject at this time."),
    ] = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """What shortens or lengthens the time until an end: hazard ratios (Cox), with the test that they stay the same.

    Curves without covariates are `prodsense survival`.
    """
    if chart:
        check_chart(chart)
    if not duration or not observed:
        raise UsageError("name the columns of the duration and of whether its end was seen: --duration, --observed")

    def ask(sample: Any) -> Any:
        from prodsense.inference.cox import cox

        return cox(sample, duration, observed, split_names(covariate), confidence=confidence, times=at or ())

    give(_on_rows(ctx, warehouse, table, where, ask), form, sql, chart)


@predict.command(
    epilog=examples(
        "prodsense predict ltv orders.csv --customer customer_id --time ordered_at --amount total --horizon 26w",
        "prodsense predict ltv summary.csv --frequency frequency --recency recency --age T",
    )
)
def ltv(
    ctx: typer.Context,
    table: FileArgument,
    customer: Annotated[
        str | None, typer.Option("--customer", metavar="COLUMN", show_default=False, help="Who buys.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", show_default=False, help="When a purchase was made.")
    ] = None,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="COLUMN", show_default=False, help="What was spent.")
    ] = None,
    frequency: Annotated[
        str | None,
        typer.Option("--frequency", metavar="COLUMN", show_default=False, help="Summary: repeat purchases."),
    ] = None,
    recency: Annotated[
        str | None,
        typer.Option("--recency", metavar="COLUMN", show_default=False, help="Summary: weeks from first to last."),
    ] = None,
    age: Annotated[
        str | None,
        typer.Option("--age", metavar="COLUMN", show_default=False, help="Summary: weeks since the first."),
    ] = None,
    spend: Annotated[
        str | None,
        typer.Option("--spend", metavar="COLUMN", show_default=False, help="Summary: mean of repeat purchases."),
    ] = None,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DAYS", help="How far ahead: 26w, 180d.")] = "26w",
    cut: Annotated[
        str | None,
        typer.Option("--cut", metavar="DAY", show_default=False,
                     help="Judge by the purchases after this day (default: the horizon before the end)."),
    ] = None,
    where: WhereOption = None,
    top: TopOption = 20,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
) -> None:
    """What each customer will still buy and spend (BG/NBD, gamma-gamma), for trades without a contract."""

    def ask(sample: Any) -> Any:
        from prodsense.inference.ltv import ltv as method

        return method(
            sample, customer=customer, time=time, amount=amount, frequency=frequency, recency=recency, age=age,
            spend=spend, horizon=horizon, cut=cut, top=top or None,
        )

    give(_on_rows(ctx, warehouse, table, where, ask), form, sql, None)


@app.command(
    epilog=examples(
        "prodsense forecast delivery.total_order_volume --grain day --horizon 14",
        "prodsense forecast sales.csv --time day --value revenue --horizon 28d --chart fan.png",
        "prodsense forecast sales.csv --time day --value revenue --target 1000000 --by 2024-06-30 --since 2024-04-01",
        "prodsense forecast load.parquet --time hour --value mw --by region --season 24,168 --horizon 48",
    )
)
def forecast(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="METRIC|TABLE", help="A metric; or, with --time, a table of the warehouse or a file."),
    ],
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", show_default=False, help="When.")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", metavar="COLUMN", show_default=False,
                     help="What (without it, and with --grain, rows are counted)."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN|DAY", show_default=False,
                     help="A series for each value of this column or dimension; with --target, a day (2024-06-30) is"
                          " the one by which."),
    ] = None,
    horizon: Annotated[
        str, typer.Option("--horizon", metavar="STEPS", help="How far: a number of steps, or 48h, 28d, 4w.")
    ] = "14",
    grain: Annotated[
        str | None,
        typer.Option("--grain", metavar="hour|day|week|month|quarter|year", show_default=False,
                     help="Take rows together by such periods; of a metric the grain (default: day)."),
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="With --grain: the mean of rows, instead of their sum.")] = False,
    season: Annotated[
        list[str] | None,
        typer.Option("--season", metavar="STEPS", show_default=False,
                     help="Seasons in steps, as 24,168 (default: by the step)."),
    ] = None,
    fill: Annotated[
        float | None,
        typer.Option("--fill", metavar="VALUE", show_default=False,
                     help="What a moment without a row counts as (default: not known)."),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option("--target", metavar="VALUE", show_default=False, help="A goal, to reach by the day of --by."),
    ] = None,
    level: Annotated[
        bool, typer.Option("--level", help="The goal is the value on that day, not the total up to it.")
    ] = False,
    at_most: Annotated[bool, typer.Option("--at-most", help="The goal is to stay at or under the target.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DAY", show_default=False,
                     help="The total counts from this day (default: from the end of the data)."),
    ] = None,
    where: WhereOption = None,
    tz: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", show_default=False, help="Time zone of periods.")
    ] = None,
    as_of: AsOfOption = None,
    confidence: ConfidenceOption = 0.95,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """What comes next of a metric or any series, with intervals that its past has tested, and the chance of a goal.

    The model is chosen by how well it would have forecast the past; the naive rule stands beside it.
    """
    if chart:
        check_chart(chart)
    slices, until = _by(split_names(by), target)
    options: dict[str, Any] = {
        "horizon": horizon, "seasons": _seasons(split_names(season)), "fill": fill, "confidence": confidence,
        "target": target, "target_by": until, "target_since": since, "goal": "level" if level else "total",
        "direction": "down" if at_most else "up",
    }  # fmt: skip
    if time is None:
        for given, option in ((value, "--value"), (mean, "--mean")):
            if given:
                raise UsageError(f"{option} goes with a table (--time); a metric brings its own")
        found = read(
            warehouse_url(ctx, warehouse),
            lambda wh: _metric(wh, name, slices, grain or "day", where, zone(tz), as_of, options),
        )
    else:
        if as_of:
            raise UsageError("--as-of goes with a metric; of a table choose rows with --where")
        columns: dict[str, Any] = {
            "time": time, "value": value, "by": slices, "grain": grain, "how": "mean" if mean else "sum",
            "tz": zone(tz),
        }  # fmt: skip

        def ask(sample: Any) -> Forecast:
            from prodsense.inference.forecast import forecast as method

            return method(sample, **columns, **options)

        found = _on_rows(ctx, warehouse, name, where, ask)
    give(found, form, sql, chart)


def _by(names: tuple[str, ...], target: float | None) -> tuple[tuple[str, ...], str | None]:
    """The slices and, with a target, the day by which."""
    days = [name for name in names if name[:4].isdigit()]
    if target is None:
        return names, None
    if len(days) != 1:
        raise UsageError("a target needs the day by which: --by 2024-06-30")
    return tuple(name for name in names if name not in days), days[0]


def _seasons(given: tuple[str, ...]) -> list[int] | None:
    if not given:
        return None
    try:
        return [int(text) for text in given]
    except ValueError:
        raise UsageError(f"seasons are numbers of steps like 24,168, not {','.join(given)}") from None


def _metric(
    wh: Warehouse, name: str, by: tuple[str, ...], grain: str, where: str | None, tz: str, as_of: str | None,
    options: dict[str, Any],
) -> Forecast:
    from prodsense.inference.forecast import forecast_metric

    return forecast_metric(wh.metric(name, by=list(by), grain=grain, where=where, tz=tz, as_of=as_of), **options)
