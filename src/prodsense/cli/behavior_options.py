"""What the commands over events share: their options, how events are opened, how an answer is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.cli.common import Moment, Output, Place, WhereOption, option
from prodsense.cli.groups import Group
from prodsense.contracts.vocabulary import Comparison
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.warehouse import Warehouse

T = TypeVar("T")

TableArgument = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="A table, view or model of the warehouse, a CSV, Parquet or NDJSON file, or"
                   " a pack that declares its event table: then no columns need be named."),
]
UserOption = Annotated[str | None, option("--user", "COLUMN", "The column that names the user.")]
TimeOption = Annotated[str | None, option("--time", "COLUMN", "The column with the moment of the event.")]
EventOption = Annotated[str | None, option("--event", "COLUMN", "The column with the name of the event.")]
ByOption = Annotated[
    list[str] | None, option("--by", "COLUMN", "Slice by the value at entry; repeat, or part with commas.")
]
CompareOption = Annotated[
    Comparison | None,
    option("--compare", "previous|year", "Beside the period (or window of entry) before, or that of a year before."),
]


@dataclass(frozen=True, kw_only=True)
class Events(Group):
    """Which events, and what their columns mean."""

    table: TableArgument
    user: UserOption = None
    time: TimeOption = None
    event: EventOption = None

    def read(self, place: Place, action: Callable[[EventTable], T], **columns: Any) -> T:
        """Run `action` on the events of a file, or of a relation of the warehouse that is meant."""
        from prodsense.behavior.events import EventTable

        columns |= self._columns()
        if self._is_file():
            with EventTable.read(self.table, **columns) as events:
                return action(events)

        def ask(wh: Warehouse) -> T:
            return action(wh.events(self.table, **columns))

        return place.read(ask)

    def keep(self, place: Place, action: Callable[[EventTable], T], **columns: Any) -> T:
        """Like `read`, for an `action` that writes to the warehouse, which holds a file's events for that long."""
        from prodsense.behavior.events import EventTable

        columns |= self._columns()
        if self._is_file():
            with place.opened() as wh, EventTable.read(self.table, engine=wh.engine, **columns) as events:
                return action(events)
        with place.opened(new=False) as wh:
            return action(wh.events(self.table, **columns))

    def _columns(self) -> dict[str, Any]:
        return {"user": self.user, "time": self.time, "event": self.event}

    def _is_file(self) -> bool:
        """Whether these are events of a file; UsageError for one whose columns no pack would name."""
        from prodsense.behavior.events import is_file

        if is_file(self.table) and not (self.user and self.time):
            raise UsageError(f"{self.table}: name its columns for user and time (--user, --time)")
        return is_file(self.table)


@dataclass(frozen=True, kw_only=True)
class View(Moment, Output):
    """Which of the events count, from where one looks, how the answer is told."""

    where: WhereOption = None

    def tell(self, events: Events, method: Callable[[EventTable], Any], **columns: Any) -> None:
        """Run `method` on the events; write its answer (or its statements) to stdout and its picture to a file."""
        self.give(events.read(self, method, where=self.where or "", **columns))
