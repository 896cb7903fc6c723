"""Running the server: listen, print the way in, stop."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

from prodsense.errors import ProdsenseError, UsageError
from prodsense.web.app import create_app
from prodsense.web.jobs import Timer, refresh_job
from prodsense.web.reports import Reporter, read_reports
from prodsense.web.site import Site
from prodsense.web.store import ADDRESS

ADMIN = "admin"


def run(site: Site, host: str, port: int, *, every: float | None = None, browser: bool = False) -> None:
    """Serve until interrupted; with `every` the project's sources are loaded and built each so many seconds."""
    import uvicorn

    reports = read_reports(site.project)
    if every is not None and (site.project is None or not site.project.pack):
        raise UsageError("--every loads a project's sources: start in its folder, and name its pack in prodsense.toml")
    listening = listen(host, port)
    # Before the link is printed: beside the first request it would only hold that up.
    site.wake()
    address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
    link = f"{address}/sign-in/{admin_link(site)}"
    print(f"serving {site.warehouse.engine.location} at {address}\nsign in once, as admin: {link}", file=sys.stderr)
    if browser:
        import webbrowser

        webbrowser.open(link)
    # Whom to believe about the asker's address is uvicorn's own setting (FORWARDED_ALLOW_IPS): by default this machine.
    # A build's Python must not hold up a reader's for long: threads take turns five times as often as by default.
    sys.setswitchinterval(0.001)
    config = uvicorn.Config(create_app(site), log_level="warning", server_header=False, proxy_headers=True,
                            timeout_keep_alive=75)
    with ExitStack() as beside:
        site.store.remember(ADDRESS, address)
        beside.callback(site.store.remember, ADDRESS, "")
        if site.project is not None and every is not None:
            project = site.project
            beside.callback(Timer(site.jobs, every, "refresh", lambda: refresh_job(project)).stop)
        if site.project is not None and reports:
            beside.callback(Reporter(site, site.project, reports).stop)
        uvicorn.Server(config).run(sockets=[listening])


def admin_link(site: Site) -> str:
    """A one-time link for the admin, who is made when the site is new."""
    if not any(user["name"] == ADMIN for user in site.store.users()):
        site.store.add_user(ADMIN, "admin")
    return site.store.add_link(ADMIN)


def listen(host: str, port: int) -> socket.socket:
    """A socket; ProdsenseError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sends at once (TCP_NODELAY); else an answer waits 40 ms for the other side's word.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # From here on whoever follows the printed link waits instead of being turned away.
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ProdsenseError(f"cannot listen at {host}:{port}: {error.strerror}; choose another with --port") from None
    return listening


def _shown(host: str) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
