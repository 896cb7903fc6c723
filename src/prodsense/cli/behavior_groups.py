"""Survival and cohorts, on any event table or file."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from prodsense.cli.behavior_options import ByOption, Events, View
from prodsense.cli.common import Window, commands, examples, option, refuse, zone
from prodsense.contracts.options import split_names

if TYPE_CHECKING:
    from prodsense.behavior.cohorts import Cohort
    from prodsense.behavior.events import EventTable

app = commands()

#: In what time is told.
Unit = Literal["seconds", "minutes", "hours", "days"]
#: How the band around a curve is made.
Interval = Literal["log-log", "plain"]


@app.command(
    epilog=examples(
        "prodsense survival clicks.parquet --user user_id --time ts --event event --start signup --end pay"
        " --by country",
        "prodsense survival shop.events --user user_id --time ts --event event --end pay --unit hours --chart pay.png",
    )
)
def survival(
    events: Events,
    *,
    end: Annotated[str, option("--end", "NAME", "The event that is waited for.")],
    start: Annotated[
        str | None, option("--start", "NAME", "The event by which a user enters (default: the first of any kind).")
    ] = None,
    by: ByOption = None,
    unit: Annotated[
        Unit, typer.Option("--unit", metavar="seconds|minutes|hours|days", help="In what time is told.")
    ] = "days",
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="LEVEL", help="Of the band and of the median's interval.")
    ] = 0.95,
    interval: Annotated[
        Interval, typer.Option("--interval", metavar="log-log|plain", help="How the band is made.")
    ] = "log-log",
    window: Window,
    view: View,
) -> None:
    """How long until something happens (Kaplan-Meier), those to whom it has not happened yet counted rightly.

    Users enter from --since (inside) to --until (outside); who has not come to the end is seen until --as-of.
    """
    from prodsense.behavior import survival as method

    view.tell(events, lambda table: method(
        table, end, start=start, by=split_names(by), unit=unit, confidence=confidence, interval=interval,
        **vars(window), **view.seen,
    ))  # fmt: skip


@app.command(
    epilog=examples(
        "prodsense cohorts clicks.parquet --user user_id --time ts --event event"
        " --in 'buyers: event=pay, at_least=2' --in \"Berlin: where=city = 'Berlin'\"",
        "prodsense cohorts clicks.parquet --user user_id --time ts --event event --in 'buyers: event=pay' --users",
    )
)
def cohorts(
    events: Events,
    *,
    inside: Annotated[
        list[str],
        option("--in", "COHORT", "NAME: event=pay, at_least=3, on_days=2, within_days=7, since=DAY, until=DAY,"
               " where=SQL; repeat for several."),
    ],
    users: Annotated[
        bool, typer.Option("--users", help="List the users of the cohort; of several those who are in all of them.")
    ] = False,
    view: View,
) -> None:
    """How large cohorts are and how far they overlap: users by what they did, or by an attribute.

    `prodsense retention --in` sets those in a cohort against the others.
    """
    from prodsense.behavior import cohorts as method
    from prodsense.behavior import read_cohort

    def groups(table: EventTable) -> list[Cohort]:
        return [read_cohort(table, rule, tz=zone(view.tz)) for rule in inside]

    if not users:
        view.tell(events, lambda table: method(table, groups(table), **view.seen))
        return
    refuse({"--chart": view.chart, "--as-of": view.as_of}, "has no meaning for --users, which lists them")
    view.tell(events, lambda table: reduce(lambda a, b: a & b, groups(table)).users())
