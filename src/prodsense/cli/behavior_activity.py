"""Methods on any event table: sessions, retention, lifecycle."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from prodsense.cli.behavior_options import (
    AsOfOption,
    ByOption,
    ChartOption,
    CompareOption,
    EventOption,
    InOption,
    SqlOption,
    TableArgument,
    TimeOption,
    UserOption,
    WhereOption,
    ZoneOption,
    tell,
    zone,
)
from prodsense.cli.common import (
    Format,
    FormatOption,
    SinceOption,
    UntilOption,
    WarehouseOption,
    commands,
    examples,
    split_names,
)

app = commands()


class Kind(StrEnum):
    """What counts as coming back on day N."""

    exact = "exact"
    unbounded = "unbounded"
    rolling = "rolling"


class CohortGrain(StrEnum):
    """How days of entry are grouped."""

    day = "day"
    week = "week"
    month = "month"
    quarter = "quarter"
    year = "year"
    all = "all"


class Period(StrEnum):
    """Length of a period of the lifecycle."""

    day = "day"
    week = "week"
    month = "month"
    quarter = "quarter"
    year = "year"


@app.command(
    epilog=examples(
        "prodsense retention delivery.fact_orders --user customer_id --time order_timestamp --days 14",
        "prodsense retention clicks.parquet --user user_id --time ts --event name --return-event pay --days 7",
        "prodsense retention clicks.parquet --user user_id --time ts --event name --grain all"
        " --in 'buyers: event=pay, within_days=7'",
    )
)
def retention(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    start_event: Annotated[
        str | None,
        typer.Option("--start-event", metavar="NAME", show_default=False,
                     help="The event by which a user enters (default: any)."),
    ] = None,
    return_event: Annotated[
        str | None,
        typer.Option("--return-event", metavar="NAME", show_default=False,
                     help="The event that counts as coming back (default: any)."),
    ] = None,
    cohort: Annotated[
        str,
        typer.Option("--cohort", metavar="first|any|COLUMN",
                     help="Enter once, on every day with a start event, or at the moment in a column."),
    ] = "first",
    by: ByOption = None,
    inside: InOption = None,
    days: Annotated[int, typer.Option("--days", metavar="N", help="Days after entry to look at.")] = 30,
    kind: Annotated[
        Kind, typer.Option("--kind", metavar="exact|unbounded|rolling",
                           help="Back on day N, on day N or later, or in the N-th span of 24 hours.")
    ] = Kind.exact,
    brackets: Annotated[
        str | None,
        typer.Option("--brackets", metavar="1-3,4-7", show_default=False,
                     help="Back on any day of each bracket, instead of single days."),
    ] = None,
    grain: Annotated[
        CohortGrain, typer.Option("--grain", metavar="day|week|month|quarter|year|all", help="Group days of entry.")
    ] = CohortGrain.day,
    since: SinceOption = None,
    until: UntilOption = None,
    compare: CompareOption = None,
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Which share of the users who entered on a day came back N days later.

    Users enter from --since (inside) to --until (outside). Those whose window is not over count in no number; the
    column `censored` says how many they are.
    """
    from prodsense.behavior import read_cohort
    from prodsense.behavior import retention as method

    tell(
        ctx, warehouse, table,
        lambda events: method(
            events, start_event=start_event, return_event=return_event, cohort=cohort,
            by=[*split_names(by), *(read_cohort(events, rule, tz=zone(tz)) for rule in inside or ())],
            days=days, kind=kind.value, brackets=brackets, grain=grain.value, since=since, until=until,
            compare=compare.value if compare else None, as_of=as_of, tz=zone(tz),
        ),
        form, chart, sql, user=user, time=time, event=event, where=where or "",
    )  # fmt: skip


@app.command(
    epilog=examples("prodsense lifecycle delivery.fact_orders --user customer_id --time order_timestamp --grain week")
)
def lifecycle(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    active: Annotated[
        list[str] | None,
        typer.Option("--active", metavar="NAME", show_default=False,
                     help="Only this event makes a user active; repeat for several (default: any)."),
    ] = None,
    grain: Annotated[
        Period, typer.Option("--grain", metavar="day|week|month|quarter|year", help="Length of a period.")
    ] = Period.day,
    by: Annotated[
        str, typer.Option("--by", metavar="COLUMN", show_default=False, help="Each value of this column on its own.")
    ] = "",
    compare: CompareOption = None,
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Active users by where they come from: new, retained, resurrected; and those who churned or lie dormant."""
    from prodsense.behavior import lifecycle as method

    tell(
        ctx, warehouse, table,
        lambda events: method(
            events, grain=grain.value, event=active or (), by=by, compare=compare.value if compare else None,
            as_of=as_of, tz=zone(tz),
        ),
        form, chart, sql, user=user, time=time, event=event, where=where or "",
    )  # fmt: skip


@app.command(
    epilog=examples("prodsense sessions clicks.csv --user user_id --time ts --event name --device device --format csv")
)
def sessions(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="COLUMN", show_default=False,
                     help="The column that names the device; a session is of one."),
    ] = None,
    gap: Annotated[
        float, typer.Option("--gap", metavar="MINUTES", help="A session ends when nothing happens for so long.")
    ] = 30,
    grace: Annotated[
        float, typer.Option("--grace", metavar="MINUTES", help="The same, after the app went to the background.")
    ] = 5,
    background: Annotated[
        str, typer.Option("--background", metavar="NAME", help="The event that sends the app to the background.")
    ] = "app_background",
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Runs of events of one user and device without a long gap; one row a session."""
    from prodsense.behavior import sessions as method

    tell(
        ctx, warehouse, table,
        lambda events: method(events, gap=gap, grace=grace, background=background, as_of=as_of, tz=zone(tz)),
        form, chart, sql, user=user, time=time, event=event, device=device, where=where or "",
    )  # fmt: skip
