"""Experiments: declared ones by name, or any table or file of units."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    WarehouseOption,
    commands,
    examples,
    notify,
    read,
    split_names,
    warehouse_url,
    write_rows,
)
from prodsense.errors import UsageError
from prodsense.project import find_project

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
                     help="A primary metric: a column (its mean), ratio:A/B, quantile:COLUMN@0.9, or NAME=one of these;"
                          " a - before it says that less is better. Repeat for several."),
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
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", show_default=False, help="Only rows for which this condition holds."),
    ] = None,
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
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", show_default=False,
                     help="A parameter of a declared experiment: before_days, within_days, novelty_days."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MOMENT", show_default=False,
                     help="The moment to look from (default: the newest in the data)."),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option("--tz", metavar="ZONE", show_default=False,
                     help="Zone of the days given (default: the project's)."),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead of the readout.")] = False,
    form: FormatOption = Format.table,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", show_default=False, help="Write the readout too: .html, .png or .json."),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE", show_default=False,
                     help="Draw the effects: .png, .svg, .pdf, .html or .json (Vega-Lite)."),
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """The readout of an experiment: the split first, then effects with intervals, then ship, hold or stop and why.

    A declared experiment needs only its name. Any table with a row a unit (or several, with --unit) needs --arm and
    at least one --metric. Units in several arms are left out and counted.
    """
    from prodsense.cli.answers import check_chart, draw
    from prodsense.cli.common import read_params

    if chart:
        check_chart(chart)
    if out and out.suffix.lower() not in (".html", ".png", ".json"):
        raise UsageError(f"--out {out}: the file should end in .html, .png or .json")
    if out and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    project = find_project()
    shared: dict[str, Any] = {
        "alpha": alpha, "correction": correction.value if correction else None, "sequential": sequential,
        "adjustment": adjustment.value, "min_units": min_units,
    }
    if arm is None:
        for option, value in (("--metric", metric), ("--unit", unit), ("--guardrail", guardrail), ("--time", time),
                              ("--control", control), ("--covariate", covariate), ("--strata", strata),
                              ("--cluster", cluster), ("--split", split), ("--where", where),
                              ("--winsorize", winsorize), ("--secondary", secondary)):
            if value:
                raise UsageError(f"{option} is for a table and needs --arm; a declared experiment has it in its plan")
        zone = tz or (project.timezone if project else "") or "UTC"
        given: dict[str, Any] = {**shared, **read_params(param), "since": since, "until": until, "as_of": as_of}
        if segment:
            given["segments"] = split_names(segment)

        def declared(wh: Warehouse) -> Any:
            kept = {k: v for k, v in given.items() if v is not None}
            if wh.find("experiments", name)[1].run is not None:
                # A design with an analysis of its own takes its own parameters only.
                return wh.experiment(name, **read_params(param))
            return wh.experiment(name, **kept, tz=zone)

        answer = read(warehouse_url(ctx, warehouse), declared)
    else:
        raise UsageError("not yet")
    if sql and form is Format.table:
        print(";\n\n".join(answer.sql) + ";")
    else:
        write_rows(answer, form)
    if out:
        answer.save(out)
        notify(f"readout written to {out}")
    if chart:
        draw(answer, chart)
