"""First steps: demo, init, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from prodsense.cli.common import Place, commands, examples, option

app = commands()

_DAYS, _SEED = 56, 7

#: Kind of file that simulated tables are written to.
FileFormat = Literal["parquet", "csv"]


@app.command(epilog=examples("prodsense demo", "prodsense demo delivery --to /tmp/city"))
def demo(
    pack: Annotated[str, typer.Argument(metavar="[PACK]", show_default=False, help="The pack.")] = "delivery",
    *,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Where the data, the warehouse and the report go.")
    ] = Path("prodsense-demo"),
    place: Place,
) -> None:
    """Simulate a product, build it, answer, write a report, and say what to run next.

    Everything it makes is in one folder, delete it to be rid of it. Running it again refreshes it.
    """
    from prodsense.cli.demo import run

    run(pack, to, place.named)


@app.command(epilog=examples("prodsense init shop --pack delivery"))
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder, made if it is not there.")],
    pack: Annotated[str, typer.Option("--pack", metavar="PACK", help="The pack that your data maps into.")],
) -> None:
    """Make a project: settings, and a mapping for each table in which you write where your data lies.

    Files that are there already are left alone.
    """
    from prodsense.project import init_project

    made = init_project(folder, pack)
    for path in made.written:
        print(f"made  {path}")
    for path in made.kept:
        print(f"kept  {path}")
    print(f"\nNext: read {folder / 'README.md'}, fill in {folder / 'sources'}, then: cd {folder} && prodsense ingest")


@app.command(epilog=examples("prodsense simulate delivery --to city --days 28 --format csv"))
def simulate(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="The pack.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder, made if it is not there.")],
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, help="Days of data.")] = 28,
    scale: Annotated[float, typer.Option("--scale", metavar="X", min=0.001, help="Size of the product.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Same seed, same data.")] = _SEED,
    form: Annotated[FileFormat, option("--format", "parquet|csv", "Kind of file.")] = "parquet",
) -> None:
    """Write a pack's simulated tables as files, and `_truth.json`: what was planted in them.

    The files load with `prodsense ingest DIR --pack PACK`.
    """
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    simulation = load_pack(pack).simulate(days=days, scale=scale, seed=seed)
    paths = write(simulation, to, form)
    for path, table in zip(paths, simulation.tables.values(), strict=False):
        print(f"{path}: {table.num_rows:,} rows")
    print(paths[-1])
