"""What is off: detectors of the packs, any series, and the queue of findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import (
    AsOfOption,
    PackOption,
    ParamOption,
    Place,
    Window,
    Written,
    commands,
    examples,
    option,
    refuse,
)
from prodsense.contracts.options import read_params, split_names
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
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME|FILE", show_default=False,
                       help="Detectors (default: all), or one file or table with a series."),
    ] = None,
    *,
    pack: PackOption = None,
    as_of: AsOfOption = None,
    params: ParamOption = None,
    queue: Annotated[bool, typer.Option("--queue", help="Record what is found in the queue of findings.")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Back-test: run at the end of each day from --since to --until.")
    ] = False,
    window: Window,
    time: Annotated[str | None, option("--time", "COLUMN", "Series: when.")] = None,
    value: Annotated[str | None, option("--value", "COLUMN", "Series: how much.")] = None,
    by: Annotated[
        list[str] | None,
        option("--by", "COLUMN", "Series: one for each value of this column; without --value, spells of its values."),
    ] = None,
    output: Written,
) -> None:
    """Find what is off: run the packs' detectors, or look for anomalies in any series.

    `prodsense catalog --kind detector` lists the detectors with their parameters. With --time and --value the name is
    a file or table, and each moment of the series is judged by those before it. With --time and --by alone rows are
    counted: found are stretches of days in which a value of the first column came far more, or less, often.
    """
    given = read_params(params)
    if time or value:
        output.give(_in_series(output, names, time, value, split_names(by), window, given))
        return
    if by:
        raise UsageError("--by belongs to a series (--time, --value); a detector has its own slices")

    def run(wh: Warehouse) -> Rows:
        return wh.detect(*split_names(names), pack=pack, as_of=as_of, queue=queue, simulate=simulate, **vars(window),
                         **given)  # fmt: skip

    if queue:
        with output.opened() as wh:
            output.give(run(wh))
    else:
        output.answer(run)


def _in_series(
    place: Place, names: list[str] | None, time: str | None, value: str | None, by: tuple[str, ...], window: Window,
    given: dict[str, str],
) -> Rows:
    """What is off in a series of values; without a value, spells of what rows hold."""
    if time and by and not value:
        from prodsense.inference.spells import detect_spells

        if not names or len(names) != 1:
            raise UsageError("spells are looked for in one file or table")
        if window.since or window.until or given:
            raise UsageError("spells take no --since, --until or --param: all of the time tells what is usual")
        return place.on_table(detect_spells, names[0], time=time, by=by)
    from prodsense.inference.detect_series import detect_series

    if not time or not value or not names or len(names) != 1:
        raise UsageError("a series needs one file or table, --time and --value")
    return place.on_table(detect_series, names[0], time=time, value=value, by=by, **vars(window), **given)


@app.command(
    epilog=examples(
        "prodsense findings",
        "prodsense findings --close 3f9a2c --note 'promotion ended'",
        "prodsense findings --snooze 3f9a2c --until 2024-04-08",
        "prodsense findings --assign 3f9a2c --to ana",
    )
)
def findings(
    *,
    state: Annotated[
        str | None, option("--state", "open|ack|closed|all", "Only these (default: open and acknowledged).")
    ] = None,
    ack: Annotated[list[str] | None, option("--ack", "ID", "Somebody looks at it.")] = None,
    close: Annotated[list[str] | None, option("--close", "ID", "It is dealt with.")] = None,
    reopen: Annotated[list[str] | None, option("--reopen", "ID", "It is not.")] = None,
    snooze: Annotated[list[str] | None, option("--snooze", "ID", "Out of sight until a day (--until).")] = None,
    until: Annotated[str | None, option("--until", "DAY", "The day it is shown again.")] = None,
    assign: Annotated[list[str] | None, option("--assign", "ID", "It is somebody's (--to).")] = None,
    to: Annotated[str | None, option("--to", "WHO", "Whose; empty for nobody's.")] = None,
    note: Annotated[str | None, option("--note", "TEXT", "What to remember of it.")] = None,
    output: Written,
) -> None:
    """The queue that `prodsense detect --queue` fills, one row a finding; move them on by id."""
    moves: dict[str, Any] = {
        "ack": split_names(ack), "close": split_names(close), "reopen": split_names(reopen),
        "snooze": split_names(snooze), "assign": split_names(assign),
    }
    if any(moves.values()):
        with output.opened() as wh:
            output.give(wh.findings(note=note, until=until, to=to, **moves))
        return
    refuse({"--note": note, "--until": until, "--to": to},
           "goes with an id: --ack, --close, --reopen, --snooze or --assign")  # fmt: skip
    output.answer(lambda wh: wh.findings(state))
