"""Experiments: declared ones by name, or any table or file of units."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    AsOfOption,
    ChartOption,
    Format,
    FormatOption,
    SinceOption,
    SqlOption,
    UntilOption,
    WarehouseOption,
    WhereOption,
    ZoneOption,
    check_chart,
    commands,
    draw,
    examples,
    give,
    notify,
    read,
    split_names,
    warehouse_url,
    write_rows,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

app = commands()


class Correction(StrEnum):
    """How primary metrics share the error."""

    holm = "holm"
    hochberg = "hochberg"
    bonferroni = "bonferroni"
    bh = "bh"
    by = "by"
    none = "none"


class Adjustment(StrEnum):
    """How covariates are taken out."""

    cuped = "cuped"
    lin = "lin"


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
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME|TABLE", help="A declared experiment; or a table or file, with --arm.")
    ],
    arm: Annotated[
        str | None,
        typer.Option("--arm", metavar="COLUMN", show_default=False, help="The column that holds a unit's arm."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="COLUMN", show_default=False,
                     help="Who was assigned; rows of one unit are added up (default: each row is a unit)."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option("--control", metavar="ARM", show_default=False,
                     help="The arm that others are compared with (default: control, A, or the first by name)."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="METRIC", show_default=False,
                     help="A primary metric: a column (its mean), ratio:A/B, quantile:COLUMN@0.9, or NAME=one of"
                          " these. Repeat for several."),
    ] = None,
    secondary: Annotated[
        list[str] | None,
        typer.Option("--secondary", metavar="METRIC", show_default=False,
                     help="A metric to show that decides nothing."),
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option("--guardrail", metavar="METRIC:MARGIN", show_default=False,
                     help="A metric that may get worse by at most the margin, in its unit (0.05) or as a share (5%)."),
    ] = None,
    lower_is_better: Annotated[
        list[str] | None,
        typer.Option("--lower-is-better", metavar="METRIC", show_default=False,
                     help="A metric of which less is better, such as latency (default: more is better)."),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option("--covariate", metavar="[METRIC=]COLUMN", show_default=False,
                     help="A value from before the assignment that explains variance away (CUPED); for ratios A/B."),
    ] = None,
    adjustment: Annotated[
        Adjustment,
        typer.Option("--adjustment", metavar="cuped|lin", help="One slope for all arms, or one for each."),
    ] = Adjustment.cuped,
    strata: Annotated[
        list[str] | None,
        typer.Option("--strata", metavar="COLUMN", show_default=False,
                     help="Weigh these strata alike in all arms (post-stratification; with --cluster: fixed effects)."),
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option("--cluster", metavar="COLUMN", show_default=False,
                     help="What was assigned as a whole (switchback: --cluster region --cluster window)."),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option("--segment", metavar="COLUMN", show_default=False, help="Show effects by this column too."),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="ARM=SHARE", show_default=False,
                     help="The planned share of an arm (default: equal ones)."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", show_default=False,
                     help="When a unit was assigned, for the effect over time."),
    ] = None,
    where: WhereOption = None,
    winsorize: Annotated[
        float | None,
        typer.Option("--winsorize", metavar="SHARE", show_default=False,
                     help="Cut values of metrics at this quantile of all arms, such as 0.99."),
    ] = None,
    sequential: Annotated[
        bool | None,
        typer.Option("--sequential/--fixed", show_default=False,
                     help="Always-valid intervals, to look at any time; or read once, at the end."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", metavar="LEVEL", show_default=False, help="The error level (0.05).")
    ] = None,
    correction: Annotated[
        Correction | None,
        typer.Option("--correction", metavar="holm|hochberg|bonferroni|bh|by|none", show_default=False,
                     help="How primary metrics and arms share the error (holm)."),
    ] = None,
    planned: Annotated[
        int,
        typer.Option("--planned", metavar="UNITS", show_default=False,
                     help="Units of all arms that the plan waits for, before it may say ship."),
    ] = 0,
    min_units: Annotated[
        int, typer.Option("--min-units", metavar="N", help="Refuse a result of fewer units an arm.")
    ] = 2,
    aa: Annotated[
        int,
        typer.Option("--aa", metavar="N", show_default=False,
                     help="Instead, split the units at random N times: how often does a metric show an effect?"),
    ] = 0,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", show_default=False,
                     help="A parameter of a declared experiment: before_days, within_days, novelty_days."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", show_default=False, help="Write the readout too: .html, .png or .json."),
    ] = None,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """The readout of an experiment: the split first, then effects with intervals, then ship, hold or stop and why.

    A declared experiment needs only its name. Any table with a row a unit (or several, with --unit) needs --arm and
    at least one --metric. Units in several arms are left out and counted.
    """
    from prodsense.cli.common import read_params

    check_chart(chart)
    if out and out.suffix.lower() not in (".html", ".png", ".json"):
        raise UsageError(f"--out {out}: the file should end in .html, .png or .json")
    if out and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    shared: dict[str, Any] = {
        "alpha": alpha, "correction": correction.value if correction else None, "sequential": sequential,
        "adjustment": adjustment.value, "min_units": min_units,
    }
    if arm is None:
        from prodsense.metrics.reading import is_file

        if is_file(name):
            raise UsageError(f"{name} is a file of units: say which column holds the arm (--arm) and what to compare"
                             " (--metric)")
        for option, value in (("--metric", metric), ("--unit", unit), ("--guardrail", guardrail), ("--time", time),
                              ("--control", control), ("--covariate", covariate), ("--strata", strata),
                              ("--cluster", cluster), ("--split", split), ("--where", where),
                              ("--winsorize", winsorize), ("--secondary", secondary),
                              ("--lower-is-better", lower_is_better), ("--aa", aa)):
            if value:
                raise UsageError(f"{option} is for a table and needs --arm; a declared experiment has it in its plan")
        given: dict[str, Any] = {**shared, **read_params(param), "since": since, "until": until, "as_of": as_of}
        if segment:
            given["segments"] = split_names(segment)

        def declared(wh: Warehouse) -> Any:
            kept = {k: v for k, v in given.items() if v is not None}
            if wh.find("experiments", name)[1].run is not None:
                # A design with an analysis of its own takes its own parameters only.
                return wh.experiment(name, **read_params(param))
            return wh.experiment(name, **kept, tz=zone(tz))

        answer = read(warehouse_url(ctx, warehouse), declared)
    else:
        for option, value in (("--since", since), ("--until", until), ("--as-of", as_of), ("--param", param)):
            if value:
                raise UsageError(f"{option} is for a declared experiment; restrict a table with --where")
        answer = _on_table(
            ctx, name, warehouse, arm=arm, unit=unit or "", control=control or "", metrics=metric or [],
            secondary=secondary or [], guardrails=guardrail or [], lower_is_better=split_names(lower_is_better),
            covariates=covariate or [], strata=split_names(strata), cluster=split_names(cluster),
            segments=split_names(segment), shares=_shares(split), time=time or "", where=where or "",
            winsorize=winsorize, planned_units=planned, aa=aa, **{k: v for k, v in shared.items() if v is not None},
        )
    give(answer, form, sql, None)
    if aa and (out or chart):
        raise UsageError("--aa gives rows; it has no readout to write")
    if out:
        answer.save(out)
        notify(f"readout written to {out}")
    if chart:
        draw(answer, chart)


def _on_table(ctx: typer.Context, table: str, warehouse: str | None, **asked: Any) -> Any:
    """The readout of a file, or of a relation of the warehouse that is meant."""
    from prodsense.inference.experiments import experiment as run
    from prodsense.metrics.reading import is_file

    if is_file(table):
        return run(table, **asked)
    return read(warehouse_url(ctx, warehouse), lambda wh: run(wh.relation(table), engine=wh.engine, **asked))


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
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="SHARE", show_default=False, help="The metric is a share: this.")
    ] = None,
    mean: Annotated[
        float | None, typer.Option("--mean", metavar="X", show_default=False, help="The metric is a mean: its value.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option("--sd", metavar="X", show_default=False, help="Spread of a unit's value.")
    ] = None,
    effect: Annotated[
        float | None,
        typer.Option("--effect", metavar="X", show_default=False, help="The smallest effect worth finding."),
    ] = None,
    relative: Annotated[
        float | None,
        typer.Option("--relative", metavar="SHARE", show_default=False, help="The same as a share of the value."),
    ] = None,
    units: Annotated[
        float | None, typer.Option("--units", metavar="N", show_default=False, help="Units of the control.")
    ] = None,
    chance: Annotated[
        float | None,
        typer.Option("--power", metavar="SHARE", show_default=False, help="The chance to find the effect (0.8)."),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", metavar="LEVEL", help="The error level.")] = 0.05,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="X", show_default=False,
                     help="Non-inferiority within this margin, one-sided."),
    ] = None,
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
    looks: Annotated[
        int, typer.Option("--looks", metavar="N", help="An always-valid test, looked at so often.")
    ] = 0,
    per_day: Annotated[
        float | None,
        typer.Option("--per-day", metavar="N", show_default=False, help="Units that come in a day: how long it runs."),
    ] = None,
    form: FormatOption = Format.table,
) -> None:
    """Units that a test needs, the effect it can find, or its power: whichever of the three is not given."""
    from prodsense.inference.power import power as solve

    write_rows(solve(
        mean=mean, sd=sd, rate=rate, effect=effect, relative=relative, units=units, power=chance, alpha=alpha,
        margin=margin, treatment_ratio=treatment_ratio, treatments=treatments, metrics=metrics, guardrails=guardrails,
        variance_reduction=variance_reduction, cluster_size=cluster_size, icc=icc, looks=looks, per_day=per_day,
    ), form)


@app.command(
    epilog=examples(
        "prodsense assign users.csv --unit user_id --name new_checkout --arm control=0.5 --arm treatment=0.5",
        "prodsense assign delivery.dim_customers --unit customer_id --name badge --arm A --arm B --traffic 0.1"
        " --layer checkout --slot 0:0.5 --format csv",
    )
)
def assign(
    ctx: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table, view or model, or a file, with the units.")],
    unit: Annotated[str, typer.Option("--unit", metavar="COLUMN", show_default=False, help="Who is assigned.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", show_default=False, help="The experiment: the salt of its hash.")
    ],
    arm: Annotated[
        list[str],
        typer.Option("--arm", metavar="ARM[=SHARE]", show_default=False, help="An arm and its share; repeat."),
    ],
    traffic: Annotated[
        float, typer.Option("--traffic", metavar="SHARE", help="How much of all traffic takes part; may grow later.")
    ] = 1.0,
    layer: Annotated[
        str, typer.Option("--layer", metavar="NAME", show_default=False,
                          help="Experiments of one layer in slots apart share no unit.")
    ] = "",
    slot: Annotated[
        str, typer.Option("--slot", metavar="FROM:TO", help="The slot of the layer, within 0 to 1.")
    ] = "0:1",
    holdback: Annotated[
        float, typer.Option("--holdback", metavar="SHARE", help="Held back from all experiments.")
    ] = 0.0,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
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
        answer = read(warehouse_url(ctx, warehouse), lambda wh: assigned(wh.engine, wh.relation(table), unit, rule))
    write_rows(answer, form)
