"""Shared by all tests: where the shared data lies, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Before numpy is loaded: two workers share the cores, and threads of their libraries would wait for each other.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

# Examples are drawn from the same seed each time, so that a commit passes or fails by itself. With PRODSENSE_FUZZ=1
# properties go where none has been; what they find becomes a case of its own.
settings.register_profile("steady", derandomize=True)
if os.environ.get("PRODSENSE_FUZZ", "0") == "0":
    settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets that lies beside the project; skips where it is absent."""
    folder = Path(os.environ.get("PRODSENSE_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (set PRODSENSE_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def spark_session() -> Iterator[Any]:
    """One local Spark for all tests; skips with a reason where Java or PySpark is missing."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java (17 or newer) on the PATH")
    pytest.importorskip("pyspark", reason="Spark needs the extra: pip install 'prodsense[spark]'")
    from prodsense.engines.spark import TINY, start_session

    session = start_session({"master": "local[2]", **TINY})
    yield session
    session.stop()


def together(nodeid: str) -> str:
    """The tests that one worker takes in one go, so that what they share is made once.

    All on Spark, since a second Spark would cost more than it saves; all in a browser, which read one server; all of the
    web and all of a pack, since they read the same warehouses; else those of a file.
    """
    path = nodeid.partition("::")[0]
    folders = path.split("/")
    if "spark" in nodeid or "parity" in folders:
        return "spark"
    for name in ("browser", "web"):
        if name in folders:
            return name
    return "/".join(folders[:3]) if "packs" in folders and len(folders) > 3 else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Marks (`xdist_group`) would not do: pytest 9.2 no longer lets pytest-xdist 3.8 write groups into node ids."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Together(config, log)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure under PRODSENSE_NO_SKIP=1 (expected failures stay what they are)."""
    if os.environ.get("PRODSENSE_NO_SKIP") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipping is forbidden here (PRODSENSE_NO_SKIP=1): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report
