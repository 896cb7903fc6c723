"""Pictures of predictions: what is drawn, what alt text says, and nothing where there is nothing."""

from __future__ import annotations

import pytest

from prodsense.charts.predictions import calibration, fan, lift
from prodsense.errors import UsageError

PAST = [{"time": f"2024-01-{i:02}", "value": 10.0 + i} for i in range(1, 11)]
AHEAD = [{"time": f"2024-01-{i}", "forecast": 10.0 + i, "low": 8.0 + i, "high": 12.0 + i, "baseline": 20.0} for i in (11, 12)]
BINS = [{"predicted": 0.1, "observed": 0.12, "low": 0.05, "high": 0.2, "n": 40}, {"predicted": 0.6, "observed": 0.5, "low": 0.4, "high": 0.61, "n": 40}]
TENTHS = [{"decile": 1, "rate": 0.5, "low": 0.4, "high": 0.6}, {"decile": 2, "rate": 0.1, "low": 0.05, "high": 0.2}]


def test_a_fan_holds_past_forecast_rule_and_target() -> None:
    spec = fan(PAST, AHEAD, target=25.0, title="Orders").to_dict()
    points = [p for rows in spec["datasets"].values() for p in rows]
    assert [p["what"] for p in points if "what" in p].count("past") == 10
    assert [p["y"] for p in points if p.get("what") == "forecast"] == [21.0, 22.0]
    assert "forecast of 2 steps after 10 past values" in spec["description"]
    assert len(spec["layer"]) == 5 and len(fan(PAST, AHEAD, baseline=None).to_dict()["layer"]) == 3


def test_calibration_and_lift() -> None:
    spec = calibration(BINS, title="Churn").to_dict()
    assert "observed shares by predicted ones" in spec["description"] and len(spec["layer"]) == 3
    assert "50.0% of all" not in spec["description"]
    assert "25.0% of all" in lift(TENTHS, base_rate=0.25).to_dict()["description"]


def test_nothing_and_wrong_fields() -> None:
    assert fan(PAST, []).to_dict() and calibration([]).to_dict() and lift([], base_rate=0.1).to_dict()
    with pytest.raises(UsageError, match="no field"):
        fan(PAST, [{"time": "2024-01-11", "x": 1}])
