"""Answers as rows: metric, query, analyze."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.common import (
    AsOfOption,
    ChartOption,
    Format,
    FormatOption,
    ParamOption,
    SinceOption,
    SqlOption,
    UntilOption,
    WarehouseOption,
    WhereOption,
    ZoneOption,
    check_chart,
    commands,
    examples,
    give,
    opened,
    read,
    read_params,
    split_names,
    warehouse_file,
    warehouse_url,
    write_rows,
    zone,
)
from prodsense.errors import UsageError

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
        "prodsense metric on_time_rate --as partner --actor restaurant_id=7 --benchmark",
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
    where: WhereOption = None,
    compare: Annotated[
        Compare | None,
        typer.Option("--compare", metavar="previous|year", show_default=False,
                     help="Set each value against the period before, or the same one a year before."),
    ] = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="In a role with peers: own values beside the peers' quarters.")
    ] = False,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Values of one or more metrics of a pack, by slices and period.

    Ratios are ratios of sums, periods without data are empty (not 0), and a slice that would count rows more
    than once is refused with the reason.
    """
    check_chart(chart)
    if benchmark and (by or where or compare or sql or chart):
        raise UsageError("--benchmark takes metrics, --grain, --since, --until, --as-of and --tz alone")

    def ask(wh: Warehouse) -> Result | Rows:
        if benchmark:
            return wh.benchmark(
                *split_names(names), grain=grain.value if grain else None, since=since, until=until, as_of=as_of,
                tz=zone(tz),
            )
        return wh.metric(
            *split_names(names), by=split_names(by), grain=grain.value if grain else None, since=since, until=until,
            where=where, compare=compare.value if compare else None, as_of=as_of, tz=zone(tz),
        )

    result = read(warehouse_url(ctx, warehouse), ask)
    give(result, form, sql, chart)


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
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Rows of a named analysis.

    `prodsense catalog --kind analysis` lists them with their parameters and defaults. Those that are given all they
    work on as parameters need no warehouse.
    """
    check_chart(chart)
    give(_analysis(warehouse_url(ctx, warehouse), name, read_params(params)), form, False, chart)


def _analysis(url: str, name: str, given: dict[str, str]) -> Rows:
    path = warehouse_file(url)
    if path is not None and not path.exists():
        with opened(":memory:") as empty:
            if any(given.get(param) for param in empty.find("analyses", name)[1].standalone):
                return empty.analyze(name, **given)
    return read(url, lambda wh: wh.analyze(name, **given))
