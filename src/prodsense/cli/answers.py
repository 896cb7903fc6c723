"""Answers as rows: metric, query, analyze."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.common import (
    Format,
    FormatOption,
    ParamOption,
    SinceOption,
    UntilOption,
    WarehouseOption,
    commands,
    examples,
    notify,
    read,
    read_params,
    split_names,
    warehouse_url,
    write_rows,
)
from prodsense.errors import UsageError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.metrics.result import Result, Rows
    from prodsense.warehouse import Warehouse

app = commands()


class Grain(StrEnum):
    """Length of a period."""

    day = "day"
    week = "week"
    month = "month"
    quarter = "quarter"
    year = "year"
    all = "all"


class Compare(StrEnum):
    """What a value is set against."""

    previous = "previous"
    year = "year"


@app.command(
    epilog=examples(
        "prodsense metric delivery.on_time_rate --by vehicle_type --grain week --compare previous",
        "prodsense metric on_time_rate --since 2024-01-01 --until 2024-02-01 --where \"vehicle_type = 'bike'\"",
        "prodsense metric on_time_rate --grain day --chart on_time.png",
    )
)
def metric(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Metrics of one pack.")],
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="DIM", show_default=False,
                     help="Slice by this dimension; repeat, or part with commas."),
    ] = None,
    grain: Annotated[
        Grain | None,
        typer.Option("--grain", metavar="day|week|month|quarter|year|all", show_default=False,
                     help="One value for each such period (default: the metric's own)."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", show_default=False, help="Only rows for which this condition holds."),
    ] = None,
    compare: Annotated[
        Compare | None,
        typer.Option("--compare", metavar="previous|year", show_default=False,
                     help="Set each value against the period before, or the same one a year before."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MOMENT", show_default=False,
                     help="The moment to look from (default: the newest in the data)."),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option("--tz", metavar="ZONE", show_default=False,
                     help="Time zone of days and periods (default: the project's, then UTC)."),
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of the values.")] = False,
    form: FormatOption = Format.table,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE", show_default=False,
                     help="Draw the answer too: .png, .svg, .pdf, .html or .json (Vega-Lite)."),
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Values of one or more metrics of a pack, by slices and period.

    Ratios are ratios of sums, periods without data are empty (not 0), and a slice that would count rows more
    than once is refused with the reason.
    """
    if chart:
        check_chart(chart)
    project = find_project()
    zone = tz or (project.timezone if project else "") or "UTC"

    def ask(wh: Warehouse) -> Result:
        return wh.metric(
            *split_names(names), by=split_names(by), grain=grain.value if grain else None, since=since, until=until,
            where=where, compare=compare.value if compare else None, as_of=as_of, tz=zone,
        )

    result = read(warehouse_url(ctx, warehouse), ask)
    if sql and form is Format.table:
        print(";\n\n".join(result.sql) + ";")
    else:
        write_rows(result, form)
    if chart:
        draw(result, chart)


def check_chart(path: Path) -> None:
    """Before the work, not after it."""
    from prodsense.charts.export import FORMATS

    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--chart {path}: the file should end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if not path.parent.is_dir():
        raise UsageError(f"--chart {path}: there is no folder {path.parent}")


def draw(result: Rows, path: Path) -> None:
    """Write the picture of a result; its ending says the kind of file."""
    from prodsense.charts.export import save

    save(result.chart(), path)
    notify(f"chart written to {path}")


@app.command(
    epilog=examples(
        "prodsense query driver_batch_leaderboard --param min_deliveries=20",
        "prodsense query delivery.driver_batch_leaderboard --format csv > drivers.csv",
    )
)
def query(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The query, as pack.name or name.")],
    params: ParamOption = None,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
) -> None:
    """Rows of a named query.

    `prodsense catalog --kind query` lists them with their parameters and defaults.
    """
    given = read_params(params)
    write_rows(read(warehouse_url(ctx, warehouse), lambda wh: wh.query(name, **given)), form)


@app.command(
    epilog=examples(
        "prodsense analyze delivery.order_funnel --param by=delivery_type --chart orders.png",
        "prodsense analyze delivery.batched_delivery_time_effect --format json",
    )
)
def analyze(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The analysis, as pack.name or name.")],
    params: ParamOption = None,
    form: FormatOption = Format.table,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", metavar="FILE", show_default=False,
                     help="Draw the answer too: .png, .svg, .pdf, .html or .json (Vega-Lite)."),
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Rows of a named analysis.

    `prodsense catalog --kind analysis` lists them with their parameters and defaults.
    """
    if chart:
        check_chart(chart)
    given = read_params(params)
    answer = read(warehouse_url(ctx, warehouse), lambda wh: wh.analyze(name, **given))
    write_rows(answer, form)
    if chart:
        draw(answer, chart)
