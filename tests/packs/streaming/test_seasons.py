"""Trend and season of a metric: planted ones are told apart, gaps and text are refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest

from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

from .little import made_of, session

NAME = "streaming.trend_and_seasonality_analysis"


@pytest.fixture(scope="module")
def weeks() -> Iterator[Warehouse]:
    """Ten weeks of 20 sessions of a minute a day, give or take, one more each week, 8 more on Saturdays; 200 on a day."""
    rng = np.random.default_rng(4)
    rows = []
    for day in range(70):
        many = 200 if day == 40 else 20 + day // 7 + 8 * (day % 7 == 5) + int(rng.integers(-2, 3))
        moment = datetime(2024, 1, 1, 9) + timedelta(days=day)
        rows += [session(1000 * day + n, n, 1, moment, 60) for n in range(many)]
    with made_of({"fact_viewing_sessions": rows}, "session_facts", "viewers", "titles") as warehouse:
        yield warehouse


@pytest.mark.slow
def test_what_is_planted_is_told_apart(weeks: Warehouse) -> None:
    answer = weeks.analyze(NAME, metric="total_views")
    rows = answer.rows
    assert len(rows) == 70 and all(r["value"] == pytest.approx(r["trend"] + r["season"] + r["rest"]) for r in rows)
    outliers = [r["period"].isoformat() for r in rows if r["is_outlier"]]
    assert "2024-02-10" in outliers and len(outliers) <= 3
    pattern = {row["phase"]: row["season"] for row in answer.extras["pattern"]}
    assert pattern[6] - pattern[1] == pytest.approx(8, abs=2.0)
    assert rows[-8]["trend"] - rows[7]["trend"] == pytest.approx(55 / 7, abs=1.5)
    assert answer.extras["change"] > 0.25 and answer.chart() is not None


def test_refusals(weeks: Warehouse) -> None:
    for given, says in (
        ({"grain": "quarter"}, "grain is day, week, month"), ({"grain": "month"}, "no two seasons of 12"),
        ({"metric": "nothing"}, "no metric named"), ({"metric": "platform_csat"}, "two seasons|gaps"),
        ({"metric": "max_playback_quality"}, "two seasons|gaps"), ({"until": "2024-01-10"}, "two seasons"),
    ):
        with pytest.raises(UsageError, match=says):
            weeks.analyze(NAME, **given)
