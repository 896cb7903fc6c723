"""The demo: a pack's whole way in one go, saying what it does while it does it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.cli.common import opened
from prodsense.cli.progress import progress
from prodsense.errors import ProdsenseError

if TYPE_CHECKING:
    from prodsense.contracts.vocabulary import Chart
    from prodsense.metrics.result import Result
    from prodsense.packs.pack import Pack
    from prodsense.warehouse import Warehouse

#: Nine weeks: two windows of four weeks to compare, and what happens in the weeks after.
DAYS, SCALE, SEED = 63, 0.5, 7
#: Length of the window that headline metrics look at, and of the one before it.
WINDOW = timedelta(days=28)
_HEADLINES = 6


def run(pack_name: str, folder: Path, warehouse: str | None) -> None:
    """Run the demo of a pack; its files go to `folder`, its tables to `warehouse` or a file in there."""
    from prodsense.packs import load_pack

    pack = load_pack(pack_name)
    url = warehouse or str(folder / f"{pack.name}.duckdb")
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    say(f"{pack.title}. {pack.says}\n")
    simulate(pack, folder / "data")
    with opened(url) as wh:
        ingest(wh, pack, folder / "data")
        build(wh, pack)
        answer(wh, pack, folder)
    say(f"\nDone in {time.perf_counter() - started:.0f} s. Next, try:\n")
    for line in next_commands(pack, url, folder):
        say(f"  {line}")


def say(line: str = "", end: str = "\n") -> None:
    print(line, end=end, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Name a step before it runs, and say how long it took."""
    say(f"{what} ... ", end="")
    started = time.perf_counter()
    try:
        yield
    except BaseException:
        say()
        raise
    say(f"{time.perf_counter() - started:.1f} s")


# -- data ------------------------------------------------------------------------------------------


def simulate(pack: Pack, folder: Path) -> None:
    from prodsense.simulate import write

    with step(f"1. Simulating {DAYS} days (seed {SEED}) into {folder}"):
        simulation = pack.simulate(days=DAYS, scale=SCALE, seed=SEED)
        write(simulation, folder)
    rows = sum(table.num_rows for table in simulation.tables.values())
    say(f"   {rows:,} rows in {len(simulation.tables)} tables, and what was planted in them: {folder / '_truth.json'}")


def ingest(wh: Warehouse, pack: Pack, folder: Path) -> None:
    with step(f"2. Ingesting them into {wh.engine.location}, each row checked against its contract"), progress() as bar:
        report = wh.ingest(str(folder), pack=pack.name, progress=bar)
    if report.skipped:
        say("   the same files as last time: nothing to do")
        return
    say(
        f"   {report.accepted:,} accepted + {report.duplicate:,} duplicate + {report.quarantined:,} quarantined"
        f" = {report.read:,} read"
    )


def build(wh: Warehouse, pack: Pack) -> None:
    with step(f"3. Building {len(pack.models)} models"), progress() as bar:
        report = wh.build(pack.name, progress=bar.model if bar else None)
    if report.failed:
        failed = report.failed[0]
        raise ProdsenseError(f"{failed.model} could not be built: {failed.reason}")
    computed = [model for model in report if model.mode in ("full", "incremental")]
    if computed:
        say(f"   {sum(model.rows for model in computed):,} rows in {len(computed)} tables; the others are views")
    else:
        say("   no new data: nothing to do")


# -- answers ---------------------------------------------------------------------------------------


def answer(wh: Warehouse, pack: Pack, folder: Path) -> None:
    names = headlines(pack)
    until = last_day(wh, pack, names[0]) + timedelta(days=1)
    since = until - WINDOW
    last = until - timedelta(days=1)
    days = WINDOW.days
    say(f"\n4. {len(names)} metrics of the last {days} days ({since} to {last}), against the {days} before\n")
    result = wh.metric(*qualified(pack, names), grain="all", since=since, until=until, compare="previous")
    for line in headline_lines(result):
        say(f"   {line}")
    chart = sliced_chart(pack)
    metric, by = chart.metrics[0], chart.by
    say(f"\n5. {metric} by {', '.join(by)}, same days\n")
    indented(str(wh.metric(f"{pack.name}.{metric}", by=by, since=since, until=until, grain="all")))
    draw(wh, pack, metric, by, folder)
    report(wh, pack, folder)
    say(f"\n8. The SQL of {metric}: `prodsense metric {metric} --sql`\n")
    indented(wh.metric(f"{pack.name}.{metric}", grain="all", since=since, until=until).sql[0])


def headlines(pack: Pack) -> list[str]:
    """The metrics that answer the pack's first questions at a glance."""
    named = [name for question in pack.questions.values() for name in question.headline]
    listed = [metric.name for metric in pack.metrics.values() if not metric.hidden]
    return list(dict.fromkeys([*named, *listed]))[:_HEADLINES]


def qualified(pack: Pack, names: Sequence[str]) -> list[str]:
    return [f"{pack.name}.{name}" for name in names]


def last_day(wh: Warehouse, pack: Pack, metric: str) -> date:
    """The newest day in the data."""
    moment = wh.metric(f"{pack.name}.{metric}", grain="all").as_of
    assert moment is not None
    return moment.date()


def headline_lines(result: Result) -> list[str]:
    """One line a metric: its value, the change, and whether that is for the better."""
    from prodsense.charts.units import format_value
    from prodsense.metrics.show import change_text

    row = result.rows[0]
    width = max(len(name) for name in result.metrics)
    lines = []
    for name in result.metrics:
        unit = result.units.get(name, "")
        value = format_value(row[name], unit)
        delta, better = row.get(f"{name}_delta"), result.better.get(name)
        change = change_text(row.get(f"{name}_change"), delta, unit)
        verdict = ""
        if delta and better in ("up", "down"):
            verdict = "better" if (delta > 0) == (better == "up") else "worse"
        lines.append(f"{name:{width}}  {value:>12}  {change:>9}  {verdict}".rstrip())
    return lines


def sliced_chart(pack: Pack) -> Chart:
    """The first picture of the first dashboard that slices a metric."""
    from prodsense.contracts.vocabulary import Chart

    for dashboard in pack.dashboards.values():
        for section in dashboard.sections:
            for entry in section.charts:
                chart = pack.charts[entry] if isinstance(entry, str) else entry
                if chart.metrics and chart.by:
                    return chart
    metric = next(metric for metric in pack.metrics.values() if metric.by)
    return Chart("first", metric.says, (metric.name,), by=metric.by[:1])


def draw(wh: Warehouse, pack: Pack, metric: str, by: Sequence[str], folder: Path) -> None:
    from prodsense.charts.export import save

    path = folder / f"{metric}.png"
    result = wh.metric(f"{pack.name}.{metric}", by=by, grain="day")
    say()
    with step(f"6. Drawing it day by day: {path}"):
        save(result.chart(), path)
    say()
    for line in spark_lines(result.rows, metric, by, result.units.get(metric, "")):
        say(f"   {line}")


def spark_lines(rows: Sequence[Mapping[str, Any]], metric: str, by: Sequence[str], unit: str) -> list[str]:
    """A line of blocks for each slice, between its least and its greatest value."""
    from prodsense.charts.terminal import sparkline
    from prodsense.charts.units import format_value
    from prodsense.metrics.show import cell

    slices: dict[str, list[float | None]] = {}
    for row in rows:
        label = " · ".join(cell(row[name]) for name in by)
        slices.setdefault(label, []).append(row[metric])
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    width = max(map(len, slices), default=0)
    lines = []
    for label, values in slices.items():
        known = [value for value in values if value is not None]
        if known:
            span = f"{format_value(min(known), unit)} to {format_value(max(known), unit)}"
            lines.append(f"{label:{width}}  {sparkline(values, ascii_only=plain)}  {span}")
    return lines


def report(wh: Warehouse, pack: Pack, folder: Path) -> None:
    name = next(iter(pack.dashboards), None)
    if name is None:
        return
    path = folder / f"{name}.html"
    say()
    with step(f"7. Writing the dashboard {name}: {path}"):
        wh.dashboard(f"{pack.name}.{name}").save(path)
    say(f"   one file, no network: open {path.resolve().as_uri()}")


def indented(text: str) -> None:
    for line in text.splitlines():
        say(f"   {line}".rstrip())


# -- what next -------------------------------------------------------------------------------------


def next_commands(pack: Pack, url: str, folder: Path) -> list[str]:
    """Four commands that work as they stand, in the shell and folder that the demo ran in."""
    program, where = program_name(), shlex.quote(url)
    chart = sliced_chart(pack)
    commands = [
        f"metric {chart.metrics[0]} --by {','.join(chart.by)} --grain week --compare previous -w {where}",
    ]
    if pack.questions:
        question = next(iter(pack.questions))
        page = shlex.quote(str(folder / f"{question}.html"))
        commands.append(f"answer {question} --out {page} -w {where}")
    if pack.queries:
        commands.append(f"query {next(iter(pack.queries))} -w {where}")
    commands += [f"doctor -w {where}", f"catalog --pack {pack.name}", f"lineage {chart.metrics[0]}"]
    return [f"{program} {command}" for command in commands[:4]]


def program_name() -> str:
    """How this shell finds the program: its bare name if that is this very file, else its path."""
    called = sys.argv[0]
    found = shutil.which("prodsense")
    if found and Path(called).exists() and Path(found).samefile(called):
        return "prodsense"
    if Path(called).name == "prodsense" and os.access(called, os.X_OK):
        path = Path(called).absolute()
        here = Path.cwd()
        return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
    return "prodsense" if found else f"{shlex.quote(sys.executable)} -m prodsense"
