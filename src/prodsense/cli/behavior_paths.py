"""Paths through sessions, on any event table or file."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from prodsense.cli.behavior_options import EventOption, TableArgument, TimeOption, UserOption, tell
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
    zone,
)
from prodsense.errors import UsageError

app = commands()


class Shape(StrEnum):
    """What of the paths is told."""

    links = "links"
    matrix = "matrix"
    transitions = "transitions"


@app.command(
    epilog=examples(
        "prodsense paths clicks.parquet --user user_id --time ts --event event --steps 4 --chart paths.png",
        "prodsense paths shop.events --user user_id --time ts --event event --shape transitions --gap 1h",
    )
)
def paths(
    ctx: typer.Context,
    table: TableArgument,
    *,
    user: UserOption = None,
    time: TimeOption = None,
    event: EventOption = None,
    shape: Annotated[
        Shape,
        typer.Option("--shape", metavar="links|matrix|transitions",
                     help="From each step to the next (Sankey), events by step, or what follows what."),
    ] = Shape.links,
    gap: Annotated[
        str,
        typer.Option("--gap", metavar="LENGTH", help="A session goes on while the next event comes in under this."),
    ] = "30m",
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", show_default=False,
                     help="So many steps (links 5, matrix 10 unless given)."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", show_default=False,
                     help="So many events by name, the others together (links 7 a step, matrix 15 unless given)."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="EVENT", show_default=False,
                     help="Begin at the first such event of a session."),
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Take an event that repeats at once as one.")] = False,
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
    """What users do next inside sessions, on any event table.

    Sessions that begin from --since (inside) to --until (outside) count; those that may still go on are left out and
    counted.
    """
    from prodsense.behavior.paths import paths as links
    from prodsense.behavior.paths import step_matrix, transitions

    options: dict[str, Any] = {
        "gap": gap, "merge": merge, "since": since, "until": until, "as_of": as_of, "tz": zone(tz)
    }
    if shape is Shape.transitions:
        given = [name for name, value in (("--steps", steps), ("--top", top), ("--start", start)) if value is not None]
        if given:
            raise UsageError(f"{given[0]} has no meaning for --shape transitions, which tells every transition")
    else:
        options |= {"start": start}
        options |= {name: value for name, value in (("steps", steps), ("top", top)) if value is not None}
    calls: dict[Shape, Callable[..., Any]] = {
        Shape.links: links, Shape.matrix: step_matrix, Shape.transitions: transitions
    }
    tell(
        ctx, warehouse, table, lambda events: calls[shape](events, **options), form, chart, sql,
        user=user, time=time, event=event, where=where or "",
    )
