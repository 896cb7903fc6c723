"""The two tests of the pack: planted effects are found, none where none is, and logs with only users and arms are read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("stickiness")
DAY_0 = date(2024, 1, 1)


def primary(readout: Any) -> dict[str, Any]:
    return next(row for row in readout.rows if row["role"] == "primary")


@pytest.mark.slow
def test_retention_of_a_log_with_only_users_and_arms() -> None:
    """100 users each; back on day 7: 30 of the control, 50 of the new flow. One internal user is none of them."""
    users = [f"u{i:03}" for i in range(201)]
    arms = ["control" if i < 100 else "new_flow" for i in range(201)]
    back = [u for i, u in enumerate(users) if i < 30 or 100 <= i < 150 or i == 200]
    days = [(u, DAY_0) for u in users] + [(u, DAY_0 + timedelta(7)) for u in back] + [("other", DAY_0 + timedelta(9))]
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(
            pa.table({"user_id": users, "signup_date": [DAY_0] * 201, "is_internal": [i == 200 for i in range(201)]}),
            table="stickiness.users",
        )
        warehouse.ingest(
            pa.table(dict(zip(("user_id", "activity_date"), zip(*days, strict=True), strict=True))),
            table="stickiness.daily_user_activity",
        )
        warehouse.ingest(pa.table({"user_id": users, "variant": arms}), table="stickiness.experiment_assignments")
        warehouse.build("stickiness")
        row = primary(warehouse.experiment("stickiness.onboarding_flow_test"))
    assert (row["control_mean"], row["treatment_mean"]) == pytest.approx((0.3, 0.5))
    assert row["effect"] == pytest.approx(0.2)
    assert row["ci_low"] == pytest.approx(0.2 - 1.96 * (0.3 * 0.7 / 100 + 0.5 * 0.5 / 100) ** 0.5, abs=0.003)
    assert row["verdict"] == "better"


@pytest.mark.slow
def test_planted_effects(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    flow = primary(warehouse.experiment("stickiness.onboarding_flow_test"))
    effect = truth["onboarding_flow_test"]["effect"]
    assert flow["ci_low"] <= effect <= flow["ci_high"]
    readout = warehouse.experiment("stickiness.notification_strategy_test")
    row = primary(readout)
    assert row["verdict"] == "better"
    planted_share = truth["notification_strategy_test"]["effect"]
    assert row["ci_low"] / row["control_mean"] < planted_share < row["ci_high"] / row["control_mean"] + 0.02


@pytest.mark.slow
def test_nothing_where_nothing_is(quiet: Warehouse) -> None:
    for name in PACK.experiments:
        row = primary(quiet.experiment(f"stickiness.{name}"))
        assert row["ci_low"] < 0 < row["ci_high"], name
