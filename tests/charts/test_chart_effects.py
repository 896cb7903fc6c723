"""Pictures of effects: what is drawn, where the zero and the change stand, what the alt text says."""

from __future__ import annotations

from typing import Any

import pytest

from prodsense.charts.effects import counterfactual, event_study, intervals, love
from prodsense.charts.export import save
from prodsense.errors import UsageError

EVENTS = [
    {"e": -2, "v": 0.1, "lo": -0.2, "hi": 0.4, "blo": -0.3, "bhi": 0.5},
    {"e": -1, "v": 0.0, "lo": None, "hi": None, "blo": None, "bhi": None},
    {"e": 0, "v": 1.0, "lo": 0.7, "hi": 1.3, "blo": 0.6, "bhi": 1.4},
]
SERIES = [
    {"t": f"2024-01-0{i + 1}", "a": 5.0 + i, "u": 5.0, "g": float(i), "lo": i - 1.0, "hi": i + 1.0,
     "sum": float(i) if i >= 2 else None} for i in range(4)
]  # fmt: skip


def values(layer: dict[str, Any], spec: dict[str, Any]) -> list[dict[str, Any]]:
    data = layer.get("data") or spec.get("data") or {}
    return list(data.get("values") or spec.get("datasets", {}).get(data.get("name"), []))


def test_event_study_draws_intervals_a_band_and_the_change() -> None:
    spec = event_study(EVENTS, "e", "v", low="lo", high="hi", band_low="blo", band_high="bhi", title="Pilot").to_dict()
    kinds = [layer["mark"]["type"] for layer in spec["layer"]]
    assert kinds == ["area", "rule", "rule", "rule", "point"]
    rules = [values(layer, spec) for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
    assert [{"y": 0.0}] in rules and [{"x": -0.5}] in rules
    assert spec["description"].startswith("Pilot: effects by periods since the change") and "0 1" in spec["description"]
    bare = event_study(EVENTS, "e", "v", low="lo", high="hi").to_dict()
    assert "area" not in [layer["mark"]["type"] for layer in bare["layer"]]


def test_love_orders_by_the_difference_before_and_names_what_stays() -> None:
    rows = [{"covariate": "age", "before": 0.2, "after": 0.01}, {"covariate": "plan", "before": -0.9, "after": -0.3}]
    spec = love(rows).to_dict()
    dots = spec["layer"][2]
    assert dots["encoding"]["y"]["sort"] == ["plan", "age"]
    assert {(r["label"], r["when"]): r["x"] for r in values(dots, spec)}["plan", "after"] == pytest.approx(0.3)
    assert spec["description"].endswith("beyond 0.1 after: plan.")
    assert love([{"covariate": "age", "before": 0.2, "after": 0.0}]).to_dict()["description"].endswith("none beyond 0.1 after.")


def test_intervals_keep_their_order() -> None:
    rows = [{"n": "b", "v": 1.0, "lo": 0.5, "hi": 1.5}, {"n": "a", "v": 2.0, "lo": None, "hi": None}]
    spec = intervals(rows, "n", "v", low="lo", high="hi").to_dict()
    assert spec["layer"][2]["encoding"]["y"]["sort"] == ["b", "a"]
    assert "2 estimates with intervals" in spec["description"]


def test_counterfactual_has_the_series_the_gap_and_its_sum(tmp_path: Any) -> None:
    options: dict[str, Any] = {"gap": "g", "low": "lo", "high": "hi", "since": "2024-01-03"}
    chart = counterfactual(SERIES, "t", "a", "u", cumulative="sum", **options)
    spec = chart.to_dict()
    assert len(spec["vconcat"]) == 3
    assert spec["description"] == "Actual 8 against 5 without the change at the end; the gap adds up to 3."
    assert "area" in [layer["mark"]["type"] for layer in spec["vconcat"][1]["layer"]]
    ghosts = counterfactual(SERIES, "t", "a", "u", placebos=[[0, 1, 0, 1], [1, 0, 1, 0]], **options)
    marks = [layer["mark"]["type"] for layer in ghosts.to_dict()["vconcat"][1]["layer"]]
    assert len(ghosts.to_dict()["vconcat"]) == 2 and "area" not in marks and marks.count("line") == 2
    save(chart, tmp_path / "gap.svg")
    assert (tmp_path / "gap.svg").read_text().startswith("<svg")


def test_nothing_to_draw_is_said_and_wrong_fields_are_refused() -> None:
    nothing = [event_study([], "e", "v", low="l", high="h"), intervals([], "n", "v", low="l", high="h"), love([]),
               counterfactual([], "t", "a", "u", gap="g")]  # fmt: skip
    assert all("no data" in str(chart.to_dict()["description"]).lower() for chart in nothing)
    with pytest.raises(UsageError, match="no field 'w'"):
        event_study(EVENTS, "e", "w", low="lo", high="hi")
    with pytest.raises(UsageError, match="no field"):
        counterfactual(SERIES, "t", "a", "x", gap="g")
