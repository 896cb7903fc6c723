"""The web: serve, and its scheduled reports by hand or by cron."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from prodsense.cli.common import Place, commands, examples, notify, option, zone
from prodsense.errors import UsageError, did_you_mean
from prodsense.project import SETTINGS_FILE, find_project

app = commands()


@app.command(
    epilog=examples(
        "prodsense serve", "prodsense serve --every 15m --port 8080", "prodsense serve --host 0.0.0.0 -w shop.duckdb"
    )
)
def serve(
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes any free one.")] = 8321,
    every: Annotated[
        str | None, option("--every", "LENGTH", "Load the project's sources and build this often: 15m, 1h, 1d.")
    ] = None,
    https: Annotated[
        bool, typer.Option("--https", help="Cookies for https only: behind a proxy that speaks it.")
    ] = False,
    rate: Annotated[
        int, typer.Option("--rate", metavar="N", min=1, help="Requests a minute that one user or token may make.")
    ] = 600,
    longest: Annotated[
        str, typer.Option("--time-limit", metavar="LENGTH", help="Give up an answer that takes longer: 30s, 5m.")
    ] = "60s",
    browser: Annotated[bool, typer.Option("--open", help="Open a browser, signed in as admin.")] = False,
    place: Place,
) -> None:
    """Serve dashboards, an explorer, alerts and a JSON API in a browser.

    The server owns the warehouse's file while it runs. It prints a link that signs in as admin once.
    """
    from prodsense.behavior.durations import seconds
    from prodsense.web.serve import run
    from prodsense.web.site import Settings, Site

    interval = seconds(every, "--every") if every else None
    project = find_project()
    settings = Settings(
        timezone=zone(None), secure=https, api_rate=rate, longest=seconds(longest, "--time-limit")
    )
    with place.opened(new=False) as wh:
        wh.role_settings = project.roles if project else {}
        site = Site(wh, settings, project=project)
        try:
            run(site, host, port, every=interval, browser=browser)
        finally:
            site.close()


@app.command(epilog=examples("prodsense report", "prodsense report batching_success_scorecard-executive"))
def report(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", show_default=False, help="Reports (default: all).")
    ] = None,
    *,
    place: Place,
) -> None:
    """Write or send the project's reports now, as their roles see them: for cron where no server runs.

    They are declared in prodsense.toml ([[report]]); `prodsense serve` delivers them by itself.
    """
    from datetime import UTC, datetime

    from prodsense.web.reports import deliver, read_reports
    from prodsense.web.site import as_seen_by

    project = find_project()
    found = {one.name: one for one in read_reports(project)}
    if project is None or not found:
        raise UsageError(f"no report is declared: add [[report]] to {SETTINGS_FILE}; see docs/serve.md")
    for name in names or ():
        if name not in found:
            hint = did_you_mean(name, set(found)) or " Known: " + ", ".join(found)
            raise UsageError(f"no report named {name}.{hint}")
    day = datetime.now(UTC).date().isoformat()

    def make(wh: Any) -> list[str]:
        wh.role_settings = project.roles
        made = [deliver(found[name], as_seen_by(found[name].actor, wh), project, day) for name in names or found]
        return [str(one) for some in made for one in some]

    for line in place.read(make):
        print(line)
    notify(f"{len(names or found)} report{'s' * (len(names or found) != 1)} delivered")
