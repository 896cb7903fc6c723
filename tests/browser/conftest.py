"""A served warehouse and a headless Chromium for all tests of the pages; screenshots go to `shots/`, which git ignores."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_pages import PASSWORD, Visitor

import prodsense as ps

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All are marked; one worker takes them (tests/conftest.py): there is one server and one browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are kept for who wants to look at them."""
    folder = HERE / "shots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser; skips with the reason where there is none.

    It ends with each file: while Playwright runs, this thread has an event loop, and no other test could start one.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser's tests need playwright (make test)")
    named = os.environ.get("PRODSENSE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if named is None:
        pytest.skip("no Chromium on the PATH (set PRODSENSE_CHROMIUM)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=named, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over two packs, with alerts, refused rows and a user for each role."""
    import uvicorn

    from prodsense.packs import load_pack
    from prodsense.web.app import create_app
    from prodsense.web.rendering import BUNDLE, static_file
    from prodsense.web.serve import listen
    from prodsense.web.site import Settings, Site
    from prodsense.web.store import Store

    folder = tmp_path_factory.mktemp("browser")
    with ps.open(folder / "shop.duckdb") as warehouse:
        for name, days, scale in (("delivery", 35, 0.1), ("stickiness", 42, 0.2)):
            warehouse.ingest(dict(load_pack(name).simulate(days, scale, 7).tables), pack=name)
        broken = folder / "refund_requests.csv"
        broken.write_text("refund_id,order_id,requested_at\n1,1,yesterday\n")
        warehouse.ingest(broken, table="delivery.refund_requests")
        assert warehouse.build().ok
        warehouse.detect(queue=True)
        site = Site(warehouse, Settings(api_rate=100_000, sign_in_rate=1000), Store(":memory:"))
        for role in ("admin", "operations", "executive"):
            site.store.add_user(role, role, {}, PASSWORD)
        site.store.add_user("partner", "partner", {"restaurant_id": "1001"}, PASSWORD)
        static_file(BUNDLE)
        socket = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(create_app(site), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
        site.close()


@pytest.fixture(scope="module")
def states(chromium: Any, address: str) -> dict[str, Any]:
    """Who is signed in already: role → its cookie."""
    return {}


@pytest.fixture
def visit(chromium: Any, address: str, states: dict[str, Any]) -> Iterator[Any]:
    """Opens a browser of its own for a role: ``visit("admin", phone=True, dark=True)``."""
    opened: list[Visitor] = []

    def enter(role: str = "admin", **options: Any) -> Visitor:
        visitor = Visitor(chromium, address, role, states, **options)
        opened.append(visitor)
        return visitor

    yield enter
    for visitor in opened:
        visitor.context.close()
