"""Why a number moved: a metric of a pack, or a number in any file or table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prodsense.cli.common import Drawn, Moment, WhereOption, check_file, commands, examples, notify, option, refuse
from prodsense.contracts.options import split_names
from prodsense.errors import UsageError

app = commands()


@app.command(
    epilog=examples(
        "prodsense explain delivery.on_time_rate --from 2024-01-08..2024-01-14 --to 2024-01-15..2024-01-21",
        "prodsense explain on_time_rate --from 2024-01 --to 2024-02 --dims vehicle_type,delivery_type --format json",
        "prodsense explain forecast.parquet --value real --expected predicted --dims region,product",
        "prodsense explain requests.parquet --numerator errors --denominator requests --time minute"
        " --to 2024-03-01T10:15",
    )
)
def explain(
    name: Annotated[str, typer.Argument(metavar="METRIC|FILE|TABLE", help="What moved.")],
    *,
    before: Annotated[
        str | None, option("--from", "TIME", "Before the move: a day, a month (2024-01) or days A..B, both inside.")
    ] = None,
    after: Annotated[str | None, option("--to", "TIME", "After the move, written alike.")] = None,
    dims: Annotated[
        list[str] | None,
        option("--dims", "DIM", "Search slices of these; repeat, or part with commas (default: chosen)."),
    ] = None,
    layers: Annotated[int | None, option("--layers", "N", "A slice fixes at most N dimensions.", min=1)] = None,
    where: WhereOption = None,
    tree: Annotated[str | None, option("--tree", "NAME", "Metric: take apart by this tree.")] = None,
    events: Annotated[
        str | None,
        option("--events", "FILE|TABLE", "Metric: known events, columns `at` and `what`, to set beside the onset."),
    ] = None,
    moment: Moment,
    value: Annotated[str | None, option("--value", "COLUMN", "File or table: the number, summed.")] = None,
    expected: Annotated[
        str | None, option("--expected", "COLUMN", "File or table: what it was expected to be.")
    ] = None,
    numerator: Annotated[str | None, option("--numerator", "COLUMN", "File or table: top of a ratio, summed.")] = None,
    denominator: Annotated[str | None, option("--denominator", "COLUMN", "File or table: bottom of it.")] = None,
    time: Annotated[
        str | None, option("--time", "COLUMN", "File or table: when; --from and --to say which times.")
    ] = None,
    out: Annotated[Path | None, option("--out", "FILE", "Write it as a page too: .html or .png.")] = None,
    output: Drawn,
) -> None:
    """Explain why a number moved: whether it is unusual, since when, through which parts, in which slices.

    All combinations of the dimensions are searched for the smallest set of slices that accounts for the move. What is
    found moved together with the number; that it is the cause is for an experiment to show.
    """
    check_file("--out", out, (".html", ".png"))
    columns = {"value": value, "expected": expected, "numerator": numerator, "denominator": denominator, "time": time}
    slices: dict[str, Any] = {"dims": split_names(dims), "where": where, "layers": layers}
    if any(columns.values()):
        from prodsense.inference.explain_table import explain_table

        refuse({"--tree": tree, "--events": events, "--as-of": moment.as_of, "--tz": moment.tz},
               "belongs to a metric; a file or table has none")  # fmt: skip
        answer: Any = output.on_table(explain_table, name, before=before, after=after, **slices, **columns)
    else:
        from prodsense.metrics.reading import is_file

        if is_file(name):
            raise UsageError(f"{name} is a file: name its number with --value or --numerator and --denominator")
        if before is None or after is None:
            raise UsageError("name both times: --from, before the move, and --to, after it")
        old, new = before, after
        answer = output.read(lambda wh: wh.explain(name, old, new, tree=tree, events=events, **slices, **moment.seen))
    output.give(answer)
    if out:
        answer.page().save(out)
        notify(f"page written to {out}")
