"""What the commands share: options and groups of them, the warehouse that is meant, how notices are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from prodsense.cli.groups import Commands, Group
from prodsense.contracts.options import read_pair
from prodsense.errors import ForbiddenError, LockedError, NotBuiltError, ProdsenseError, UsageError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

T = TypeVar("T")

DEFAULT_WAREHOUSE = "prodsense.duckdb"

#: How an answer is written to stdout.
Format = Literal["table", "json", "csv"]


def option(name: str, metavar: str, says: str, **more: Any) -> Any:
    """An option of which `--help` shows no default: it has none, or its line says it."""
    return typer.Option(name, metavar=metavar, show_default=False, help=says, **more)


WarehouseOption = Annotated[
    str | None,
    typer.Option("-w", "--warehouse", metavar="PATH|URL", show_default=False,
                 help="The warehouse: a path, or engine://location."),
]
FormatOption = Annotated[Format, option("--format", "table|json|csv", "How to write the answer.")]
ParamOption = Annotated[list[str] | None, option("--param", "NAME=VALUE", "A parameter; repeat for several.")]
PackOption = Annotated[str | None, option("--pack", "PACK", "Only this pack.")]
SinceOption = Annotated[str | None, option("--since", "DAY", "First day, inside (2024-01-31).")]
UntilOption = Annotated[str | None, option("--until", "DAY", "The day after the last one, outside.")]
WhereOption = Annotated[str | None, option("--where", "SQL", "Only rows for which this condition holds.")]
AsOfOption = Annotated[
    str | None, option("--as-of", "MOMENT", "The moment to look from (default: the newest in the data).")
]
ZoneOption = Annotated[
    str | None, option("--tz", "ZONE", "Time zone of days and periods (default: the project's, then UTC).")
]
ChartOption = Annotated[
    Path | None, option("--chart", "FILE", "Draw the answer too: .png, .svg, .pdf, .html or .json (Vega-Lite).")
]
SqlOption = Annotated[bool, typer.Option("--sql", help="Print the statements instead of the answer.")]
ConfidenceOption = Annotated[float, typer.Option("--confidence", metavar="SHARE", help="Of the intervals.")]
FileArgument = Annotated[
    str, typer.Argument(metavar="TABLE", help="A table, view or model of the warehouse, or a file.")
]


#: The warehouse named before the command.
_NAMED: ContextVar[str | None] = ContextVar("named", default=None)
#: The role that the command runs as, and what is known of who asks (``NAME=VALUE``); None for the owner of the file.
_ROLE: ContextVar[str | None] = ContextVar("role", default=None)
_ACTOR: ContextVar[tuple[str, ...]] = ContextVar("actor", default=())
_SHOWS_SQL: ContextVar[bool] = ContextVar("shows_sql", default=True)


def begin(warehouse: str | None) -> None:
    """Before a command's options are read: the warehouse named so far, and nobody's role is in force."""
    _NAMED.set(warehouse)
    _ROLE.set(None)
    _ACTOR.set(())
    _SHOWS_SQL.set(True)


def add_role_options(command: Any) -> None:
    """Give a command that reads (and those of its group) ``--as`` and ``--actor``; `opened` heeds them."""
    for inner in getattr(command, "commands", {}).values():
        add_role_options(inner)
    if not hasattr(command, "commands") and not any(param.name == "as_role" for param in command.params):
        command.params += _role_options()


def _role_options() -> list[Any]:
    group = typer.Typer(add_completion=False)

    @group.command()
    def reading(
        as_role: Annotated[
            str | None,
            option("--as", "ROLE", "Answer as this role may see it:"
                   " executive, operations, partner, analyst, ...", expose_value=False, callback=_set_role),
        ] = None,
        actor: Annotated[
            list[str] | None,
            option("--actor", "NAME=VALUE", "What is known of who asks, with"
                   " --as (restaurant_id=7); repeat for several.", expose_value=False, callback=_set_actor),
        ] = None,
    ) -> None:
        """Only its options are used."""

    return [param for param in typer.main.get_command(group).params if param.name in ("as_role", "actor")]


def _set_role(value: str | None) -> None:
    _ROLE.set(value)


def _set_actor(value: list[str] | None) -> None:
    _ACTOR.set(tuple(value or ()))


def commands(**settings: Any) -> Commands:
    """An empty list for a module's commands, or for those of a verb with several."""
    return Commands(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}, **settings)


def examples(*lines: str) -> str:
    """The epilog of a command: what to type."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\b\n" + "\n".join([title, *(f"  {line}" for line in lines)])


def warehouse_url(given: str | None) -> str:
    """The warehouse that is meant: the command's -w, that before the command, environment, project, default."""
    named = given or _NAMED.get() or os.environ.get("PRODSENSE_WAREHOUSE")
    if named:
        return named
    project = find_project()
    if project and project.warehouse:
        return project.warehouse
    return DEFAULT_WAREHOUSE


def warehouse_file(url: str) -> Path | None:
    """The file behind a warehouse's name; None when it is not one file of this machine."""
    scheme, separator, location = url.partition("://")
    path = location if separator and scheme == "duckdb" else url
    return None if (separator and scheme != "duckdb") or path == ":memory:" else Path(path).expanduser()


def notify(line: str) -> None:
    """Tell the user something that is no result."""
    print(f"note: {line}", file=sys.stderr)


@contextmanager
def opened(url: str, *, read_only: bool = False) -> Iterator[Warehouse]:
    """The warehouse at `url`, closed at the end; made when absent, but for its folder."""
    from prodsense.engines import open_engine
    from prodsense.warehouse import Warehouse

    # An engine has no read-only option to be asked for unless it is one file that several may read.
    options: dict[str, Any] = {"read_only": True} if read_only else {}
    try:
        engine = open_engine(url, **options)
    except LockedError as error:
        raise LockedError(f"{error.message}{_served(url)}") from None
    with Warehouse(engine, notify=notify) as warehouse:
        yield _in_role(warehouse)


def _served(url: str) -> str:
    """What to do where the owner of a file is a server."""
    path = warehouse_file(url)
    if path is None or not path.with_name(f"{path.stem}.web.sqlite").exists():
        return ""
    from prodsense.web.store import address_of

    address = address_of(str(path))
    return f"; it is served at {address}: ask, load and build there, or by its API (docs/serve.md)" if address else ""


def _in_role(warehouse: Warehouse) -> Warehouse:
    """The warehouse as the role of ``--as`` sees it, by the project's settings of roles."""
    role, given = _ROLE.get(), _ACTOR.get()
    if role is None:
        if given:
            raise UsageError("--actor says who asks in a role: add --as ROLE")
        return warehouse
    project = find_project()
    warehouse.role_settings = project.roles if project else {}
    attributes: dict[str, Any] = {}
    for text in given:
        name, value = read_pair(text, "--actor")
        attributes.setdefault(name, []).append(value)
    seen = warehouse.as_role(role, **attributes)
    _SHOWS_SQL.set(seen.shows_sql())
    return seen


def there(url: str) -> Path | None:
    """The file behind a warehouse's name, if it is one; ProdsenseError when it is not there."""
    path = warehouse_file(url)
    if path is not None and not path.exists():
        raise ProdsenseError(
            f"no warehouse at {path}: make one with `prodsense demo` or `prodsense ingest`, or name another with -w"
        )
    return path


def read(url: str, action: Callable[[Warehouse], T]) -> T:
    """Run `action` on a warehouse that must be there.

    The file is opened read-only, so that several shells can read at once; only when a model is still to
    be built it is opened for writing and `action` runs again.
    """
    if there(url) is None:
        with opened(url) as warehouse:
            return action(warehouse)
    try:
        with opened(url, read_only=True) as warehouse:
            return action(warehouse)
    except NotBuiltError as missing:
        try:
            with opened(url) as warehouse:
                return action(warehouse)
        except LockedError as locked:
            raise LockedError(f"{missing.message}; that cannot be done now: {locked.message}") from None


def refuse(options: Mapping[str, Any], why: str) -> None:
    """UsageError for the first of these options that is given."""
    for name, value in options.items():
        if value is not None and value is not False and value not in ("", []):
            raise UsageError(f"{name} {why}")


def check_file(name: str, path: Path | None, endings: Sequence[str]) -> None:
    """Whether the file of an option can be written: asked before the work, not after it."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        listed = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise UsageError(f"{name} {path}: the file should end in {listed}")
    if not path.parent.is_dir():
        raise UsageError(f"{name} {path}: there is no folder {path.parent}")


def zone(given: str | None) -> str:
    """The zone of days: as given, else the project's, else UTC."""
    project = find_project()
    return given or (project.timezone if project else "") or "UTC"


# -- groups ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Window(Group):
    """From when until when."""

    since: SinceOption = None
    until: UntilOption = None


@dataclass(frozen=True, kw_only=True)
class Moment(Group):
    """From where one looks, and whose days are counted."""

    as_of: AsOfOption = None
    tz: ZoneOption = None

    @property
    def seen(self) -> dict[str, Any]:
        """What a method takes of it."""
        return {"as_of": self.as_of, "tz": zone(self.tz)}


@dataclass(frozen=True, kw_only=True)
class Place(Group):
    """Where the data are."""

    warehouse: WarehouseOption = None

    @property
    def named(self) -> str | None:
        """The warehouse as the user named it, with the command or before it."""
        return self.warehouse or _NAMED.get()

    @property
    def url(self) -> str:
        """The warehouse that is meant."""
        return warehouse_url(self.warehouse)

    def opened(self, *, new: bool = True) -> AbstractContextManager[Warehouse]:
        """The warehouse, for writing; ProdsenseError when it is not there and may not be `new`."""
        if not new:
            there(self.url)
        return opened(self.url)

    def read(self, action: Callable[[Warehouse], T]) -> T:
        """Run `action` on the warehouse, which must be there."""
        return read(self.url, action)

    def on_table(self, method: Callable[..., T], table: str, /, **options: Any) -> T:
        """Run a method that takes a file, or a relation of an `engine`, on the table that is meant."""
        from prodsense.metrics.reading import is_file

        if is_file(table):
            return method(table, **options)
        return self.read(lambda wh: method(wh.relation(table), engine=wh.engine, **options))

    def on_sample(self, method: Callable[..., T], table: str, where: str | None, /, **options: Any) -> T:
        """Run a method that takes a `Sample` on the rows of a table or file for which `where` holds."""
        from prodsense.inference.causal_data import Sample
        from prodsense.metrics.reading import is_file

        if is_file(table):
            with Sample.read(table, where or "") as sample:
                return method(sample, **options)
        return self.read(lambda wh: method(Sample.of(wh.engine, wh.relation(table), where or ""), **options))


@dataclass(frozen=True, kw_only=True)
class Printed(Group):
    """How rows are printed."""

    form: FormatOption = "table"

    def write(self, rows: Any) -> None:
        """Write a result (`Result` or `Rows`) to stdout."""
        match self.form:
            case "json":
                print(rows.to_json())
            case "csv":
                sys.stdout.write(rows.to_csv())
            case _:
                rows.print()


@dataclass(frozen=True, kw_only=True)
class Written(Printed, Place):
    """How an answer is told: as rows."""

    def give(self, answer: Any) -> None:
        """Tell an answer in all the ways asked for."""
        self.write(answer)

    def answer(self, action: Callable[[Warehouse], Any]) -> None:
        """Run `action` on the warehouse, which must be there, and tell its answer."""
        self.give(self.read(action))


@dataclass(frozen=True, kw_only=True)
class Stated(Written):
    """How an answer is told: as rows, or as the statements that make them."""

    sql: SqlOption = False
    form: FormatOption = "table"

    def write(self, rows: Any) -> None:
        if self.sql and not _SHOWS_SQL.get():
            raise ForbiddenError(f"role {_ROLE.get()} may not see SQL; leave out --sql")
        if self.sql and self.form == "table":
            print(";\n\n".join(rows.sql) + ";")
        else:
            super().write(rows)


@dataclass(frozen=True, kw_only=True)
class Drawn(Written):
    """How an answer is told: as rows, and as a picture beside them."""

    form: FormatOption = "table"
    chart: ChartOption = None

    def __post_init__(self) -> None:
        if self.chart:
            from prodsense.charts.export import FORMATS

            check_file("--chart", self.chart, FORMATS)

    def give(self, answer: Any) -> None:
        super().give(answer)
        self.draw(answer)

    def draw(self, answer: Any, **kind: Any) -> None:
        """Write the picture, if one is asked for."""
        if self.chart:
            from prodsense.charts.export import save

            save(answer.chart(**kind), self.chart)
            notify(f"chart written to {self.chart}")


@dataclass(frozen=True, kw_only=True)
class Output(Stated, Drawn):
    """How an answer is told: as rows or their statements, and as a picture beside them."""
