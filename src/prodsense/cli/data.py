"""Data in and models up to date: ingest, build, restate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prodsense.cli.common import PackOption, Place, Window, Written, commands, examples, notify, option
from prodsense.cli.progress import progress
from prodsense.errors import ProdsenseError, UsageError
from prodsense.project import SETTINGS_FILE, Project, find_project

if TYPE_CHECKING:
    from prodsense.ingest.report import LoadReport
    from prodsense.warehouse import Warehouse

app = commands()


@app.command(
    epilog=examples(
        "prodsense ingest orders.parquet --table delivery.fact_orders",
        "prodsense ingest exports/ --pack delivery      # one file for each table",
        "prodsense ingest                               # a project's sources/*.sql",
    )
)
def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH|URL", show_default=False,
                       help="Files, globs, folders or URLs; none: the project's sources/*.sql."),
    ] = None,
    *,
    pack: PackOption = None,
    table: Annotated[
        str | None, option("--table", "TABLE", "The table to load into (default: the one that a file is named after).")
    ] = None,
    place: Place,
) -> None:
    """Load data into contracted tables.

    Each row read ends as accepted, duplicate or quarantined, and the counts are printed. A file with the same
    content as one loaded before changes nothing. A file that does not fit its contract at all is refused.
    """
    project = find_project()
    pack = pack or (project.pack if project else "") or None
    reports: list[LoadReport] = []
    refused: list[str] = []
    if paths and (missing := [path for path in paths if not _may_exist(path)]):
        raise ProdsenseError(f"{missing[0]}: no such file or folder")
    untouched = set() if paths else _untouched(project, pack, table)
    with place.opened() as wh, progress() as bar:
        if project is not None and not paths:
            reports.append(_load_project(wh, project, pack or "", table, untouched, bar))
        if paths:
            reports, refused = wh.ingest_each(paths, table=table, pack=pack, progress=bar)
    for report in reports:
        print(report)
    quarantined = sum(report.quarantined for report in reports)
    if quarantined:
        where = f" -w {place.named}" if place.named else ""
        rows = "1 row is" if quarantined == 1 else f"{quarantined:,} rows are"
        notify(f"{rows} in quarantine; see why: prodsense show prodsense.quarantine{where}")
    for message in refused:
        print(f"error: {message}", file=sys.stderr)
    if refused:
        raise typer.Exit(1)


def _may_exist(path: str) -> bool:
    """False only for a plain path with nothing there: globs and URLs are for the reader to judge."""
    return "://" in path or any(mark in path for mark in "*?[") or Path(path).expanduser().exists()


def _untouched(project: Project | None, pack: str | None, table: str | None) -> set[str]:
    """Tables whose mapping is still as `init` made it; raises, before any file is made, if there is nothing to load."""
    from prodsense.packs import load_pack

    if project is None:
        raise UsageError("name a file to load, or run this inside a project (see: prodsense init --help)")
    if not pack:
        raise UsageError(f'{project.folder / SETTINGS_FILE} names no pack; add: pack = "delivery", or give --pack')
    if table:
        return set()
    found = {contract.relation for contract in load_pack(pack).tables.values() if project.is_template(contract)}
    if found and len(found) == len(list(project.sources.glob("*.sql"))):
        raise ProdsenseError(f"no mapping is filled in yet; name your own files in {project.sources}/<table>.sql")
    return found


def _load_project(
    wh: Warehouse, project: Project, pack: str, table: str | None, untouched: set[str], bar: Any
) -> LoadReport:
    """Load a project's mappings; the untouched ones are said in one line."""
    from prodsense.ingest import load_mapped
    from prodsense.ingest.report import LoadReport

    tables = {contract.relation: contract for contract in wh.pack(pack).tables.values()}
    report = load_mapped(wh.engine, tables, project.folder, table=table, progress=bar)
    if untouched:
        one = len(untouched) == 1
        notify(f"{len(untouched)} mapping{'' if one else 's'} left out: still as init made {'it' if one else 'them'}")
    return LoadReport(tuple(load for load in report if load.table not in untouched), report.load_id)


@app.command(
    epilog=examples("prodsense build", "prodsense build --pack delivery --since 2024-01-01 --until 2024-02-01 --full")
)
def build(
    *,
    pack: PackOption = None,
    window: Window,
    full: Annotated[bool, typer.Option("--full", help="Compute all days anew, not just those touched.")] = False,
    pipeline: Annotated[
        str | None,
        option("--pipeline", "NAME", "Only the models of this pipeline, or what it runs instead of a build."),
    ] = None,
    place: Place,
) -> None:
    """Bring the models up to date: only days that data arrived for since the last build.

    A model that fails keeps its last good version; what stands on it is left as it was.
    """
    if pipeline:
        if window.since or window.until or full or pack:
            raise UsageError("--pipeline goes alone: a pipeline says itself what it builds")
        with place.opened() as wh, progress() as bar:
            print(wh.run_pipeline(pipeline, progress=bar.model if bar else None))
        return
    with place.opened(new=False) as wh, progress() as bar:
        packs = [pack] if pack else list(wh.packs)
        if not packs:
            lacks = "holds no pack's tables yet; load some: prodsense ingest PATH --pack PACK"
            raise ProdsenseError(f"{place.url} {lacks}")
        each = bar.model if bar else None
        reports = [wh.build(name, **vars(window), full=full, progress=each) for name in packs]
    for report in reports:
        print(report)
        _seconds(report.seconds)
    if not all(report.ok for report in reports):
        failed = [f"{entry.model} ({entry.reason})" for report in reports for entry in report.failed]
        raise ProdsenseError(f"{len(failed)} model{'s' * (len(failed) != 1)} failed: {', '.join(failed)}")


@app.command(epilog=examples("prodsense restate delivery_performance --since 2024-01-15 --until 2024-01-17"))
def restate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, as pack.name or name.")],
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="First day, inside (2024-01-31).")],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The day after the last one, outside.")],
    place: Place,
) -> None:
    """Compute days of a model anew, then what stands on it, and say how many rows changed."""
    with place.opened(new=False) as wh, progress() as bar:
        report = wh.restate(model, since, until, progress=bar.model if bar else None)
    print(report)
    if not report.ok:
        raise ProdsenseError(f"{model} could not be restated in full; its last good version stays")


@app.command(
    epilog=examples(
        "prodsense forget --subject 4711 --dry-run",
        "prodsense forget --subject 17 --kind driver --pack delivery && prodsense build",
    )
)
def forget(
    subject: Annotated[str, typer.Option("--subject", metavar="ID", help="Who: the key of a customer, user, ...")],
    *,
    kind: Annotated[
        str | None, option("--kind", "KIND", "What sort of person, such as driver (default: the pack's first).")
    ] = None,
    pack: PackOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    output: Written,
) -> None:
    """Delete a person's rows from all contracted tables, and leave them out of loads to come.

    Rows that refer to them go too; rows that are other people's as well are emptied of them. Their days are restated
    by the next build. All of it is one transaction.
    """
    with output.opened(new=False) as wh:
        output.give(wh.forget(subject, pack, kind, dry_run))


def _seconds(seconds: float) -> None:
    print(f"built in {seconds:.1f} s", file=sys.stderr)
