"""Why a number moved: a metric of a pack, or a number in any file or table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    AsOfOption,
    ChartOption,
    Format,
    FormatOption,
    WarehouseOption,
    WhereOption,
    ZoneOption,
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
from prodsense.cli.pages import check_ending
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

app = commands()


def _column(option: str, says: str) -> Any:
    return typer.Option(option, metavar="COLUMN", show_default=False, help=says)


@app.command(
    epilog=examples(
        "prodsense explain delivery.on_time_rate --from 2024-01-08..2024-01-14 --to 2024-01-15..2024-01-21",
        "prodsense explain on_time_rate --from 2024-01 --to 2024-02 --dims vehicle_type,delivery_type --format json",
        "prodsense explain forecast.parquet --value real --expected predicted --dims region,product",
        "prodsense explain requests.parquet --numerator errors --denominator requests --time minute"
        " --to 2024-03-01T10:15",
    )
)
def explain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="METRIC|FILE|TABLE", help="What moved.")],
    before: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", show_default=False,
                     help="Before the move: a day, a month (2024-01) or days A..B, both inside."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--to", metavar="TIME", show_default=False, help="After the move, written alike.")
    ] = None,
    dims: Annotated[
        list[str] | None,
        typer.Option("--dims", metavar="DIM", show_default=False,
                     help="Search slices of these; repeat, or part with commas (default: chosen)."),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option("--layers", metavar="N", min=1, show_default=False, help="A slice fixes at most N dimensions."),
    ] = None,
    where: WhereOption = None,
    tree: Annotated[
        str | None, typer.Option("--tree", metavar="NAME", show_default=False, help="Metric: take apart by this tree.")
    ] = None,
    events: Annotated[
        str | None,
        typer.Option("--events", metavar="FILE|TABLE", show_default=False,
                     help="Metric: known events, columns `at` and `what`, to set beside the onset."),
    ] = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    value: Annotated[str | None, _column("--value", "File or table: the number, summed.")] = None,
    expected: Annotated[str | None, _column("--expected", "File or table: what it was expected to be.")] = None,
    numerator: Annotated[str | None, _column("--numerator", "File or table: top of a ratio, summed.")] = None,
    denominator: Annotated[str | None, _column("--denominator", "File or table: bottom of it.")] = None,
    time: Annotated[str | None, _column("--time", "File or table: when; --from and --to say which times.")] = None,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", show_default=False, help="Write it as a page too: .html or .png."),
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Explain why a number moved: whether it is unusual, since when, through which parts, in which slices.

    All combinations of the dimensions are searched for the smallest set of slices that accounts for the move. What is
    found moved together with the number; that it is the cause is for an experiment to show.
    """
    check_chart(chart)
    check_ending(out, (".html", ".png"))
    columns = {"value": value, "expected": expected, "numerator": numerator, "denominator": denominator, "time": time}
    if any(columns.values()):
        given = [f"--{n}" for n, v in (("tree", tree), ("events", events), ("as-of", as_of), ("tz", tz)) if v]
        if given:
            raise UsageError(f"{given[0]} belongs to a metric; a file or table has none")
        answer = _of_table(ctx, name, warehouse, before=before, after=after, dims=split_names(dims), where=where,
                           layers=layers, **columns)  # fmt: skip
    else:
        from prodsense.metrics.reading import is_file

        if is_file(name):
            raise UsageError(f"{name} is a file: name its number with --value or --numerator and --denominator")
        if before is None or after is None:
            raise UsageError("name both times: --from, before the move, and --to, after it")

        def ask(wh: Warehouse) -> Any:
            return wh.explain(name, before, after, dims=split_names(dims), where=where, tree=tree, events=events,
                              layers=layers, as_of=as_of, tz=zone(tz))  # fmt: skip

        answer = read(warehouse_url(ctx, warehouse), ask)
    give(answer, form, False, chart)
    if out:
        answer.page().save(out)
        notify(f"page written to {out}")


def _of_table(ctx: typer.Context, name: str, warehouse: str | None, **options: Any) -> Any:
    from prodsense.inference.explain_table import explain_table
    from prodsense.metrics.reading import is_file

    if is_file(name):
        return explain_table(name, **options)
    return read(warehouse_url(ctx, warehouse), lambda wh: explain_table(wh.relation(name), engine=wh.engine, **options))
