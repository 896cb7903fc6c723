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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests on Spark in one worker: a second Spark would cost more than it saves."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.get_closest_marker("spark"):
                item.add_marker(pytest.mark.xdist_group("spark"))


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
