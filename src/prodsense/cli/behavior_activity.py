"""Methods on any event table: sessions, retention, lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.behavior_options import ByOption, CompareOption, Events, View
from prodsense.cli.common import Window, commands, examples, option, refuse, zone
from prodsense.contracts.options import Devices, Period, Return, split_names
from prodsense.contracts.vocabulary import Grain

if TYPE_CHECKING:
    from prodsense.behavior import Answer, EventTable

app = commands()


@app.command(
    epilog=examples(
        "prodsense retention delivery.fact_orders --user customer_id --time order_timestamp --days 14",
        "prodsense retention clicks.parquet --user user_id --time ts --event name --return-event pay --days 7",
        "prodsense retention clicks.parquet --user user_id --time ts --event name --grain all"
        " --in 'buyers: event=pay, within_days=7'",
    )
)
def retention(
    events: Events,
    *,
    start_event: Annotated[
        str | None, option("--start-event", "NAME", "The event by which a user enters (default: any).")
    ] = None,
    return_event: Annotated[
        str | None, option("--return-event", "NAME", "The event that counts as coming back (default: any).")
    ] = None,
    cohort: Annotated[
        str,
        typer.Option("--cohort", metavar="first|any|COLUMN",
                     help="Enter once, on every day with a start event, or at the moment in a column."),
    ] = "first",
    by: ByOption = None,
    inside: Annotated[
        list[str] | None,
        option("--in", "COHORT", "Set those in a cohort against the others: 'NAME: event=pay, at_least=3, on_days=2,"
               " within_days=7, where=SQL'; repeat for several."),
    ] = None,
    days: Annotated[int | None, option("--days", "N", "Days after entry to look at (default: 30).")] = None,
    weeks: Annotated[int | None, option("--weeks", "N", "Calendar weeks after that of entry, instead.")] = None,
    months: Annotated[int | None, option("--months", "N", "Calendar months after that of entry, instead.")] = None,
    kind: Annotated[
        Return,
        typer.Option("--kind", metavar="exact|unbounded|rolling",
                     help="Back on day N, on day N or later, or in the N-th span of 24 hours."),
    ] = "exact",
    brackets: Annotated[
        str | None, option("--brackets", "1-3,4-7", "Back on any day of each bracket, instead of single days.")
    ] = None,
    grain: Annotated[
        Grain | None,
        option("--grain", "day|week|month|quarter|year|all", "Group days of entry (default: by what is counted)."),
    ] = None,
    window: Window,
    compare: CompareOption = None,
    view: View,
) -> None:
    """Which share of the users who entered on a day came back N days later.

    Users enter from --since (inside) to --until (outside). Those whose window is not over count in no number; the
    column `censored` says how many they are.
    """
    from prodsense.behavior import read_cohort
    from prodsense.behavior import retention as method

    tz = zone(view.tz)
    view.tell(events, lambda table: method(
        table, start_event=start_event, return_event=return_event, cohort=cohort,
        by=[*split_names(by), *(read_cohort(table, rule, tz=tz) for rule in inside or ())], days=days, weeks=weeks,
        months=months, kind=kind, brackets=brackets, grain=grain, compare=compare, **vars(window), **view.seen,
    ))  # fmt: skip


@app.command(
    epilog=examples("prodsense lifecycle delivery.fact_orders --user customer_id --time order_timestamp --grain week")
)
def lifecycle(
    events: Events,
    *,
    active: Annotated[
        list[str] | None,
        option("--active", "NAME", "Only this event makes a user active; repeat for several (default: any)."),
    ] = None,
    grain: Annotated[
        Period, typer.Option("--grain", metavar="day|week|month|quarter|year", help="Length of a period.")
    ] = "day",
    by: Annotated[str, option("--by", "COLUMN", "Each value of this column on its own.")] = "",
    compare: CompareOption = None,
    view: View,
) -> None:
    """Active users by where they come from: new, retained, resurrected; and those who churned or lie dormant."""
    from prodsense.behavior import lifecycle as method

    view.tell(
        events,
        lambda table: method(table, grain=grain, event=active or (), by=by, compare=compare, **view.seen),
    )


@app.command(
    epilog=examples(
        "prodsense sessions clicks.csv --user user_id --time ts --event name --device device --format csv",
        "prodsense sessions clicks.csv --user user_id --time ts --device device --devices joined --received got_at",
        "prodsense sessions clicks.csv --user user_id --time ts --feature screen --grain day",
        "prodsense sessions app.events --user user_id --time ts --keep app_sessions",
    )
)
def sessions(
    events: Events,
    *,
    device: Annotated[str | None, option("--device", "COLUMN", "The column that names the device.")] = None,
    devices: Annotated[
        Devices | None,
        option("--devices", "apart|together|joined", "A session is of one device, of all as one log, or of devices"
               " whose sessions overlap or are close (default: apart where a device is named)."),
    ] = None,
    join: Annotated[
        float | None, option("--join", "MINUTES", "How close sessions of joined devices are (default: the grace).")
    ] = None,
    platform: Annotated[str, option("--platform", "COLUMN", "Count the platforms of a session.")] = "",
    received: Annotated[
        str, option("--received", "COLUMN", "When the server got the event: sets clocks right that are off.")
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
        str | None, option("--feature", "COLUMN", "Time spent by the value of this column, instead of sessions.")
    ] = None,
    by: Annotated[
        list[str] | None,
        option("--by", "COLUMN", "Slice time spent by the value at the event; repeat, or part with commas."),
    ] = None,
    grain: Annotated[
        Grain | None, option("--grain", "day|week|month|quarter|year|all", "Time spent in each period (default: all).")
    ] = None,
    last: Annotated[
        float | None, option("--last", "SECONDS", "Time spent with the last event of a session (default: 0).")
    ] = None,
    keep: Annotated[
        str | None,
        option("--keep", "SCHEMA", "Keep the sessions in this schema of the warehouse; tell those that changed since."),
    ] = None,
    view: View,
) -> None:
    """Runs of events of one user and device without a long gap, one row a session; or the time spent by feature.

    With --keep the sessions are tables of the warehouse: run again, only what late and new events touch is written.
    """
    rules: dict[str, Any] = {
        "gap": gap, "grace": grace, "background": background, "devices": devices or "", "received": received,
        "tolerance": tolerance,
    }  # fmt: skip
    if feature is None:
        refuse({"--by": by, "--grain": grain, "--last": last}, "tells of time spent: name a --feature")
    else:
        refuse({"--join": join, "--platform": platform, "--keep": keep}, "is of sessions, not of time by --feature")
    if keep is not None:
        refuse({"--as-of": view.as_of, "--chart": view.chart, "--sql": view.sql},
               "is not for sessions to --keep; ask without it")  # fmt: skip
        from prodsense.behavior import KeptSessions

        def kept(table: EventTable) -> Answer:
            made = KeptSessions.keep(table, keep, tz=zone(view.tz), join=join, platform=platform, **rules)
            assert made.restated is not None
            return made.restated

        view.write(events.keep(view, kept, device=device, where=view.where or ""))
        return
    from prodsense.behavior import feature_time
    from prodsense.behavior import sessions as method

    def ask(table: EventTable) -> Answer:
        if feature is None:
            return method(table, join=join, platform=platform, **view.seen, **rules)
        by_period = grain or "all"
        return feature_time(table, feature, by=split_names(by), grain=by_period, last=last or 0, **view.seen, **rules)

    view.tell(events, ask, device=device)
