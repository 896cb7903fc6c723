"""Answers as pages: answer, dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prodsense.cli.common import WarehouseOption, commands, examples, notify, read, warehouse_url
from prodsense.errors import UsageError

app = commands()


@app.command(epilog=examples("prodsense answer Q9.1.1", "prodsense answer Q9.1.1 --out batching.html"))
def answer(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Its id, such as Q9.1.1.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.html", show_default=False, help="Write a page with tables and pictures."),
    ] = None,
    warehouse: WarehouseOption = None,
) -> None:
    """The question in a line, then its numbers, tables and pictures from the warehouse.

    `prodsense catalog --kind question` lists them.
    """
    check_ending(out, (".html",))

    def ask(wh: Any) -> str:
        page = wh.answer(question)
        if out:
            page.save(out)
        return str(page)

    print(read(warehouse_url(ctx, warehouse), ask))
    if out:
        notify(f"page written to {out}")


@app.command(epilog=examples("prodsense dashboard batching_success_scorecard --out scorecard.html"))
def dashboard(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dashboard, as pack.name or name.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html|FILE.png", help="The file to write.")],
    warehouse: WarehouseOption = None,
) -> None:
    """Write a dashboard as one HTML file that needs no network, or as a picture."""
    check_ending(out, (".html", ".png"))

    def draw(wh: Any) -> None:
        wh.dashboard(name).save(out)

    read(warehouse_url(ctx, warehouse), draw)
    print(out)


def check_ending(out: Path | None, allowed: tuple[str, ...]) -> None:
    """Before the work, not after it."""
    if out and out.suffix.lower() not in allowed:
        raise UsageError(f"--out {out}: the file should end in {' or '.join(allowed)}")
    if out and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
