"""A planted lateness of one kind of vehicle is explained and detected on the pack's own models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

import prodsense as ps
from prodsense.inference.detectors import drop_rule, metric_anomaly

pytestmark = pytest.mark.slow

BEFORE, AFTER = "2024-02-05..2024-02-11", "2024-02-12..2024-02-18"


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ps.Warehouse]:
    """Seven weeks of a small city; in the last one bikes bring half of their orders half an hour later."""
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    folder: Path = tmp_path_factory.mktemp("late")
    write(load_pack("delivery").simulate(days=49, scale=0.1, seed=4), folder)
    with ps.open(":memory:") as wh:
        wh.ingest(folder, pack="delivery")
        wh.engine.execute(
            "UPDATE delivery.fact_deliveries SET actual_delivery_time_minutes = actual_delivery_time_minutes + 30"
            " WHERE delivery_created_at >= TIMESTAMP '2024-02-12' AND delivery_id % 2 = 0 AND driver_id IN"
            " (SELECT driver_id FROM delivery.dim_drivers WHERE vehicle_type = 'bike')"
        )
        assert wh.build("delivery", full=True).ok
        yield wh


def test_the_vehicle_is_named(late: ps.Warehouse) -> None:
    found = late.explain("on_time_rate", BEFORE, AFTER, dims=["vehicle_type", "delivery_type", "restaurant_type"])
    assert found.rows[0]["slice"] == "vehicle_type=bike"
    assert found.rows[0]["share_of_move"] > 0.6
    assert found.extras["usual"]["verdict"] != "usual"
    assert abs((found.extras["onset"]["day"] - date(2024, 2, 12)).days) <= 1


def test_detectors_fire_for_it_and_were_silent_the_week_before(late: ps.Warehouse) -> None:
    rule = drop_rule("late_vehicle", "On-time rate fell.", metric="on_time_rate", by="vehicle_type")
    (row,) = late.detect(rule, pack="delivery").rows
    assert row["subject"] == "vehicle_type=bike" and row["period"] == "2024-02-12"
    assert late.detect(rule, pack="delivery", as_of="2024-02-11").rows == []
    days = metric_anomaly("late_day", "On-time rate is off.", metric="on_time_rate", by="vehicle_type",
                          direction="bad")  # fmt: skip
    found = late.detect(days, pack="delivery", simulate=True, since="2024-02-05", until="2024-02-19")
    assert [r["subject"] for r in found.rows] == ["vehicle_type=bike"]
    assert found.rows[0]["as_of"].isoformat() >= "2024-02-12"
