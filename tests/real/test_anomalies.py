"""Real series: the NAB score, few alarms where nothing happens, and the planted stories of a click log."""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

import prodsense as ps

ROOT = Path(__file__).resolve().parent.parent.parent


def benchmark(name: str) -> ModuleType:
    """A benchmark's script as a module: its scoring is that of the benchmark."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / name / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_nab_scorer_by_hand() -> None:
    score = benchmark("detect").series_score
    # One window [500, 599] of 1000 values: found at its start 1, missed -1, alarm before it -0.11, none in probation.
    assert score([500], 1000, [(500, 599)]) == pytest.approx(1.0)
    assert score([], 1000, [(500, 599)]) == -1.0
    assert score([200, 500], 1000, [(500, 599)]) == pytest.approx(0.89)
    assert score([100, 500], 1000, [(500, 599)]) == pytest.approx(1.0)
    assert score([500, 510], 1000, [(500, 599)]) == pytest.approx(1.0)
    assert score([999], 1000, [(500, 599)]) == pytest.approx(-1.11)


@pytest.mark.slow
def test_nab(shared_data: Path) -> None:
    found, _, _ = benchmark("detect").nab(shared_data / "nab")
    assert found >= 58


@pytest.mark.slow
def test_clean_seasonal_series_give_at_most_one_alarm_a_month(shared_data: Path) -> None:
    for name, (count, months) in benchmark("detect").false_alarms(shared_data / "seasonal_series").items():
        assert count <= months, name


def test_the_stories_of_a_click_log(shared_data: Path) -> None:
    path = shared_data / "clickstream_ecom" / "ecom.parquet"
    found = {row["subject"]: row for row in ps.detect(path, time="timestamp", by=["event", "platform"]).rows}
    bug = found["event=checkout_bug, platform=mobile"]
    assert (bug["period"], bug["until"], bug["value"]) == ("2024-04-13", date(2024, 5, 9), 44)
    incident = found["event=payment_error"]
    assert abs((date.fromisoformat(incident["period"]) - date(2024, 5, 19)).days) <= 3
    assert abs((incident["until"] - date(2024, 6, 7)).days) <= 3
    assert "event=support_chat" in found
