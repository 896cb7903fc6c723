"""Sites to test; one worker takes them all (tests/conftest.py), so that the warehouse is built once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from web_shop import Served, planted, serve

import prodsense as ps


@pytest.fixture(scope="session")
def planted_tables() -> dict[str, Any]:
    return planted()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, planted_tables: dict[str, Any]) -> Iterator[Served]:
    """The planted warehouse, built and served. Tests only read it."""
    path = tmp_path_factory.mktemp("web") / "shop.duckdb"
    with ps.open(path) as warehouse:
        warehouse.ingest({f"delivery.{name}": table for name, table in planted_tables.items()})
        assert warehouse.build().ok
        found = serve(warehouse)
        yield found
        found.site.close()


@pytest.fixture(scope="session")
def admin(served: Served) -> TestClient:
    return served.client("admin")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Served]:
    """An empty delivery warehouse, served."""
    with ps.open(tmp_path / "tiny.duckdb") as warehouse:
        found = serve(warehouse)
        yield found
        found.site.close()


@pytest.fixture(scope="session")
def csrf_of() -> Callable[[Any], str]:
    """The CSRF token in a page."""

    def find(answer: Any) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
        assert found, answer.text[:500]
        return found[1]

    return find
