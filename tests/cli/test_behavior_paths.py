"""`prodsense paths` on a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .conftest import Cli

CLICKS = """user_id,ts,event
1,2024-05-01 10:00:00,home
1,2024-05-01 10:05:00,item
1,2024-05-01 10:06:00,item
2,2024-05-01 10:00:00,home
2,2024-05-01 10:45:00,item
3,2024-06-01 10:00:00,home
"""
COLUMNS = ("--user", "user_id", "--time", "ts", "--event", "event")


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(CLICKS)
    return path


def test_links_and_their_picture(cli: Cli, clicks: Path, tmp_path: Path) -> None:
    run = cli("paths", clicks, *COLUMNS, "--format", "json", "--chart", tmp_path / "paths.svg")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert [(r["step"], r["source"], r["target"], r["count"]) for r in found["rows"]] == [
        (1, "home", "(end)", 1), (1, "home", "item", 1), (1, "item", "(end)", 1), (2, "item", "item", 1),
        (3, "item", "(end)", 1),
    ]  # fmt: skip
    assert (found["sessions"], found["censored"]) == (3, 1)
    assert (tmp_path / "paths.svg").read_text().startswith("<svg")


def test_shapes_and_options(cli: Cli, clicks: Path) -> None:
    def rows(*options: str) -> list[dict[str, str]]:
        run = cli("paths", clicks, *COLUMNS, *options, "--format", "csv")
        assert run.code == 0, run.err
        return list(csv.DictReader(io.StringIO(run.out)))

    following = {(r["source"], r["target"]): r["count"] for r in rows("--shape", "transitions", "--gap", "1h")}
    assert following["home", "item"] == "2" and following["item", "item"] == "1"
    assert {r["event"] for r in rows("--shape", "matrix", "--steps", "2", "--merge")} == {"home", "item", "(end)"}
    assert {r["source"] for r in rows("--start", "item")} == {"item"}


def test_options_without_meaning_are_refused(cli: Cli, clicks: Path) -> None:
    run = cli("paths", clicks, *COLUMNS, "--shape", "transitions", "--steps", "3")
    assert run.code == 2 and "--steps has no meaning for --shape transitions" in run.err
