"""Paths through sessions, on any event table or file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from prodsense.cli.behavior_options import Events, View
from prodsense.cli.common import Window, commands, examples, option, refuse
from prodsense.contracts.options import Shape

app = commands()


@app.command(
    epilog=examples(
        "prodsense paths clicks.parquet --user user_id --time ts --event event --steps 4 --chart paths.png",
        "prodsense paths shop.events --user user_id --time ts --event event --shape transitions --gap 1h",
    )
)
def paths(
    events: Events,
    *,
    shape: Annotated[
        Shape,
        typer.Option("--shape", metavar="links|matrix|transitions",
                     help="From each step to the next (Sankey), events by step, or what follows what."),
    ] = "links",
    gap: Annotated[
        str, typer.Option("--gap", metavar="LENGTH", help="A session goes on while the next event comes in under this.")
    ] = "30m",
    steps: Annotated[int | None, option("--steps", "N", "So many steps (links 5, matrix 10 unless given).")] = None,
    top: Annotated[
        int | None,
        option("--top", "N", "So many events by name, the others together (links 7 a step, matrix 15 unless given)."),
    ] = None,
    start: Annotated[str | None, option("--start", "EVENT", "Begin at the first such event of a session.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Take an event that repeats at once as one.")] = False,
    window: Window,
    view: View,
) -> None:
    """What users do next inside sessions, on any event table.

    Sessions that begin from --since (inside) to --until (outside) count; those that may still go on are left out and
    counted.
    """
    from prodsense.behavior.paths import SHAPES

    options: dict[str, Any] = {"gap": gap, "merge": merge, **vars(window), **view.seen}
    limits = {"steps": steps, "top": top, "start": start}
    if shape == "transitions":
        refuse({f"--{name}": value for name, value in limits.items()},
               "has no meaning for --shape transitions, which tells every transition")  # fmt: skip
    options |= {name: value for name, value in limits.items() if value is not None}
    view.tell(events, lambda table: SHAPES[shape](table, **options))
