"""Warehouses of the streaming pack: the tiny platform, whose every number is known, and a simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack_kit import opened_copy, simulated_file, tiny_file

import prodsense.warehouse
from prodsense.warehouse import Warehouse


@pytest.fixture(scope="session")
def built_platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with the tiny platform in it: loading once is slow enough."""
    return tiny_file("streaming", tmp_path_factory.mktemp("streaming") / "platform.duckdb")


@pytest.fixture(scope="session")
def platform(built_platform: Path) -> Iterator[Warehouse]:
    """The tiny platform, for reading."""
    with prodsense.warehouse.open(built_platform, read_only=True) as warehouse:
        yield warehouse


@pytest.fixture
def own_platform(built_platform: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A copy of the tiny platform that a test may change."""
    with opened_copy(built_platform, tmp_path) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, dict[str, Any]]]:
    """A simulated platform of 600 users and 42 days, and what is planted in it."""
    path = tmp_path_factory.mktemp("planted") / "platform.duckdb"
    truth = simulated_file("streaming", path, days=42, scale=0.6, seed=7)
    with prodsense.warehouse.open(path) as warehouse:
        yield warehouse, truth
