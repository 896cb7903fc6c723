"""Answers as rows: metric, query, analyze."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.common import (
    Drawn,
    Moment,
    Output,
    ParamOption,
    Place,
    WhereOption,
    Window,
    Written,
    commands,
    examples,
    opened,
    option,
    warehouse_file,
)
from prodsense.contracts.options import read_params, split_names
from prodsense.contracts.vocabulary import Comparison, Grain
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.metrics.result import Result, Rows
    from prodsense.warehouse import Warehouse

app = commands()


@app.command(
    epilog=examples(
        "prodsense metric delivery.on_time_rate --by vehicle_type --grain week --compare previous",
        "prodsense metric on_time_rate --since 2024-01-01 --until 2024-02-01 --where \"vehicle_type = 'bike'\"",
        "prodsense metric on_time_rate --grain day --chart on_time.png",
        "prodsense metric on_time_rate --as partner --actor restaurant_id=7 --benchmark",
    )
)
def metric(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Metrics of one pack.")],
    *,
    by: Annotated[
        list[str] | None, option("--by", "DIM", "Slice by this dimension; repeat, or part with commas.")
    ] = None,
    grain: Annotated[
        Grain | None,
        option("--grain", "day|week|month|quarter|year|all",
               "One value for each such period (default: the metric's own)."),
    ] = None,
    window: Window,
    where: WhereOption = None,
    compare: Annotated[
        Comparison | None,
        option("--compare", "previous|year",
               "Set each value against the period before, or the same one a year before."),
    ] = None,
    moment: Moment,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="In a role with peers: own values beside the peers' quarters.")
    ] = False,
    output: Output,
) -> None:
    """Values of one or more metrics of a pack, by slices and period.

    Ratios are ratios of sums, periods without data are empty (not 0), and a slice that would count rows more
    than once is refused with the reason.
    """
    if benchmark and (by or where or compare or output.sql or output.chart):
        raise UsageError("--benchmark takes metrics, --grain, --since, --until, --as-of and --tz alone")
    asked = {"grain": grain, **vars(window), **moment.seen}

    def ask(wh: Warehouse) -> Result | Rows:
        if benchmark:
            return wh.benchmark(*split_names(names), **asked)
        return wh.metric(*split_names(names), by=split_names(by), where=where, compare=compare, **asked)

    output.answer(ask)


@app.command(
    epilog=examples(
        "prodsense query driver_batch_leaderboard --param min_deliveries=20",
        "prodsense query delivery.driver_batch_leaderboard --format csv > drivers.csv",
    )
)
def query(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The query, as pack.name or name.")],
    *,
    params: ParamOption = None,
    output: Written,
) -> None:
    """Rows of a named query.

    `prodsense catalog --kind query` lists them with their parameters and defaults.
    """
    given = read_params(params)
    output.answer(lambda wh: wh.query(name, **given))


@app.command(
    epilog=examples(
        "prodsense analyze delivery.order_funnel --param by=delivery_type --chart orders.png",
        "prodsense analyze delivery.batched_delivery_time_effect --format json",
    )
)
def analyze(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The analysis, as pack.name or name.")],
    *,
    params: ParamOption = None,
    output: Drawn,
) -> None:
    """Rows of a named analysis.

    `prodsense catalog --kind analysis` lists them with their parameters and defaults. Those that are given all they
    work on as parameters need no warehouse.
    """
    output.give(_analysis(output, name, read_params(params)))


def _analysis(place: Place, name: str, given: dict[str, str]) -> Rows:
    path = warehouse_file(place.url)
    if path is not None and not path.exists():
        with opened(":memory:") as empty:
            if any(given.get(param) for param in empty.find("analyses", name)[1].standalone):
                return empty.analyze(name, **given)
    return place.read(lambda wh: wh.analyze(name, **given))
