"""Answers as pages: answer, dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from prodsense.cli.common import Place, check_file, commands, examples, notify, option

app = commands()


@app.command(epilog=examples("prodsense answer Q9.1.1", "prodsense answer Q9.1.1 --out batching.html"))
def answer(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Its id, such as Q9.1.1.")],
    *,
    out: Annotated[Path | None, option("--out", "FILE.html", "Write a page with tables and pictures.")] = None,
    place: Place,
) -> None:
    """The question in a line, then its numbers, tables and pictures from the warehouse.

    `prodsense catalog --kind question` lists them.
    """
    check_file("--out", out, (".html",))

    def ask(wh: Any) -> str:
        page = wh.answer(question)
        if out:
            page.save(out)
        return str(page)

    print(place.read(ask))
    if out:
        notify(f"page written to {out}")


@app.command(epilog=examples("prodsense dashboard batching_success_scorecard --out scorecard.html"))
def dashboard(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dashboard, as pack.name or name.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html|FILE.png", help="The file to write.")],
    place: Place,
) -> None:
    """Write a dashboard as one HTML file that needs no network, or as a picture."""
    check_file("--out", out, (".html", ".png"))

    def draw(wh: Any) -> None:
        wh.dashboard(name).save(out)

    place.read(draw)
    print(out)
