"""What the commands over events share: their options, how events are opened, how an answer is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.cli.answers import Compare
from prodsense.cli.common import Format, check_chart, give, opened, read, there, warehouse_url
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer
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
