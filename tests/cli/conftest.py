"""A small warehouse made once, and a way to run the command line inside this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from prodsense.cli import main


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Run]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run `prodsense ARGS` in an empty folder; no settings of the machine reach it."""
    for name in list(os.environ):
        if name.startswith("PRODSENSE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*args: str | Path) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Run(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small simulated city, five weeks long."""
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    folder = tmp_path_factory.mktemp("city")
    write(load_pack("delivery").simulate(days=35, scale=0.05, seed=3), folder)
    return folder


@pytest.fixture(scope="session")
def warehouse(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city, loaded and built. Tests read it; none writes."""
    from prodsense.warehouse import open as open_warehouse

    path = tmp_path_factory.mktemp("warehouse") / "city.duckdb"
    with open_warehouse(path) as wh:
        wh.ingest(str(city), pack="delivery")
        assert wh.build("delivery").ok
    return path


@pytest.fixture
def no_pack_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the doctor's checks of definitions, which take seconds and have tests of their own."""
    monkeypatch.setattr("prodsense.doctor.examine_packs", lambda processes=1: [])
