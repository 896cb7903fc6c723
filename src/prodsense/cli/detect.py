"""What is off: detectors of the packs, any series, and the queue of findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    AsOfOption,
    Format,
    FormatOption,
    PackOption,
    ParamOption,
    SinceOption,
    UntilOption,
    WarehouseOption,
    commands,
    examples,
    opened,
    read,
    read_params,
    split_names,
    warehouse_url,
    write_rows,
)
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

app = commands()


@app.command(
    epilog=examples(
        "prodsense detect --pack delivery",
        "prodsense detect on_time_drop --as-of 2024-03-31 --param drop=0.2 --format json",
        "prodsense detect on_time_drop --simulate --since 2024-01-01 --until 2024-04-01",
        "prodsense detect load.csv --time timestamp --value cpu",
        "prodsense detect clicks.parquet --time timestamp --by event,platform",
    )
)
def detect(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|FILE", show_default=False,
                       help="Detectors (default: all), or one file or table with a series."),
    ] = None,
    pack: PackOption = None,
    as_of: AsOfOption = None,
    params: ParamOption = None,
    queue: Annotated[bool, typer.Option("--queue", help="Record what is found in the queue of findings.")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Back-test: run at the end of each day from --since to --until.")
    ] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", show_default=False, help="Series: when.")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="COLUMN", show_default=False, help="Series: how much.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", show_default=False,
                     help="Series: one for each value of this column; without --value, spells of its values."),
    ] = None,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
) -> None:
    """Find what is off: run the packs' detectors, or look for anomalies in any series.

    `prodsense catalog --kind detector` lists the detectors with their parameters. With --time and --value the name is
    a file or table, and each moment of the series is judged by those before it. With --time and --by alone rows are
    counted: found are stretches of days in which a value of the first column came far more, or less, often.
    """
    given = read_params(params)
    if time and by and not value:
        write_rows(_spells(ctx, names, warehouse, time, split_names(by), since, until, given), form)
        return
    if time or value:
        write_rows(_series(ctx, names, warehouse, time, value, split_names(by), since, until, given), form)
        return
    if by:
        raise UsageError("--by belongs to a series (--time, --value); a detector has its own slices")

    def run(wh: Warehouse) -> Rows:
        return wh.detect(*split_names(names), pack=pack, as_of=as_of, queue=queue, simulate=simulate, since=since,
                         until=until, **given)

    url = warehouse_url(ctx, warehouse)
    if queue:
        with opened(url) as wh:
            write_rows(run(wh), form)
    else:
        write_rows(read(url, run), form)


def _series(
    ctx: typer.Context, names: list[str] | None, warehouse: str | None, time: str | None, value: str | None,
    by: tuple[str, ...], since: str | None, until: str | None, given: dict[str, str],
) -> Rows:
    from prodsense.inference.detect_series import detect_series
    from prodsense.metrics.reading import is_file

    if not time or not value or not names or len(names) != 1:
        raise UsageError("a series needs one file or table, --time and --value")
    options: dict[str, Any] = {"time": time, "value": value, "by": by, "since": since, "until": until, **given}
    if is_file(names[0]):
        return detect_series(names[0], **options)
    return read(
        warehouse_url(ctx, warehouse), lambda wh: detect_series(wh.relation(names[0]), engine=wh.engine, **options)
    )


def _spells(
    ctx: typer.Context, names: list[str] | None, warehouse: str | None, time: str, by: tuple[str, ...],
    since: str | None, until: str | None, given: dict[str, str],
) -> Rows:
    from prodsense.inference.spells import detect_spells
    from prodsense.metrics.reading import is_file

    if not names or len(names) != 1:
        raise UsageError("spells are looked for in one file or table")
    if since or until or given:
        raise UsageError("spells take no --since, --until or --param: all of the time tells what is usual")
    if is_file(names[0]):
        return detect_spells(names[0], time=time, by=by)
    return read(
        warehouse_url(ctx, warehouse),
        lambda wh: detect_spells(wh.relation(names[0]), time=time, by=by, engine=wh.engine),
    )


@app.command(
    epilog=examples(
        "prodsense findings",
        "prodsense findings --close 3f9a2c --note 'promotion ended'",
        "prodsense findings --snooze 3f9a2c --until 2024-04-08",
        "prodsense findings --assign 3f9a2c --to ana",
    )
)
def findings(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="open|ack|closed|all", show_default=False,
                     help="Only these (default: open and acknowledged)."),
    ] = None,
    ack: Annotated[
        list[str] | None, typer.Option("--ack", metavar="ID", show_default=False, help="Somebody looks at it.")
    ] = None,
    close: Annotated[
        list[str] | None, typer.Option("--close", metavar="ID", show_default=False, help="It is dealt with.")
    ] = None,
    reopen: Annotated[
        list[str] | None, typer.Option("--reopen", metavar="ID", show_default=False, help="It is not.")
    ] = None,
    snooze: Annotated[
        list[str] | None,
        typer.Option("--snooze", metavar="ID", show_default=False, help="Out of sight until a day (--until)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", show_default=False, help="The day it is shown again.")
    ] = None,
    assign: Annotated[
        list[str] | None, typer.Option("--assign", metavar="ID", show_default=False, help="It is somebody's (--to).")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="WHO", show_default=False, help="Whose; empty for nobody's.")
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", show_default=False, help="What to remember of it.")
    ] = None,
    form: FormatOption = Format.table,
    warehouse: WarehouseOption = None,
) -> None:
    """The queue that `prodsense detect --queue` fills, one row a finding; move them on by id."""
    url = warehouse_url(ctx, warehouse)
    moves: dict[str, Any] = {
        "ack": split_names(ack), "close": split_names(close), "reopen": split_names(reopen),
        "snooze": split_names(snooze), "assign": split_names(assign),
    }
    if any(moves.values()):
        with opened(url) as wh:
            write_rows(wh.findings(note=note, until=until, to=to, **moves), form)
        return
    for option, value in (("--note", note), ("--until", until), ("--to", to)):
        if value:
            raise UsageError(f"{option} goes with an id: --ack, --close, --reopen, --snooze or --assign")
    write_rows(read(url, lambda wh: wh.findings(state)), form)
