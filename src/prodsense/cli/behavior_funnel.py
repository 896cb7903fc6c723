"""Funnels on any event table or file."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.cli.answers import check_chart, draw
from prodsense.cli.common import (
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    WarehouseOption,
    commands,
    examples,
    read,
    split_names,
    warehouse_url,
    write_rows,
)
from prodsense.errors import UsageError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.warehouse import Warehouse

app = commands()

T = TypeVar("T")

TableArgument = Annotated[
    str, typer.Argument(metavar="TABLE", help="A table, view or model of the warehouse, or a file of events.")
]
UserOption = Annotated[str, typer.Option("--user", metavar="COLUMN", help="Who did it.", show_default=False)]
TimeOption = Annotated[str, typer.Option("--time", metavar="COLUMN", help="When.", show_default=False)]
EventOption = Annotated[str, typer.Option("--event", metavar="COLUMN", help="What.", show_default=False)]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="SQL", show_default=False, help="Only events for which this condition holds."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="T", show_default=False,
                 help="Look back from this moment (default: that of the newest event)."),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option("--tz", metavar="ZONE", show_default=False, help="Zone of the days given (default: the project's)."),
]
ChartOption = Annotated[
    Path | None,
    typer.Option("--chart", metavar="FILE", show_default=False,
                 help="Draw the answer too: .png, .svg, .pdf, .html or .json (Vega-Lite)."),
]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the statements instead of the answer.")]


def on_events(
    ctx: typer.Context, table: str, warehouse: str | None, action: Callable[[EventTable], T], **columns: Any
) -> T:
    """Run `action` on the events of a file, or of a relation of the warehouse that is meant."""
    from prodsense.behavior.events import EventTable, is_file

    if is_file(table):
        with EventTable.read(table, **columns) as events:
            return action(events)

    def ask(wh: Warehouse) -> T:
        return action(EventTable.of(wh.engine, wh.relation(table), **columns))

    return read(warehouse_url(ctx, warehouse), ask)


def zone(given: str | None) -> str:
    """The zone of days: as given, else the project's, else UTC."""
    project = find_project()
    return given or (project.timezone if project else "") or "UTC"


def tell(answer: Any, form: Format, sql: bool, chart: Path | None) -> None:
    """Write an answer (or its statements) to stdout and its picture to a file."""
    if sql and form is Format.table:
        print(";\n\n".join(answer.sql) + ";")
    else:
        write_rows(answer, form)
    if chart:
        draw(answer, chart)


class Order(StrEnum):
    """How the steps follow each other."""

    ordered = "ordered"
    strict = "strict"
    any = "any"


class Entries(StrEnum):
    """Which entries of a user count."""

    first = "first"
    best = "best"
    every = "every"


class Attribution(StrEnum):
    """Whose value of a dimension an entry takes."""

    entry = "entry"
    first = "first"
    last = "last"


class Compare(StrEnum):
    """What a funnel is set against."""

    previous = "previous"


@app.command(
    epilog=examples(
        "prodsense funnel clicks.parquet --user user_id --time ts --event event --step view --step cart"
        " --step '?coupon' --step pay --within 7d",
        "prodsense funnel shop.events --user user_id --time ts --event event --step view --step pay --within 1d"
        " --by country --since 2024-05-01 --until 2024-06-01 --compare previous",
    )
)
def funnel(
    ctx: typer.Context,
    table: TableArgument,
    user: UserOption,
    time: TimeOption,
    event: EventOption,
    step: Annotated[
        list[str],
        typer.Option("--step", metavar="EVENT", show_default=False,
                     help="The next step; ?EVENT is optional: counted, never blocking. Repeat in order."),
    ],
    within: Annotated[
        str | None,
        typer.Option("--within", metavar="LENGTH", show_default=False,
                     help="The whole way takes at most this: 7d, 12h, 30m."),
    ] = None,
    step_within: Annotated[
        list[str] | None,
        typer.Option("--step-within", metavar="STEP=LENGTH", show_default=False,
                     help="The longest time since the required step before; repeat for several."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="EVENT", show_default=False, help="An event that ends the way anywhere."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="STEP=EVENT", show_default=False,
                     help="An event that must not happen between the required step before and this one."),
    ] = None,
    order: Annotated[
        Order,
        typer.Option("--order", metavar="ordered|strict|any",
                     help="Others may happen between, the very next event, or any order."),
    ] = Order.ordered,
    entries: Annotated[
        Entries,
        typer.Option("--entries", metavar="first|best|every", help="Which entries of a user count."),
    ] = Entries.first,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", show_default=False,
                     help="Slice by this column; repeat, or part with commas."),
    ] = None,
    attribution: Annotated[
        Attribution,
        typer.Option("--attribution", metavar="entry|first|last",
                     help="The slice of an entry: the value at entry, or the first or last known one up to it."),
    ] = Attribution.entry,
    since: SinceOption = None,
    until: UntilOption = None,
    compare: Annotated[
        Compare | None,
        typer.Option("--compare", metavar="previous", show_default=False,
                     help="Beside the window of the same length before --since."),
    ] = None,
    as_of: AsOfOption = None,
    where: WhereOption = None,
    tz: TimezoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """How many who begin get how far, and how long it takes, on any event table.

    Users enter from --since (inside) to --until (outside). Those whose window is not over are left out and counted.
    """
    if chart:
        check_chart(chart)
    from prodsense.behavior.funnel import funnel as ask
    from prodsense.behavior.funnel_steps import read_steps

    limits: dict[str, str] = {}
    for name, length in read_pairs("--step-within", step_within):
        if name in limits:
            raise UsageError(f"--step-within {name} is given twice")
        limits[name] = length
    ends: dict[str, list[str]] = {}
    for name, excluded in read_pairs("--without", without):
        ends.setdefault(name, []).append(excluded)
    steps = read_steps(step, order=order.value, exclude=exclude or (), within=limits, without=ends)
    answer = on_events(
        ctx, table, warehouse,
        lambda events: ask(
            events, steps, within=within, order=order.value, entries=entries.value, by=split_names(by),
            attribution=attribution.value, since=since, until=until,
            compare=compare.value if compare else None, as_of=as_of, tz=zone(tz),
        ),
        user=user, time=time, event=event, where=where or "",
    )
    tell(answer, form, sql, chart)


def read_pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    """``STEP=VALUE`` texts in two parts; UsageError for any other shape."""
    found = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"{option} {text}: write it as STEP=VALUE")
        found.append((name.strip().removeprefix("?"), value.strip()))
    return found
