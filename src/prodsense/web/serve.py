"""Running the server: listen, print the way in, stop."""

from __future__ import annotations

import socket
import sys

from prodsense.errors import ProdsenseError
from prodsense.web.app import create_app
from prodsense.web.site import Site

ADMIN = "admin"


def run(site: Site, host: str, port: int, *, browser: bool = False) -> None:
    """Serve until interrupted."""
    import uvicorn

    listening = listen(host, port)
    address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
    link = f"{address}/sign-in/{admin_link(site)}"
    print(f"serving {site.warehouse.engine.location} at {address}\nsign in once, as admin: {link}", file=sys.stderr)
    if browser:
        import webbrowser

        webbrowser.open(link)
    config = uvicorn.Config(create_app(site), log_level="warning", server_header=False, proxy_headers=True)
    uvicorn.Server(config).run(sockets=[listening])


def admin_link(site: Site) -> str:
    """A one-time link for the admin, who is made when the site is new."""
    if not any(user["name"] == ADMIN for user in site.store.users()):
        site.store.add_user(ADMIN, "admin")
    return site.store.add_link(ADMIN)


def listen(host: str, port: int) -> socket.socket:
    """A socket; ProdsenseError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ProdsenseError(f"cannot listen at {host}:{port}: {error.strerror}; choose another with --port") from None
    return listening


def _shown(host: str) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
