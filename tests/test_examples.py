"""The examples run as they stand, and find what they planted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_root_cause_names_what_was_broken() -> None:
    said = run("root_cause.py")
    (slices,) = re.findall(r"^ +1 +(\S+)", said, re.MULTILINE)
    assert slices == "platform=android&payment=wallet"
    assert not re.search(r"^ +2 +\S+=", said, re.MULTILINE), "one thing was broken"


@pytest.mark.slow
def test_experiment_finds_the_planted_lift(tmp_path: Path) -> None:
    said = run("experiment.py", str(tmp_path / "readout.html"))
    bought = re.search(r"^bought +primary +new +\S+ +\S+ +(\S+) +(\S+) +(\S+)", said, re.MULTILINE)
    assert bought is not None
    effect, low, high = map(float, bought.groups())
    assert low < 0.02 < high, "two points were planted"
    assert 0 < low < effect < high
    assert "decision: ship" in said
    assert "<svg" in (tmp_path / "readout.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_own_csv_to_dashboard(tmp_path: Path) -> None:
    said = run("own_csv.py", str(tmp_path))
    rows = sum(1 for _ in (tmp_path / "clicks.csv").open(encoding="utf-8")) - 1
    assert f"{rows:,} accepted + 0 duplicate + 0 quarantined = {rows:,} read" in said
    assert "<svg" in (tmp_path / "stickiness_overview.html").read_text(encoding="utf-8")
