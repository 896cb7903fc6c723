"""What the commands over events share: their options, how events are opened, how an answer is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.cli.answers import Compare, check_chart, draw
from prodsense.cli.common import Format, opened, read, there, warehouse_url, write_rows
from prodsense.errors import UsageError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

T = TypeVar("T")

TableArgument = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="A table, view or model of the warehouse, a CSV, Parquet or NDJSON file, or a"
                                         " pack that declares its event table: then no columns need be named."),
]
UserOption = Annotated[
    str | None,
    typer.Option("--user", metavar="COLUMN", show_default=False, help="The column that names the user."),
]
TimeOption = Annotated[
    str | None,
    typer.Option("--time", metavar="COLUMN", show_default=False, help="The column with the moment of the event."),
]
EventOption = Annotated[
    str | None,
    typer.Option("--event", metavar="COLUMN", show_default=False, help="The column with the name of the event."),
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="SQL", show_default=False, help="Only rows for which this condition holds."),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", show_default=False,
                 help="Slice by the value at entry; repeat, or part with commas."),
]
InOption = Annotated[
    list[str] | None,
    typer.Option("--in", metavar="COHORT", show_default=False,
                 help="Set those in a cohort against the others: 'NAME: event=pay, at_least=3, on_days=2,"
                      " within_days=7, where=SQL'; repeat for several."),
]
CompareOption = Annotated[
    Compare | None,
    typer.Option("--compare", metavar="previous|year", show_default=False,
                 help="Beside the period (or window of entry) before, or that of a year before."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="MOMENT", show_default=False,
                 help="The moment to look from (default: the newest event)."),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--tz", metavar="ZONE", show_default=False,
                 help="Time zone of days and periods (default: the project's, then UTC)."),
]
ChartOption = Annotated[
    Path | None,
    typer.Option("--chart", metavar="FILE", show_default=False,
                 help="Draw the answer too: .png, .svg, .pdf, .html or .json (Vega-Lite)."),
]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the statements instead of the answer.")]


def zone(given: str | None) -> str:
    """The zone of days: as given, else the project's, else UTC."""
    project = find_project()
    return given or (project.timezone if project else "") or "UTC"


def on_events(
    ctx: typer.Context, warehouse: str | None, table: str, action: Callable[[EventTable], T], **columns: Any
) -> T:
    """Run `action` on the events of a file, or of a relation of the warehouse that is meant."""
    from prodsense.behavior.events import EventTable, is_file

    if is_file(table):
        _check_named(table, columns)
        with EventTable.read(table, **columns) as events:
            return action(events)

    def ask(wh: Warehouse) -> T:
        return action(wh.events(table, **columns))

    return read(warehouse_url(ctx, warehouse), ask)


def keeping(
    ctx: typer.Context, warehouse: str | None, table: str, action: Callable[[EventTable], T], **columns: Any
) -> T:
    """Like `on_events`, for an `action` that writes to the warehouse, which holds a file's events for that long."""
    from prodsense.behavior.events import EventTable, is_file

    url = warehouse_url(ctx, warehouse)
    if is_file(table):
        _check_named(table, columns)
        with opened(url) as wh, EventTable.read(table, engine=wh.engine, **columns) as events:
            return action(events)
    there(url)
    with opened(url) as wh:
        return action(wh.events(table, **columns))


def _check_named(table: str, columns: Mapping[str, Any]) -> None:
    """A file has no pack that would say which columns are meant."""
    for option in ("user", "time"):
        if not columns.get(option):
            raise UsageError(f"{table}: name its columns for user and time (--user, --time)")


def tell(
    ctx: typer.Context, warehouse: str | None, table: str, method: Callable[[EventTable], Answer], form: Format,
    chart: Path | None, sql: bool = False, **columns: Any,
) -> None:
    """Run `method` on events; write its answer (or its statements) to stdout and its picture to a file."""
    if chart:
        check_chart(chart)
    give(on_events(ctx, warehouse, table, method, **columns), form, sql, chart)


def give(answer: Rows, form: Format, sql: bool, chart: Path | None) -> None:
    """Write an answer (or its statements) to stdout and its picture to a file."""
    write(answer, form, sql)
    if chart:
        draw(answer, chart)


def write(rows: Rows, form: Format, sql: bool = False) -> None:
    """Write rows, or the statements that gave them, to stdout."""
    if sql and form is Format.table:
        print(";\n\n".join(rows.sql) + ";")
    else:
        write_rows(rows, form)
