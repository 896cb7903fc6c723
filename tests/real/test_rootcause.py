"""Cases with known root causes: the bars are those of the best published methods or better."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_anomalies import benchmark

pytestmark = pytest.mark.slow


def test_real_ratio_cases(shared_data: Path) -> None:
    score = benchmark("rootcause").ratio(shared_data / "rca_rs_ratio", 1)
    assert score.cases == 66 and score.f1 >= 0.58 and score.in_three / score.cases >= 0.85


@pytest.mark.parametrize(("kind", "least"), [("S", 0.75), ("L", 0.75)])
def test_synthetic_cases(shared_data: Path, kind: str, least: float) -> None:
    score = benchmark("rootcause").synthetic(shared_data / "rca_synthetic", kind)
    assert score.cases == 12 and score.f1 >= least and score.in_three / score.cases >= 0.9
