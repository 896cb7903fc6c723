"""Funnels on any event table or file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prodsense.cli.behavior_options import CompareOption, Events, View
from prodsense.cli.common import Window, commands, examples, option, refuse
from prodsense.contracts.options import Attribution, Entries, Order, split_names
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer

app = commands()


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
    events: Events,
    *,
    step: Annotated[
        list[str],
        option("--step", "EVENT", "The next step; ?EVENT is optional: counted, never blocking. Repeat in order."),
    ],
    within: Annotated[
        str | None,
        option("--within", "LENGTH",
               "The whole way takes at most this: 7d, 12h, 30m; or ever, for ways that end by themselves."),
    ] = None,
    step_within: Annotated[
        list[str] | None,
        option("--step-within", "STEP=LENGTH", "The longest time since the required step before; repeat for several."),
    ] = None,
    exclude: Annotated[list[str] | None, option("--exclude", "EVENT", "An event that ends the way anywhere.")] = None,
    without: Annotated[
        list[str] | None,
        option("--without", "STEP=EVENT",
               "An event that must not happen between the required step before and this one."),
    ] = None,
    order: Annotated[
        Order,
        typer.Option("--order", metavar="ordered|strict|any",
                     help="Others may happen between, the very next event, or any order."),
    ] = "ordered",
    entries: Annotated[
        Entries, typer.Option("--entries", metavar="first|best|every", help="Which entries of a user count.")
    ] = "first",
    by: Annotated[
        list[str] | None, option("--by", "COLUMN", "Slice by this column; repeat, or part with commas.")
    ] = None,
    attribution: Annotated[
        Attribution,
        typer.Option("--attribution", metavar="entry|first|last",
                     help="The slice of an entry: the value at entry, or the first or last known one up to it."),
    ] = "entry",
    window: Window,
    compare: CompareOption = None,
    drops: Annotated[
        list[str] | None,
        option("--drops", "COLUMN", "Tell who drops instead: values of this column that droppers have more or less"
               " than those who go on; repeat, or part with commas."),
    ] = None,
    drops_events: Annotated[
        bool, typer.Option("--drops-events", help="The same of other events that users did on the way.")
    ] = False,
    view: View,
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
    steps = read_steps(step, order=order, exclude=exclude or (), within=limits, without=ends)
    dropping = bool(drops or drops_events)
    if dropping:
        refuse({"--by": by, "--compare": compare},
               "has no meaning beside --drops, which sets those who drop against the others")  # fmt: skip

    def method(table: EventTable) -> Answer:
        found = ask(
            table, steps, within=within, order=order, entries=entries, by=split_names(by), attribution=attribution,
            compare=compare, **vars(window), **view.seen,
        )
        return found.drops(split_names(drops), events=drops_events) if dropping else found

    view.tell(events, method)


def read_pairs(flag: str, given: list[str] | None) -> list[tuple[str, str]]:
    """``STEP=VALUE`` texts in two parts; UsageError for any other shape."""
    found = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"{flag} {text}: write it as STEP=VALUE")
        found.append((name.strip().removeprefix("?"), value.strip()))
    return found
