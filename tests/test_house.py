"""The house rules that no other test sees: CI skips nothing, the locks hold what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "dev", "spark", "lowest")

SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no server")

@pytest.mark.xfail(reason="known")
def test_expected_failure():
    assert False

def test_passes():
    pass
"""


def run_pytest(folder: Path, *, forbid: bool) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PRODSENSE_"))}
    if forbid:
        env["PRODSENSE_NO_SKIP"] = "1"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout


@pytest.fixture
def skipping(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(SKIPPING)
    (tmp_path / "test_two.py").write_text("import pytest\npytest.importorskip('no_such_module_anywhere')\n")
    return tmp_path


@pytest.mark.slow
def test_skips_are_skips_on_a_laptop(skipping: Path) -> None:
    assert "1 passed, 2 skipped, 1 xfailed" in run_pytest(skipping, forbid=False)


@pytest.mark.slow
def test_skips_are_failures_in_ci(skipping: Path) -> None:
    output = run_pytest(skipping, forbid=True)
    assert "no_such_module_anywhere" in output
    assert "1 error" in output, "a module skipped at collection must stop the run"
    (skipping / "test_two.py").unlink()
    output = run_pytest(skipping, forbid=True)
    assert "skipping is forbidden here (PRODSENSE_NO_SKIP=1): Skipped: no server" in output
    assert "1 failed, 1 passed, 1 xfailed" in output


def pins(lock: str) -> dict[str, list[str]]:
    """Return the pinned versions of each package in a lock."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements" / f"{lock}.lock").read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)==(\S+)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    assert "://" not in text
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[^\s;]+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", r, maxsplit=1)[0].lower() for r in requirements}


def test_locks_hold_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = requirement_names(project["project"]["dependencies"] + project["dependency-groups"]["build"])
    dev = runtime | requirement_names(project["dependency-groups"]["dev"])
    assert runtime <= pins("runtime").keys()
    assert dev <= pins("dev").keys()
    assert dev <= pins("lowest").keys()


def test_development_tests_the_versions_that_users_get() -> None:
    runtime, dev = pins("runtime"), pins("dev")
    assert {name: dev[name] for name in runtime} == runtime
    spark = pins("spark")
    assert {name: spark[name] for name in dev} == dev


def test_lowest_lock_holds_the_declared_lower_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lowest = pins("lowest")
    for requirement in project["project"]["dependencies"]:
        name, bound = re.match(r"([A-Za-z0-9-]+).*?>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        for version in lowest[name.lower()]:
            assert version == bound or version.startswith(f"{bound}."), f"{name} {version}, declared >={bound}"
