"""Experiments: declared ones by name, or any table or file of units."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from prodsense.cli.common import (
    Moment,
    Output,
    Printed,
    WhereOption,
    Window,
    Written,
    check_file,
    commands,
    examples,
    notify,
    option,
    refuse,
)
from prodsense.contracts.options import read_params, split_names
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

app = commands()

#: How primary metrics share the error.
Correction = Literal["holm", "hochberg", "bonferroni", "bh", "by", "none"]
#: How covariates are taken out.
Adjustment = Literal["cuped", "lin"]


@app.command(
    epilog=examples(
        "prodsense experiment delivery.batching_algorithm_ab_test --out readout.html",
        "prodsense experiment users.parquet --arm version --control gate_30 --metric retention_7"
        " --guardrail sum_game_rounds:5% --format json",
        "prodsense experiment shop.test_users --unit user_id --arm arm --control A --metric revenue"
        " --metric conversion=ratio:orders/visits --covariate revenue_before --segment country --sequential",
    )
)
def experiment(
    name: Annotated[
        str, typer.Argument(metavar="NAME|TABLE", help="A declared experiment; or a table or file, with --arm.")
    ],
    *,
    arm: Annotated[str | None, option("--arm", "COLUMN", "The column that holds a unit's arm.")] = None,
    unit: Annotated[
        str | None,
        option("--unit", "COLUMN", "Who was assigned; rows of one unit are added up (default: each row is a unit)."),
    ] = None,
    control: Annotated[
        str | None,
        option("--control", "ARM",
               "The arm that others are compared with (default: control, A, or the first by name)."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        option("--metric", "METRIC", "A primary metric: a column (its mean), ratio:A/B, quantile:COLUMN@0.9, or"
               " NAME=one of these. Repeat for several."),
    ] = None,
    secondary: Annotated[
        list[str] | None, option("--secondary", "METRIC", "A metric to show that decides nothing.")
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        option("--guardrail", "METRIC:MARGIN",
               "A metric that may get worse by at most the margin, in its unit (0.05) or as a share (5%)."),
    ] = None,
    lower_is_better: Annotated[
        list[str] | None,
        option("--lower-is-better", "METRIC",
               "A metric of which less is better, such as latency (default: more is better)."),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        option("--covariate", "[METRIC=]COLUMN",
               "A value from before the assignment that explains variance away (CUPED); for ratios A/B."),
    ] = None,
    adjustment: Annotated[
        Adjustment, typer.Option("--adjustment", metavar="cuped|lin", help="One slope for all arms, or one for each.")
    ] = "cuped",
    strata: Annotated[
        list[str] | None,
        option("--strata", "COLUMN",
               "Weigh these strata alike in all arms (post-stratification; with --cluster: fixed effects)."),
    ] = None,
    cluster: Annotated[
        list[str] | None,
        option("--cluster", "COLUMN", "What was assigned as a whole (switchback: --cluster region --cluster window)."),
    ] = None,
    segment: Annotated[list[str] | None, option("--segment", "COLUMN", "Show effects by this column too.")] = None,
    split: Annotated[
        list[str] | None, option("--split", "ARM=SHARE", "The planned share of an arm (default: equal ones).")
    ] = None,
    time: Annotated[
        str | None, option("--time", "COLUMN", "When a unit was assigned, for the effect over time.")
    ] = None,
    where: WhereOption = None,
    winsorize: Annotated[
        float | None,
        option("--winsorize", "SHARE", "Cut values of metrics at this quantile of all arms, such as 0.99."),
    ] = None,
    sequential: Annotated[
        bool | None,
        typer.Option("--sequential/--fixed", show_default=False,
                     help="Always-valid intervals, to look at any time; or read once, at the end."),
    ] = None,
    alpha: Annotated[float | None, option("--alpha", "LEVEL", "The error level (0.05).")] = None,
    correction: Annotated[
        Correction | None,
        option("--correction", "holm|hochberg|bonferroni|bh|by|none",
               "How primary metrics and arms share the error (holm)."),
    ] = None,
    planned: Annotated[
        int, option("--planned", "UNITS", "Units of all arms that the plan waits for, before it may say ship.")
    ] = 0,
    min_units: Annotated[
        int, typer.Option("--min-units", metavar="N", help="Refuse a result of fewer units an arm.")
    ] = 2,
    aa: Annotated[
        int, option("--aa", "N", "Instead, split the units at random N times: how often does a metric show an effect?")
    ] = 0,
    param: Annotated[
        list[str] | None,
        option("--param", "NAME=VALUE",
               "A parameter of a declared experiment: before_days, within_days, novelty_days."),
    ] = None,
    window: Window,
    moment: Moment,
    out: Annotated[Path | None, option("--out", "FILE", "Write the readout too: .html, .png or .json.")] = None,
    output: Output,
) -> None:
    """The readout of an experiment: the split first, then effects with intervals, then ship, hold or stop and why.

    A declared experiment needs only its name. Any table with a row a unit (or several, with --unit) needs --arm and
    at least one --metric. Units in several arms are left out and counted.
    """
    check_file("--out", out, (".html", ".png", ".json"))
    given: dict[str, Any] = {
        "alpha": alpha, "correction": correction, "sequential": sequential, "adjustment": adjustment,
        "min_units": min_units,
    }  # fmt: skip
    if arm is None:
        from prodsense.metrics.reading import is_file

        if is_file(name):
            raise UsageError(f"{name} is a file of units: say which column holds the arm (--arm) and what to compare"
                             " (--metric)")
        refuse({"--metric": metric, "--unit": unit, "--guardrail": guardrail, "--time": time, "--control": control,
                "--covariate": covariate, "--strata": strata, "--cluster": cluster, "--split": split, "--where": where,
                "--winsorize": winsorize, "--secondary": secondary, "--lower-is-better": lower_is_better,
                "--aa": aa or None},
               "is for a table and needs --arm; a declared experiment has it in its plan")  # fmt: skip
        params = read_params(param)
        given |= {**params, **vars(window), **moment.seen, "segments": split_names(segment) or None}

        def declared(wh: Warehouse) -> Any:
            if wh.find("experiments", name)[1].run is not None:
                # A design with an analysis of its own takes its own parameters only.
                return wh.experiment(name, **params)
            return wh.experiment(name, **{k: v for k, v in given.items() if v is not None})

        answer = output.read(declared)
    else:
        from prodsense.inference.experiments import experiment as run

        refuse({"--since": window.since, "--until": window.until, "--as-of": moment.as_of, "--param": param},
               "is for a declared experiment; restrict a table with --where")  # fmt: skip
        answer = output.on_table(
            run, name, arm=arm, unit=unit or "", control=control or "", metrics=metric or [],
            secondary=secondary or [], guardrails=guardrail or [], lower_is_better=split_names(lower_is_better),
            covariates=covariate or [], strata=split_names(strata), cluster=split_names(cluster),
            segments=split_names(segment), shares=_shares(split), time=time or "", where=where or "",
            winsorize=winsorize, planned_units=planned, aa=aa, **{k: v for k, v in given.items() if v is not None},
        )
    output.write(answer)
    if aa and (out or output.chart):
        raise UsageError("--aa gives rows; it has no readout to write")
    if out:
        answer.save(out)
        notify(f"readout written to {out}")
    output.draw(answer)


def _shares(given: list[str] | None) -> dict[str, float]:
    """``ARM=SHARE`` texts; UsageError for any other shape."""
    found: dict[str, float] = {}
    for text in split_names(given):
        name, _, size = text.rpartition("=")
        try:
            found[name.strip()] = float(size.rstrip("%"))
        except ValueError:
            found[name.strip()] = -1.0
        if not name.strip() or not found[name.strip()] > 0:
            raise UsageError(f"--split {text}: write it as ARM=SHARE, the share above 0")
    return found


@app.command(
    epilog=examples(
        "prodsense power --rate 0.10 --relative 0.05 --per-day 4000",
        "prodsense power --mean 52 --sd 120 --relative 0.02 --variance-reduction 0.3 --guardrails 3",
        "prodsense power --rate 0.19 --units 45000",
    )
)
def power(
    *,
    rate: Annotated[float | None, option("--rate", "SHARE", "The metric is a share: this.")] = None,
    mean: Annotated[float | None, option("--mean", "X", "The metric is a mean: its value.")] = None,
    sd: Annotated[float | None, option("--sd", "X", "Spread of a unit's value.")] = None,
    effect: Annotated[float | None, option("--effect", "X", "The smallest effect worth finding.")] = None,
    relative: Annotated[float | None, option("--relative", "SHARE", "The same as a share of the value.")] = None,
    units: Annotated[float | None, option("--units", "N", "Units of the control.")] = None,
    chance: Annotated[float | None, option("--power", "SHARE", "The chance to find the effect (0.8).")] = None,
    alpha: Annotated[float, typer.Option("--alpha", metavar="LEVEL", help="The error level.")] = 0.05,
    margin: Annotated[float | None, option("--margin", "X", "Non-inferiority within this margin, one-sided.")] = None,
    treatment_ratio: Annotated[
        float, typer.Option("--treatment-ratio", metavar="X", help="Units of a treatment over those of control.")
    ] = 1.0,
    treatments: Annotated[int, typer.Option("--treatments", metavar="N", help="Arms beside the control.")] = 1,
    metrics: Annotated[int, typer.Option("--metrics", metavar="N", help="Primary metrics.")] = 1,
    guardrails: Annotated[int, typer.Option("--guardrails", metavar="N", help="Guardrails that must pass too.")] = 0,
    variance_reduction: Annotated[
        float, typer.Option("--variance-reduction", metavar="SHARE", help="What covariates take away (CUPED).")
    ] = 0.0,
    cluster_size: Annotated[
        float, typer.Option("--cluster-size", metavar="N", help="Units that are assigned together.")
    ] = 1.0,
    icc: Annotated[float, typer.Option("--icc", metavar="SHARE", help="Their intra-class correlation.")] = 0.0,
    looks: Annotated[int, typer.Option("--looks", metavar="N", help="An always-valid test, looked at so often.")] = 0,
    per_day: Annotated[float | None, option("--per-day", "N", "Units that come in a day: how long it runs.")] = None,
    output: Printed,
) -> None:
    """Units that a test needs, the effect it can find, or its power: whichever of the three is not given."""
    from prodsense.inference.power import power as solve

    output.write(solve(
        mean=mean, sd=sd, rate=rate, effect=effect, relative=relative, units=units, power=chance, alpha=alpha,
        margin=margin, treatment_ratio=treatment_ratio, treatments=treatments, metrics=metrics, guardrails=guardrails,
        variance_reduction=variance_reduction, cluster_size=cluster_size, icc=icc, looks=looks, per_day=per_day,
    ))  # fmt: skip


@app.command(
    epilog=examples(
        "prodsense assign users.csv --unit user_id --name new_checkout --arm control=0.5 --arm treatment=0.5",
        "prodsense assign delivery.dim_customers --unit customer_id --name badge --arm A --arm B --traffic 0.1"
        " --layer checkout --slot 0:0.5 --format csv",
    )
)
def assign(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table, view or model, or a file, with the units.")],
    unit: Annotated[str, option("--unit", "COLUMN", "Who is assigned.")],
    name: Annotated[str, option("--name", "NAME", "The experiment: the salt of its hash.")],
    arm: Annotated[list[str], option("--arm", "ARM[=SHARE]", "An arm and its share; repeat.")],
    *,
    traffic: Annotated[
        float, typer.Option("--traffic", metavar="SHARE", help="How much of all traffic takes part; may grow later.")
    ] = 1.0,
    layer: Annotated[str, option("--layer", "NAME", "Experiments of one layer in slots apart share no unit.")] = "",
    slot: Annotated[
        str, typer.Option("--slot", metavar="FROM:TO", help="The slot of the layer, within 0 to 1.")
    ] = "0:1",
    holdback: Annotated[
        float, typer.Option("--holdback", metavar="SHARE", help="Held back from all experiments.")
    ] = 0.0,
    output: Written,
) -> None:
    """The arm of each unit, by salted hash: the same unit gets the same arm each time, on every engine.

    A unit without an arm (held back, in another slot, not rolled out yet) has an empty one.
    """
    from prodsense.engines import open_engine
    from prodsense.inference.assignment import Assignment, assigned
    from prodsense.metrics.reading import is_file, read_data

    shares = {text.partition("=")[0]: text.partition("=")[2] or "1" for text in split_names(arm)}
    start, _, end = slot.partition(":")
    try:
        rule = Assignment(
            name, {key: float(value) for key, value in shares.items()}, traffic=traffic, layer=layer,
            slot=(float(start), float(end)), holdback=holdback,
        )
    except ValueError:
        raise UsageError("shares and slots are numbers: --arm A=0.5 --slot 0:0.5") from None
    if is_file(table):
        engine = open_engine(":memory:")
        try:
            with engine.temporary(read_data(table)) as relation:
                answer = assigned(engine, relation, unit, rule)
        finally:
            engine.close()
    else:
        answer = output.read(lambda wh: assigned(wh.engine, wh.relation(table), unit, rule))
    output.give(answer)
