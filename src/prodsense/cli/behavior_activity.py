"""Methods on any event table: sessions, retention, lifecycle."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.behavior_options import (
    ByOption,
    CompareOption,
    EventOption,
    InOption,
    TableArgument,
    TimeOption,
    UserOption,
    keeping,
    tell,
)
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
    write_rows,
    zone,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior import Answer, EventTable

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
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="N", show_default=False, help="Days after entry to look at (default: 30)."),
    ] = None,
    weeks: Annotated[
        int | None,
        typer.Option("--weeks", metavar="N", show_default=False, help="Calendar weeks after that of entry, instead."),
    ] = None,
    months: Annotated[
        int | None,
        typer.Option("--months", metavar="N", show_default=False, help="Calendar months after that of entry, instead."),
    ] = None,
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
        CohortGrain | None,
        typer.Option("--grain", metavar="day|week|month|quarter|year|all", show_default=False,
                     help="Group days of entry (default: by what is counted)."),
    ] = None,
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
            days=days, weeks=weeks, months=months, kind=kind.value, brackets=brackets,
            grain=grain.value if grain else None, since=since, until=until,
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


class Devices(StrEnum):
    """How the devices of one user make sessions."""

    apart = "apart"
    together = "together"
    joined = "joined"


@app.command(
    epilog=examples(
        "prodsense sessions clicks.csv --user user_id --time ts --event name --device device --format csv",
        "prodsense sessions clicks.csv --user user_id --time ts --device device --devices joined --received got_at",
        "prodsense sessions clicks.csv --user user_id --time ts --feature screen --grain day",
        "prodsense sessions app.events --user user_id --time ts --keep app_sessions",
    )
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
        typer.Option("--device", metavar="COLUMN", show_default=False, help="The column that names the device."),
    ] = None,
    devices: Annotated[
        Devices | None,
        typer.Option("--devices", metavar="apart|together|joined", show_default=False,
                     help="A session is of one device, of all as one log, or of devices whose sessions overlap or are"
                          " close (default: apart where a device is named)."),
    ] = None,
    join: Annotated[
        float | None,
        typer.Option("--join", metavar="MINUTES", show_default=False,
                     help="How close sessions of joined devices are (default: the grace)."),
    ] = None,
    platform: Annotated[
        str, typer.Option("--platform", metavar="COLUMN", show_default=False, help="Count the platforms of a session.")
    ] = "",
    received: Annotated[
        str,
        typer.Option("--received", metavar="COLUMN", show_default=False,
                     help="When the server got the event: sets clocks right that are off."),
    ] = "",
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="MINUTES", help="By how much a clock may be off.")
    ] = 1,
    gap: Annotated[
        float, typer.Option("--gap", metavar="MINUTES", help="A session ends when nothing happens for so long.")
    ] = 30,
    grace: Annotated[
        float, typer.Option("--grace", metavar="MINUTES", help="The same, after the app went to the background.")
    ] = 5,
    background: Annotated[
        str, typer.Option("--background", metavar="NAME", help="The event that sends the app to the background.")
    ] = "app_background",
    feature: Annotated[
        str | None,
        typer.Option("--feature", metavar="COLUMN", show_default=False,
                     help="Time spent by the value of this column, instead of sessions."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", show_default=False,
                     help="Slice time spent by the value at the event; repeat, or part with commas."),
    ] = None,
    grain: Annotated[
        CohortGrain | None,
        typer.Option("--grain", metavar="day|week|month|quarter|year|all", show_default=False,
                     help="Time spent in each period (default: all)."),
    ] = None,
    last: Annotated[
        float | None,
        typer.Option("--last", metavar="SECONDS", show_default=False,
                     help="Time spent with the last event of a session (default: 0)."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="SCHEMA", show_default=False,
                     help="Keep the sessions in this schema of the warehouse; tell those that changed since."),
    ] = None,
    where: WhereOption = None,
    as_of: AsOfOption = None,
    tz: ZoneOption = None,
    sql: SqlOption = False,
    form: FormatOption = Format.table,
    chart: ChartOption = None,
    warehouse: WarehouseOption = None,
) -> None:
    """Runs of events of one user and device without a long gap, one row a session; or the time spent by feature.

    With --keep the sessions are tables of the warehouse: run again, only what late and new events touch is written.
    """
    rules: dict[str, Any] = {
        "gap": gap, "grace": grace, "background": background, "devices": devices.value if devices else "",
        "received": received, "tolerance": tolerance,
    }
    columns = {"user": user, "time": time, "event": event, "device": device, "where": where or ""}
    if feature is None:
        _refuse({"--by": by, "--grain": grain, "--last": last}, "tells of time spent: name a --feature")
    else:
        _refuse({"--join": join, "--platform": platform, "--keep": keep}, "is of sessions, not of time by --feature")
    if keep is not None:
        _refuse({"--as-of": as_of, "--chart": chart, "--sql": sql}, "is not for sessions to --keep; ask without it")
        from prodsense.behavior import KeptSessions

        def kept(events: EventTable) -> Answer:
            made = KeptSessions.keep(events, keep, tz=zone(tz), join=join, platform=platform, **rules)
            assert made.restated is not None
            return made.restated

        write_rows(keeping(ctx, warehouse, table, kept, **columns), form)
        return
    from prodsense.behavior import feature_time
    from prodsense.behavior import sessions as method

    def ask(events: EventTable) -> Answer:
        if feature is None:
            return method(events, join=join, platform=platform, as_of=as_of, tz=zone(tz), **rules)
        return feature_time(
            events, feature, by=split_names(by), grain=grain.value if grain else "all", last=last or 0, as_of=as_of,
            tz=zone(tz), **rules,
        )  # fmt: skip

    tell(ctx, warehouse, table, ask, form, chart, sql, **columns)


def _refuse(options: dict[str, Any], why: str) -> None:
    """UsageError for the first of these options that is given."""
    for name, value in options.items():
        if value is not None and value not in ("", []) and value is not False:
            raise UsageError(f"{name} {why}")
