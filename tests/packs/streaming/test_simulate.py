"""The simulator: within its contracts, the same for a seed, and what it says it plants is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("streaming")
Planted = tuple[Warehouse, dict[str, Any]]


def test_events_are_late_doubled_and_out_of_order() -> None:
    events = PACK.simulate(days=10, scale=0.1).tables["playback_events"].to_pandas()
    assert (events.received_at - events.timestamp).max().total_seconds() > 86_400 / 2
    assert events.event_id.dropna().duplicated().any()
    assert events.event_id.isna().any()
    assert not events.timestamp.is_monotonic_increasing
    assert (events.timestamp <= events.received_at).all()


def share(wh: Warehouse, sql: str) -> float:
    return float(wh.engine.query(sql)["value"].to_pylist()[0])


@pytest.mark.slow
def test_everybody_leaves_one_movie_at_minute_ten(planted: Planted) -> None:
    wh, truth = planted
    key, second = truth["drop_off"]["content_key"], truth["drop_off"]["seconds"]
    there = f"start_position = 0 AND furthest_position >= {second}"
    gone = f"furthest_position < {second + 20}"
    sql = f"SELECT AVG(CASE WHEN {gone} THEN 1.0 ELSE 0.0 END) AS value FROM streaming.sessions WHERE {there} AND"
    size = share(wh, f"SELECT COUNT(*) AS value FROM streaming.sessions WHERE {there} AND content_key = {key}")
    planted_share = truth["drop_off"]["effect"]
    assert abs(share(wh, f"{sql} content_key = {key}") - planted_share) < 3 * np.sqrt(0.25 / size)
    assert share(wh, f"{sql} content_key <> {key}") < 0.05


@pytest.mark.slow
def test_one_pilot_does_not_hook(planted: Planted) -> None:
    wh, truth = planted
    rows = wh.metric("streaming.hook_rate", by="series_key").rows
    rates = {row["series_key"]: row["hook_rate"] for row in rows}
    weak = rates.pop(truth["weak_pilot"]["series_key"])
    assert weak < min(rates.values()) - 0.05


@pytest.mark.slow
def test_display_brings_more_views_by_recommendation(planted: Planted) -> None:
    wh, truth = planted
    rows = wh.metric("streaming.total_views", by=["experiment_arm", "view_source"],
                     where="experiment_id = 'recommendation_display_test'").rows
    views = {row["experiment_arm"]: row["total_views"] for row in rows if row["view_source"] == "recommendation"}
    assert 1.05 < views["treatment"] / views["control"] < 1 + 3 * truth["recommendation_display_test"]["effect"]


@pytest.mark.slow
def test_promotions_lift_and_one_lasts(planted: Planted) -> None:
    wh, truth = planted
    rows = wh.metric("streaming.promotion_sustained_engagement_ratio", by="content_id",
                     where="promoted = true").rows
    ratios = {row["content_id"]: row["promotion_sustained_engagement_ratio"] for row in rows}
    assert ratios[truth["promotions"]["lasting"]] > 1.5 * ratios[truth["promotions"]["fading"]]


@pytest.mark.slow
def test_nobody_watches_what_is_unwatched(planted: Planted) -> None:
    wh, truth = planted
    rows = wh.metric("streaming.total_views", by="content_id").rows
    assert not {row["content_id"] for row in rows if row["total_views"]} & set(truth["unwatched"]["content_ids"])


@pytest.mark.slow
def test_binges_are_those_of_bingers(planted: Planted) -> None:
    wh, truth = planted
    rows = wh.metric("streaming.binge_session_frequency", by="user_id").rows
    bingers = set(truth["binge"]["users"])
    yes, no = ([r["binge_session_frequency"] or 0 for r in rows if (r["user_id"] in bingers) is who] for who in (True, False))
    assert np.mean(yes) > 5 * np.mean(no)


@pytest.mark.slow
def test_use_is_as_uneven_as_planted(planted: Planted) -> None:
    wh, _ = planted
    assert 0.3 < wh.metric("streaming.streaming_hours_concentration").rows[0]["streaming_hours_concentration"] < 0.7


@pytest.mark.slow
def test_every_metric_has_a_value(planted: Planted) -> None:
    wh, _ = planted
    by_grain: dict[str, list[str]] = {}
    for metric in PACK.metrics.values():
        if not metric.hidden:
            by_grain.setdefault(metric.grain, []).append(metric.name)
    for grain, names in by_grain.items():
        rows = wh.metric(*(f"streaming.{name}" for name in names), grain=grain).rows
        assert [name for name in names if all(row[name] is None for row in rows)] == []
