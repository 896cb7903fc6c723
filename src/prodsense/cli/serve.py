"""The web server: serve."""

from __future__ import annotations

from typing import Annotated

import typer

from prodsense.cli.common import WarehouseOption, commands, examples, opened, there, warehouse_url
from prodsense.project import find_project

app = commands()


@app.command(epilog=examples("prodsense serve", "prodsense serve --host 0.0.0.0 --port 8080 -w shop.duckdb"))
def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes any free one.")] = 8321,
    browser: Annotated[bool, typer.Option("--open", help="Open a browser, signed in as admin.")] = False,
    warehouse: WarehouseOption = None,
) -> None:
    """Serve dashboards, an explorer, alerts and a JSON API in a browser.

    The server owns the warehouse's file while it runs. It prints a link that signs in as admin once.
    """
    from prodsense.web.serve import run
    from prodsense.web.site import Settings, Site

    url = warehouse_url(ctx, warehouse)
    there(url)
    project = find_project()
    settings = Settings(timezone=(project.timezone if project else "") or "UTC")
    with opened(url) as wh:
        site = Site(wh, settings, project=project)
        try:
            run(site, host, port, browser=browser)
        finally:
            site.close()
