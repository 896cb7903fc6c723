"""Survival and cohorts, on any event table or file."""

from __future__ import annotations

from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.behavior_options import ByOption, EventOption, TableArgument, TimeOption, UserOption, on_events, tell
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
    give,
    split_names,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior.cohorts import Cohort
    from prodsense.behavior.events import EventTable
    from prodsense.metrics.result import Rows

app = commands()


class Unit(StrEnum):
    """In what time is told."""

    seconds = "seconds"
    minutes = "minutes"
    hours = "hours"
    days = "days"


class Interval(StrEnum):
    """How the band around a curve is made."""

    log_log = "log-log"
    plain = "plain"


@app.command(
    epilog=examples(
        "prodsense survival clicks.parquet --user user_id --time ts --event event --start signup --end pay"
        " --by country",
        "prodsense survival shop.events --user user_id --time ts --event event --end pay --unit hours --chart pay.png",
    )
)
def survival(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    end: Annotated[
        str, typer.Option("--end", metavar="NAME", show_default=False, help="The event that is waited for.")
    ],
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="NAME", show_default=False,
                     help="The event by which a user enters (default: the first of any kind)."),
    ] = None,
    by: ByOption = None,
    unit: Annotated[
        Unit, typer.Option("--unit", metavar="seconds|minutes|hours|days", help="In what time is told.")
    ] = Unit.days,
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="LEVEL", help="Of the band and of the median's interval.")
    ] = 0.95,
    interval: Annotated[
        Interval, typer.Option("--interval", metavar="log-log|plain", help="How the band is made.")
    ] = Interval.log_log,
    since: SinceOption = None,
    until: UntilOption = None,
    as_of: AsOfOption = None,
    where: WhereOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """How long until something happens (Kaplan-Meier), those to whom it has not happened yet counted rightly.

    Users enter from --since (inside) to --until (outside); who has not come to the end is seen until --as-of.
    """
    from prodsense.behavior import survival as method

    tell(
        ctx, warehouse, table,
        lambda events: method(
            events, end, start=start, by=split_names(by), unit=unit.value, since=since, until=until, as_of=as_of,
            confidence=confidence, interval=interval.value, tz=zone(tz),
        ),
        form, chart, sql, user=user, time=time, event=event, where=where or "",
    )


@app.command(
    epilog=examples(
        "prodsense cohorts clicks.parquet --user user_id --time ts --event event"
        " --in 'buyers: event=pay, at_least=2' --in \"Berlin: where=city = 'Berlin'\"",
        "prodsense cohorts clicks.parquet --user user_id --time ts --event event --in 'buyers: event=pay' --users",
    )
)
def cohorts(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    inside: Annotated[
        list[str],
        typer.Option("--in", metavar="COHORT", show_default=False,
                     help="NAME: event=pay, at_least=3, on_days=2, within_days=7, since=DAY, until=DAY, where=SQL;"
                          " repeat for several."),
    ],
    event: EventOption = None,
    users: Annotated[
        bool, typer.Option("--users", help="List the users of the cohort; of several those who are in all of them.")
    ] = False,
    as_of: AsOfOption = None,
    where: WhereOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """How large cohorts are and how far they overlap: users by what they did, or by an attribute.

    `prodsense retention --in` sets those in a cohort against the others.
    """
    from prodsense.behavior import cohorts as method
    from prodsense.behavior import read_cohort

    columns = {"user": user, "time": time, "event": event, "where": where or ""}

    def groups(events: EventTable) -> list[Cohort]:
        return [read_cohort(events, rule, tz=zone(tz)) for rule in inside]

    if not users:
        tell(
            ctx, warehouse, table, lambda events: method(events, groups(events), as_of=as_of, tz=zone(tz)),
            form, chart, sql, **columns,
        )
        return
    for option, value in (("--chart", chart), ("--as-of", as_of)):
        if value is not None:
            raise UsageError(f"{option} has no meaning for --users, which lists them")

    def listed(events: EventTable) -> Rows:
        return reduce(lambda a, b: a & b, groups(events)).users()

    give(on_events(ctx, warehouse, table, listed, **columns), form, sql, None)
