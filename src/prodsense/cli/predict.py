"""Forecasts of any series, and predictions: churn, outcomes of a table, hazards, lifetime value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from prodsense.cli.behavior_options import Events
from prodsense.cli.common import (
    AsOfOption,
    ConfidenceOption,
    FileArgument,
    Output,
    Stated,
    WhereOption,
    commands,
    examples,
    option,
    refuse,
    zone,
)
from prodsense.cli.groups import Group
from prodsense.contracts.options import split_names
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.inference.forecast import Forecast
    from prodsense.warehouse import Warehouse

app = commands()
predict = commands(
    no_args_is_help=True,
    help="Who will: probabilities with reasons, judged on what the model has not seen, its baselines beside it.",
    epilog=examples(
        "prodsense predict churn delivery --horizon 28d",
        "prodsense predict outcome customers.csv --label churned --id customer_id",
        "prodsense predict survival subscriptions.csv --duration months --observed ended --covariate plan,age",
        "prodsense predict ltv orders.csv --customer customer_id --time ordered_at --amount total",
    ),
)
app.add_typer(predict, name="predict")

#: What learns.
Learners = Literal["logit", "boosting"]
#: How probabilities are mended.
Calibrations = Literal["none", "platt", "isotonic"]
#: What of a prediction is drawn.
Pictures = Literal["calibration", "lift"]

TopOption = Annotated[int, typer.Option("--top", metavar="N", help="Show so many, the highest first; 0 for all.")]
LearnerOption = Annotated[Learners, typer.Option("--learner", metavar="logit|boosting", help="What learns.")]
CalibrateOption = Annotated[
    Calibrations | None,
    option("--calibrate", "none|platt|isotonic",
           "Mend the probabilities (default: none for logit, platt for boosting)."),
]
PictureOption = Annotated[Pictures, typer.Option("--picture", metavar="calibration|lift", help="What --chart draws.")]


@dataclass(frozen=True, kw_only=True)
class Model(Group):
    """What learns."""

    learner: LearnerOption = "logit"
    calibrate: CalibrateOption = None


@dataclass(frozen=True, kw_only=True)
class Scores(Output):
    """Which scores are told, and how."""

    top: TopOption = 20
    confidence: ConfidenceOption = 0.95
    picture: PictureOption = "calibration"

    def options(self) -> dict[str, Any]:
        """What a prediction takes of it."""
        return {"top": self.top or None, "confidence": self.confidence}

    def draw(self, answer: Any, **kind: Any) -> None:
        super().draw(answer, kind=self.picture, **kind)


@predict.command(
    epilog=examples(
        "prodsense predict churn delivery --horizon 28d",
        "prodsense predict churn events.parquet --user user_id --time at --event name --horizon 14d --chart lift.png"
        " --picture lift",
        "prodsense predict churn events.csv --user user_id --time at --event name --goal pay --once --horizon 30d",
    )
)
def churn(
    events: Events,
    *,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DAYS", help="No event for so long is churn.")] = "28d",
    gap: Annotated[
        str, typer.Option("--gap", metavar="DAYS", help="Days between the cut-off and the window, to act in.")
    ] = "0",
    goal: Annotated[str | None, option("--goal", "EVENT", "Predict that this event comes, instead.")] = None,
    once: Annotated[bool, typer.Option("--once", help="With --goal: leave out who did it before.")] = False,
    within: Annotated[
        str | None,
        option("--within", "DAYS", "Subjects are those active so many days before a cut-off (default: the horizon)."),
    ] = None,
    cutoffs: Annotated[int, typer.Option("--cutoffs", metavar="N", help="Past windows; the last one judges.")] = 4,
    model: Model,
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: Annotated[str | None, option("--tz", "ZONE", "Time zone of days.")] = None,
    output: Scores,
) -> None:
    """Who of the users of today will not come back, learned from those of earlier days, judged by later ones.

    Features are what is known of a user before a cut-off: how long ago, how often, how regularly, which events.
    """
    from prodsense.inference.predict import predict as method

    output.give(events.read(
        output,
        lambda found: method(
            found, horizon=horizon, gap=gap, goal=goal, once=once, within=within, cutoffs=cutoffs, as_of=as_of,
            tz=zone(tz), **vars(model), **output.options(),
        ),
        where=where or "",
    ))  # fmt: skip


@predict.command(
    epilog=examples(
        "prodsense predict outcome customers.csv --label churned --id customer_id",
        "prodsense predict outcome trials --label converted --features plan,country,days_used --time started_at",
    )
)
def outcome(
    table: FileArgument,
    *,
    label: Annotated[str | None, option("--label", "COLUMN", "The outcome: true or false, yes or no.")] = None,
    features: Annotated[
        list[str] | None,
        option("--features", "COLUMN", "Learn from these (default: all that can be); repeat, or part with commas."),
    ] = None,
    id: Annotated[str | None, option("--id", "COLUMN", "Names the subject.")] = None,
    positive: Annotated[str | None, option("--positive", "VALUE", "The value of the label that counts.")] = None,
    time: Annotated[
        str | None, option("--time", "COLUMN", "Judge by the newest quarter by this time, instead of by parts.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", metavar="N", help="Parts to judge by.")] = 5,
    model: Model,
    where: WhereOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Draws the parts.")] = 0,
    output: Scores,
) -> None:
    """An outcome of subjects in a table, a row each; those whose outcome is not known yet are scored."""
    if not label:
        raise UsageError("name the column of the outcome: --label")
    from prodsense.inference.predict import predict as method

    output.give(output.on_sample(
        method, table, where, label=label, features=split_names(features), id=id, positive=positive, time=time,
        folds=folds, seed=seed, **vars(model), **output.options(),
    ))  # fmt: skip


@predict.command(
    epilog=examples(
        "prodsense predict survival subscriptions.csv --duration months --observed ended --covariate plan,age",
    )
)
def survival(
    table: FileArgument,
    *,
    duration: Annotated[str | None, option("--duration", "COLUMN", "How long until the end, or until lost.")] = None,
    observed: Annotated[str | None, option("--observed", "COLUMN", "1 where the end was seen, else 0.")] = None,
    covariate: Annotated[
        list[str] | None,
        option("--covariate", "COLUMN", "What may shorten or lengthen it; repeat, or part with commas."),
    ] = None,
    at: Annotated[list[float] | None, option("--at", "T", "Survival of the average subject at this time.")] = None,
    where: WhereOption = None,
    confidence: ConfidenceOption = 0.95,
    output: Output,
) -> None:
    """What shortens or lengthens the time until an end: hazard ratios (Cox), with the test that they stay the same.

    Curves without covariates are `prodsense survival`.
    """
    if not duration or not observed:
        raise UsageError("name the columns of the duration and of whether its end was seen: --duration, --observed")
    from prodsense.inference.cox import cox

    output.give(output.on_sample(
        cox, table, where, duration=duration, observed=observed, covariates=split_names(covariate),
        confidence=confidence, times=at or (),
    ))  # fmt: skip


@predict.command(
    epilog=examples(
        "prodsense predict ltv orders.csv --customer customer_id --time ordered_at --amount total --horizon 26w",
        "prodsense predict ltv summary.csv --frequency frequency --recency recency --age T",
    )
)
def ltv(
    table: FileArgument,
    *,
    customer: Annotated[str | None, option("--customer", "COLUMN", "Who buys.")] = None,
    time: Annotated[str | None, option("--time", "COLUMN", "When a purchase was made.")] = None,
    amount: Annotated[str | None, option("--amount", "COLUMN", "What was spent.")] = None,
    frequency: Annotated[str | None, option("--frequency", "COLUMN", "Summary: repeat purchases.")] = None,
    recency: Annotated[str | None, option("--recency", "COLUMN", "Summary: weeks from first to last.")] = None,
    age: Annotated[str | None, option("--age", "COLUMN", "Summary: weeks since the first.")] = None,
    spend: Annotated[str | None, option("--spend", "COLUMN", "Summary: mean of repeat purchases.")] = None,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DAYS", help="How far ahead: 26w, 180d.")] = "26w",
    cut: Annotated[
        str | None,
        option("--cut", "DAY", "Judge by the purchases after this day (default: the horizon before the end)."),
    ] = None,
    where: WhereOption = None,
    top: TopOption = 20,
    output: Stated,
) -> None:
    """What each customer will still buy and spend (BG/NBD, gamma-gamma), for trades without a contract."""
    from prodsense.inference.ltv import ltv as method

    output.give(output.on_sample(
        method, table, where, customer=customer, time=time, amount=amount, frequency=frequency, recency=recency,
        age=age, spend=spend, horizon=horizon, cut=cut, top=top or None,
    ))  # fmt: skip


@app.command(
    epilog=examples(
        "prodsense forecast delivery.total_order_volume --grain day --horizon 14",
        "prodsense forecast sales.csv --time day --value revenue --horizon 28d --chart fan.png",
        "prodsense forecast sales.csv --time day --value revenue --target 1000000 --by 2024-06-30 --since 2024-04-01",
        "prodsense forecast load.parquet --time hour --value mw --by region --season 24,168 --horizon 48",
    )
)
def forecast(
    name: Annotated[
        str,
        typer.Argument(metavar="METRIC|TABLE", help="A metric; or, with --time, a table of the warehouse or a file."),
    ],
    *,
    time: Annotated[str | None, option("--time", "COLUMN", "When.")] = None,
    value: Annotated[
        str | None, option("--value", "COLUMN", "What (without it, and with --grain, rows are counted).")
    ] = None,
    by: Annotated[
        list[str] | None,
        option("--by", "COLUMN|DAY", "A series for each value of this column or dimension; with --target, a day"
               " (2024-06-30) is the one by which."),
    ] = None,
    horizon: Annotated[
        str, typer.Option("--horizon", metavar="STEPS", help="How far: a number of steps, or 48h, 28d, 4w.")
    ] = "14",
    grain: Annotated[
        str | None,
        option("--grain", "hour|day|week|month|quarter|year",
               "Take rows together by such periods; of a metric the grain (default: day)."),
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="With --grain: the mean of rows, instead of their sum.")] = False,
    season: Annotated[
        list[str] | None, option("--season", "STEPS", "Seasons in steps, as 24,168 (default: by the step).")
    ] = None,
    fill: Annotated[
        float | None, option("--fill", "VALUE", "What a moment without a row counts as (default: not known).")
    ] = None,
    target: Annotated[float | None, option("--target", "VALUE", "A goal, to reach by the day of --by.")] = None,
    level: Annotated[
        bool, typer.Option("--level", help="The goal is the value on that day, not the total up to it.")
    ] = False,
    at_most: Annotated[bool, typer.Option("--at-most", help="The goal is to stay at or under the target.")] = False,
    since: Annotated[
        str | None, option("--since", "DAY", "The total counts from this day (default: from the end of the data).")
    ] = None,
    where: WhereOption = None,
    tz: Annotated[str | None, option("--tz", "ZONE", "Time zone of periods.")] = None,
    as_of: AsOfOption = None,
    confidence: ConfidenceOption = 0.95,
    output: Output,
) -> None:
    """What comes next of a metric or any series, with intervals that its past has tested, and the chance of a goal.

    The model is chosen by how well it would have forecast the past; the naive rule stands beside it.
    """
    slices, until = _by(split_names(by), target)
    options: dict[str, Any] = {
        "horizon": horizon, "seasons": _seasons(split_names(season)), "fill": fill, "confidence": confidence,
        "target": target, "target_by": until, "target_since": since, "goal": "level" if level else "total",
        "direction": "down" if at_most else "up",
    }  # fmt: skip
    if time is None:
        refuse({"--value": value, "--mean": mean}, "goes with a table (--time); a metric brings its own")
        output.answer(lambda wh: _metric(wh, name, slices, grain or "day", where, zone(tz), as_of, options))
        return
    if as_of:
        raise UsageError("--as-of goes with a metric; of a table choose rows with --where")
    from prodsense.inference.forecast import forecast as method

    output.give(output.on_sample(
        method, name, where, time=time, value=value, by=slices, grain=grain, how="mean" if mean else "sum", tz=zone(tz),
        **options,
    ))  # fmt: skip


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
