"""Funnels on any event table or file."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.behavior_options import CompareOption, EventOption, TableArgument, TimeOption, UserOption, tell
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
    commands,
    examples,
    split_names,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer

app = commands()


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


@app.command(
    epilog=examples(
        "prodsense funnel clicks.parquet --user user_id --time ts --event event --step view --step cart"
        " --step '?coupon' --step pay --within 7d",
        "prodsense funnel shop.events --user user_id --time ts --event event --step view --step pay --within 1d"
        " --by country --since 2024-05-01 --until 2024-06-01 --compare previous",
        "prodsense funnel clicks.parquet --user user_id --time ts --event event --step view --step pay --within 7d"
        " --drops platform,country --drops-events --chart drops.png",
    )
)
def funnel(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    step: Annotated[
        list[str],
        typer.Option("--step", metavar="EVENT", show_default=False,
                     help="The next step; ?EVENT is optional: counted, never blocking. Repeat in order."),
    ],
    within: Annotated[
        str | None,
        typer.Option("--within", metavar="LENGTH", show_default=False,
                     help="The whole way takes at most this: 7d, 12h, 30m; or ever, for ways that end by themselves."),
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
    compare: CompareOption = None,
    drops: Annotated[
        list[str] | None,
        typer.Option("--drops", metavar="COLUMN", show_default=False,
                     help="Tell who drops instead: values of this column that droppers have more or less than those who"
                          " go on; repeat, or part with commas."),
    ] = None,
    drops_events: Annotated[
        bool, typer.Option("--drops-events", help="The same of other events that users did on the way.")
    ] = False,
    as_of: AsOfOption = None,
    where: WhereOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """How many who begin get how far, and how long it takes, on any event table.

    Users enter from --since (inside) to --until (outside). Those whose window is not over are left out and counted.
    """
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
    dropping = bool(drops or drops_events)
    for option, value in (("--by", by), ("--compare", compare)):
        if dropping and value:
            raise UsageError(f"{option} has no meaning beside --drops, which sets those who drop against the others")

    def method(events: EventTable) -> Answer:
        found = ask(
            events, steps, within=within, order=order.value, entries=entries.value, by=split_names(by),
            attribution=attribution.value, since=since, until=until,
            compare=compare.value if compare else None, as_of=as_of, tz=zone(tz),
        )
        return found.drops(split_names(drops), events=drops_events) if dropping else found

    tell(
        ctx, warehouse, table, method, form, chart, sql, user=user, time=time, event=event, where=where or "",
    )


def read_pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    """``STEP=VALUE`` texts in two parts; UsageError for any other shape."""
    found = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"{option} {text}: write it as STEP=VALUE")
        found.append((name.strip().removeprefix("?"), value.strip()))
    return found
