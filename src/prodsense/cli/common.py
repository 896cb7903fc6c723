"""What the commands share: options, which warehouse is meant, how it is opened, how notices are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from prodsense.errors import ForbiddenError, LockedError, NotBuiltError, ProdsenseError, UsageError
from prodsense.project import find_project

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

T = TypeVar("T")

DEFAULT_WAREHOUSE = "prodsense.duckdb"


class Format(StrEnum):
    """How an answer is written to stdout."""

    table = "table"
    json = "json"
    csv = "csv"


WarehouseOption = Annotated[
    str | None,
    typer.Option("-w", "--warehouse", metavar="PATH|URL", show_default=False,
                 help="The warehouse: a path, or engine://location."),
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="table|json|csv", help="How to write the answer.", show_default=False)
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", show_default=False, help="A parameter; repeat for several."),
]
PackOption = Annotated[
    str | None, typer.Option("--pack", metavar="PACK", show_default=False, help="Only this pack.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="DAY", show_default=False, help="First day, inside (2024-01-31).")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="DAY", show_default=False, help="The day after the last one, outside.")
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="SQL", show_default=False, help="Only rows for which this condition holds."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="MOMENT", show_default=False,
                 help="The moment to look from (default: the newest in the data)."),
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


#: The role that the command runs as, and what is known of who asks (``NAME=VALUE``); None for the owner of the file.
_ROLE: ContextVar[str | None] = ContextVar("role", default=None)
_ACTOR: ContextVar[tuple[str, ...]] = ContextVar("actor", default=())
_SHOWS_SQL: ContextVar[bool] = ContextVar("shows_sql", default=True)


def forget_role() -> None:
    """Nobody's role is in force: called before a command's options are read."""
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
            typer.Option("--as", metavar="ROLE", show_default=False, expose_value=False, callback=_set_role,
                         help="Answer as this role may see it: executive, operations, partner, analyst, ..."),
        ] = None,
        actor: Annotated[
            list[str] | None,
            typer.Option("--actor", metavar="NAME=VALUE", show_default=False, expose_value=False, callback=_set_actor,
                         help="What is known of who asks, with --as (restaurant_id=7); repeat for several."),
        ] = None,
    ) -> None:
        """Only its options are used."""

    return [param for param in typer.main.get_command(group).params if param.name in ("as_role", "actor")]


def _set_role(value: str | None) -> None:
    _ROLE.set(value)


def _set_actor(value: list[str] | None) -> None:
    _ACTOR.set(tuple(value or ()))


def commands() -> typer.Typer:
    """An empty group for a module's commands."""
    return typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


def examples(*lines: str) -> str:
    """The epilog of a command: what to type."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\b\n" + "\n".join([title, *(f"  {line}" for line in lines)])


def warehouse_url(ctx: typer.Context, given: str | None) -> str:
    """The warehouse that is meant: the command's -w, that before the command, environment, project, default."""
    named = given or ctx.find_root().obj or os.environ.get("PRODSENSE_WAREHOUSE")
    if named:
        return str(named)
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
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--actor {text}: write it as NAME=VALUE")
        attributes.setdefault(name.strip(), []).append(value)
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


def split_names(values: Sequence[str] | None) -> tuple[str, ...]:
    """``--by a --by b`` and ``--by a,b`` alike."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def read_params(given: Sequence[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping; UsageError for any other shape or a name given twice."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--param {text}: write it as NAME=VALUE")
        if name.strip() in found:
            raise UsageError(f"--param {name.strip()} is given twice")
        found[name.strip()] = value
    return found


def write_rows(rows: Any, form: Format) -> None:
    """Write a result (`Result` or `Rows`) to stdout."""
    match form:
        case Format.json:
            print(rows.to_json())
        case Format.csv:
            sys.stdout.write(rows.to_csv())
        case Format.table:
            rows.print()


def give(rows: Any, form: Format, sql: bool, chart: Path | None) -> None:
    """Write an answer (or its statements) to stdout and its picture to a file."""
    if sql and not _SHOWS_SQL.get():
        raise ForbiddenError(f"role {_ROLE.get()} may not see SQL; leave out --sql")
    if sql and form is Format.table:
        print(";\n\n".join(rows.sql) + ";")
    else:
        write_rows(rows, form)
    if chart:
        draw(rows, chart)


def check_chart(path: Path | None) -> None:
    """Whether a picture can be written there: asked before the work, not after it."""
    if path is None:
        return
    from prodsense.charts.export import FORMATS

    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--chart {path}: the file should end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if not path.parent.is_dir():
        raise UsageError(f"--chart {path}: there is no folder {path.parent}")


def draw(result: Any, path: Path) -> None:
    """Write the picture of a result; its ending says the kind of file."""
    from prodsense.charts.export import save

    save(result.chart(), path)
    notify(f"chart written to {path}")


def zone(given: str | None) -> str:
    """The zone of days: as given, else the project's, else UTC."""
    project = find_project()
    return given or (project.timezone if project else "") or "UTC"
