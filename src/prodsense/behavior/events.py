"""How every behaviour method sees events: a table whose columns the user names.

`EventTable` checks the names and types once and offers the rows under fixed names, so that the methods' SQL
is the same text for every table:

    user_id     the user as it is stored, never null
    event_time  TIMESTAMP, UTC, never null
    event_name  text; only where an event column is named
    device_id   only where a device column is named, may be null
    dim_1, …    the dimensions in the order given, may be null

Rows without a user or a time belong to nobody and no day: they are left out, and `left_out` counts them.
Every other row counts; removing duplicates of one event is the work of ingest, which knows their key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.metrics import periods
from prodsense.metrics.reading import (
    Holder,
    condition_sql,
    find_column,
    held,
    is_file,
    read_data,
    read_file,
    relation_columns,
)

__all__ = ["EventTable", "is_file", "read_file"]

if TYPE_CHECKING:
    from prodsense.behavior.log import EventLog
    from prodsense.engines.base import Engine

#: Ways to answer a sequence question (`EventTable.form`).
FORMS = ("auto", "sql", "kernel")


@dataclass(frozen=True)
class EventTable(Holder):
    """Events of an engine's relation, or of data in memory, under fixed names.

    Make one with `EventTable.of` (a relation of an engine) or `EventTable.read` (a frame, Arrow data or a file).
    `where` is a condition over the relation's own columns; only rows for which it is true count.
    """

    engine: Engine
    relation: str
    user: str
    time: str
    event: str | None = None
    dimensions: tuple[str, ...] = ()
    device: str | None = None
    where: str = ""
    #: Column of the relation → its Arrow type.
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: What whoever chose the rows wants readers to know; comes first in `notes`.
    remarks: tuple[str, ...] = ()
    #: Keeps the engine and registered data of `read` alive as long as the table is used.
    _owned: ExitStack | None = field(default=None, repr=False, compare=False)
    #: The sorted log of the same events (`EventLog.attach`), if there is one.
    log: EventLog | None = field(default=None, repr=False, compare=False)
    #: How sequence questions are answered: ``sql``, from a log (``kernel``), or whichever costs less.
    form: str = field(default="auto", repr=False, compare=False)

    @classmethod
    def of(
        cls, engine: Engine, relation: str, user: str, time: str, event: str | None = None,
        dimensions: str | Sequence[str] = (), *, device: str | None = None, where: str = "",
    ) -> EventTable:
        """Events in `relation` (``schema.name``) of `engine`.

        Raises UsageError when the relation or a named column is not there, or the time is no date or timestamp.
        """
        names = (dimensions,) if isinstance(dimensions, str) else tuple(dimensions)
        table = cls(engine, relation, user, time, event, names, device, where)
        return table._checked()

    @classmethod
    def read(
        cls, data: Any, user: str, time: str, event: str | None = None, dimensions: str | Sequence[str] = (), *,
        device: str | None = None, where: str = "", engine: Engine | None = None,
    ) -> EventTable:
        """Events in a file (CSV, TSV, Parquet, NDJSON), an Arrow table, or a pandas or Polars frame.

        They are held in an engine in memory unless `engine` is given. `close` releases it.
        """
        names = (dimensions,) if isinstance(dimensions, str) else tuple(dimensions)
        with held(read_data(data), engine) as (engine, relation, owned):
            return cls(engine, relation, user, time, event, names, device, where, _owned=owned)._checked()

    # -- checks --------------------------------------------------------------------------------------

    def _checked(self) -> EventTable:
        """This table with its schema known and every name resolved."""
        from dataclasses import replace

        schema = relation_columns(self.engine, self.relation)
        table = replace(
            self, schema=schema,
            user=self._column(schema, self.user, "user"),
            time=self._column(schema, self.time, "time"),
            event=self._column(schema, self.event, "event") if self.event else None,
            device=self._column(schema, self.device, "device") if self.device else None,
            dimensions=tuple(self._column(schema, name, "dimension") for name in self.dimensions),
        )  # fmt: skip
        table._check_time(table.time)
        table._condition()  # refuses a bad condition now, not in the middle of a method
        return table

    def _column(self, schema: Mapping[str, Any], name: str, role: str) -> str:
        """The column called `name` as the relation spells it."""
        return find_column(schema, name, role, self.label)

    def _check_time(self, name: str) -> None:
        import pyarrow as pa

        kind = self.schema[name]
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            self._check_text_time(name)
        elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise UsageError(
                f"{self.label}: {name} holds {kind}, not times;"
                " name a TIMESTAMP or DATE column as time, or cast it first"
            )

    def _check_text_time(self, name: str) -> None:
        """Text is taken for times when all of it reads as times without an offset, which a cast would drop."""
        time = comma([name])
        odd = self.engine.query(
            f"SELECT {time} AS value FROM {quoted(self.relation)} WHERE {time} IS NOT NULL"
            f" AND (TRY_CAST({time} AS TIMESTAMP) IS NULL OR {time} LIKE '%Z' OR {time} LIKE '%:%+%'"
            f" OR {time} LIKE '%:%-%') LIMIT 1"
        )["value"].to_pylist()
        if odd:
            raise UsageError(
                f"{self.label}: {name} is text and {odd[0]!r} is no time in UTC such as 2024-01-31 12:00:00;"
                " cast it to TIMESTAMP first"
            )

    def time_column(self, name: str) -> str:
        """A column of the relation by name, like `column`; UsageError also when it holds no times."""
        found = self.column(name)
        self._check_time(found)
        return found

    def column(self, name: str) -> str:
        """A column of the relation by name, as it is spelled there; UsageError when there is none."""
        return self._column(self.schema, name, "column")

    @property
    def label(self) -> str:
        """How messages call the table."""
        return "the data" if self._owned is not None else self.relation

    def by(self, *names: str) -> EventTable:
        """The same events with these dimensions."""
        from dataclasses import replace

        return replace(self, dimensions=tuple(self.column(name) for name in names))

    def answered_by(self, form: str) -> EventTable:
        """The same events, their sequence questions answered by ``sql``, ``kernel`` or ``auto``."""
        from dataclasses import replace

        if form not in FORMS:
            raise UsageError(f"no form of answering named {form!r}; choose one of {', '.join(FORMS)}")
        return replace(self, form=form)

    @property
    def owned(self) -> bool:
        """Whether the events are data in memory, which nobody changes."""
        return self._owned is not None

    @property
    def dimension_columns(self) -> dict[str, str]:
        """Dimension → its name in `select`."""
        return {name: f"dim_{i}" for i, name in enumerate(self.dimensions, 1)}

    # -- SQL -----------------------------------------------------------------------------------------

    def _condition(self) -> str:
        return condition_sql(self.where, self.schema, self.label)

    def moment(self, column: str = "") -> str:
        """SQL of a row's time (or another column of times) as a TIMESTAMP in UTC, over the relation's columns."""
        return f"CAST({comma([column or self.time])} AS TIMESTAMP)"

    def select(self, extra: Mapping[str, str] | None = None, *, condition: str = "") -> str:
        """A SELECT (source dialect) of the events under the fixed names of this module.

        `extra` adds columns: name → expression over the relation's columns. `condition` is a further one over
        the relation's columns; it may hold parameters.
        """
        items = [f"{comma([self.user])} AS user_id", f"{self.moment()} AS event_time"]
        if self.event:
            items.append(f"text_of({comma([self.event])}) AS event_name")
        if self.device:
            items.append(f"{comma([self.device])} AS device_id")
        items += [f"{comma([name])} AS {alias}" for name, alias in self.dimension_columns.items()]
        items += [f"{expression} AS {name}" for name, expression in (extra or {}).items()]
        kept = [f"{comma([self.user])} IS NOT NULL", f"{comma([self.time])} IS NOT NULL"]
        kept += [f"({text})" for text in (self._condition(), condition) if text]
        return f"SELECT {', '.join(items)} FROM {quoted(self.relation)} WHERE {' AND '.join(kept)}"

    def day(self, tz: str = "UTC", moment: str = "event_time") -> str:
        """SQL of the calendar day of `moment` in zone `tz`; UsageError for an unknown zone."""
        return day_of(moment, tz)

    # -- facts ---------------------------------------------------------------------------------------

    @cached_property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first and the last moment of all events; None when there are none."""
        found = self.engine.query(
            f"WITH events AS ({self.select()}) SELECT MIN(event_time) AS oldest, MAX(event_time) AS newest FROM events"
        ).to_pylist()[0]
        if found["oldest"] is None:
            return None
        return found["oldest"], found["newest"]

    def as_of(self, given: object = None, tz: str = "UTC") -> datetime:
        """The moment to look from, in UTC: `given` (a day means its end in `tz`), else that of the newest event.

        Raises UsageError when nothing is given and there are no events.
        """
        if given is not None:
            return periods.read_moment(given, tz)
        if self.span is None:
            raise UsageError(f"{self.label} holds no events with a user and a time; nothing to answer from")
        return self.span[1]

    @cached_property
    def count(self) -> int:
        """Events with a user and a time."""
        found = self.engine.query(f"WITH events AS ({self.select()}) SELECT COUNT(*) AS n FROM events")
        return int(found["n"][0].as_py())

    @cached_property
    def left_out(self) -> int:
        """Rows without a user or a time, which no method counts."""
        text = self._condition()
        also = f" AND ({text})" if text else ""
        found = self.engine.query(
            f"SELECT COUNT(*) AS n FROM {quoted(self.relation)}"
            f" WHERE ({comma([self.user])} IS NULL OR {comma([self.time])} IS NULL){also}"
        )
        return int(found["n"][0].as_py())

    def notes(self) -> tuple[str, ...]:
        """What a reader of any answer should know of these events."""
        if not self.left_out:
            return self.remarks
        rows = "row" if self.left_out == 1 else "rows"
        return (*self.remarks, f"{self.left_out} {rows} without {self.user} or {self.time} left out",)


def day_of(moment: str, tz: str = "UTC") -> str:
    """SQL of the calendar day of `moment` (SQL of a time in UTC) in zone `tz`; UsageError for an unknown zone."""
    if tz == "UTC":
        return f"date_of({moment})"
    periods.zone(tz)
    return f"date_of(local_time({moment}, '{tz}'))"


#: What a method takes: events, or what gives them when called, such as `Warehouse.events`.
Events: TypeAlias = EventTable | Callable[[], EventTable]


def events_of(given: Events) -> EventTable:
    """The events that are meant: a table as it is, or that of a warehouse's pack."""
    return given if isinstance(given, EventTable) else given()
