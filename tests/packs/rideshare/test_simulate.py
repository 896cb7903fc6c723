"""The simulated fleet is possible, and what is planted in it is there: by pandas on the rows, not by the pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.packs.rideshare.simulate import simulate
from prodsense.simulate import Simulation
from prodsense.warehouse import Warehouse

Frames = Mapping[str, pd.DataFrame]


def frames(made: Simulation) -> Frames:
    found = {name: table.to_pandas() for name, table in made.tables.items()}
    for name in ("fact_rides", "fact_ride_segments", "fact_ride_requests"):
        for column in found[name].columns:
            if column.startswith(("total_", "segment_fare", "segment_distance", "direct_", "platform_")):
                found[name][column] = found[name][column].astype(float)
    zones = found["dim_location"].set_index("location_key")
    asked = found["fact_ride_requests"]
    asked["place"] = asked["pickup_location_key"].map(zones["city"] + ", " + zones["zone"])
    asked["city"] = asked["pickup_location_key"].map(zones["city"])
    asked["day"] = asked["request_timestamp"].dt.normalize()
    return found


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(days=14, scale=0.08, seed=3)


@pytest.fixture(scope="module")
def made() -> Simulation:
    return simulate(days=63, scale=0.5, seed=7)


@pytest.fixture(scope="module")
def t(made: Simulation) -> Frames:
    return frames(made)


@pytest.fixture(scope="module")
def planted(made: Simulation) -> Iterator[Warehouse]:
    with prodsense.warehouse.open(":memory:") as warehouse:
        assert warehouse.ingest(made.tables, pack="rideshare").quarantined == 0
        assert warehouse.build("rideshare").ok
        yield warehouse


@pytest.fixture(scope="module")
def small_fleet(small: Simulation) -> Iterator[Warehouse]:
    with prodsense.warehouse.open(":memory:") as warehouse:
        report = warehouse.ingest(small.tables, pack="rideshare")
        assert (report.quarantined, report.duplicate) == (0, 0)
        assert warehouse.build("rideshare").ok
        yield warehouse


def test_every_table_is_there_and_every_metric_has_a_value(small: Simulation, small_fleet: Warehouse) -> None:
    pack = load_pack("rideshare")
    assert small.tables.keys() == pack.tables.keys()
    names = [m.name for m in pack.metrics.values() if not m.hidden]
    (row,) = small_fleet.metric(*(f"rideshare.{name}" for name in names), grain="all").rows
    assert [name for name in names if row[name] is None] == []


def test_rides_are_possible(small: Simulation) -> None:
    t = frames(small)
    rides, segments = t["fact_rides"], t["fact_ride_segments"]
    done = rides[rides["end_timestamp"].notna()]
    summed = segments.groupby("ride_id")
    assert set(done["ride_id"]) <= set(segments["ride_id"])
    joined = done.set_index("ride_id").join(summed.agg(
        first=("segment_pickup_timestamp", "min"), last=("segment_dropoff_timestamp", "max"),
        longest=("segment_distance", "max"), miles=("segment_distance", "sum"), fares=("segment_fare", "sum"),
    ))
    assert (joined["first"] >= joined["start_timestamp"]).all() and (joined["last"] <= joined["end_timestamp"]).all()
    assert (joined["longest"] - 0.011 <= joined["total_distance"]).all()
    assert (joined["total_distance"] <= joined["miles"] + 0.011).all()
    assert np.allclose(joined["fares"], joined["total_fare"], atol=0.005)
    # No driver is in two rides at once, nor in two sessions.
    for table, start, end in (("fact_rides", "start_timestamp", "end_timestamp"),
                              ("fact_driver_sessions", "session_start_timestamp", "session_end_timestamp")):
        rows = t[table].dropna(subset=[end]).sort_values(["driver_user_key", start])
        same = rows["driver_user_key"].diff() == 0
        assert not (rows[start] < rows[end].shift())[same].any(), table
    # Nobody rides before the account is made, and drivers take Carpool only after they opted in.
    people = t["dim_users"].set_index("user_key")
    assert (segments["segment_pickup_timestamp"] >= segments["rider_user_key"].map(people["created_at"])).all()
    pooled = rides[rides["ride_type_key"] == 1]
    assert (pooled["start_timestamp"] >= pooled["driver_user_key"].map(people["carpool_opt_in_timestamp"])).all()


def test_planted_discount_and_detour(t: Frames) -> None:
    segments = t["fact_ride_segments"].merge(t["fact_rides"][["ride_id", "ride_type_key"]])
    usual = 2.0 + 2.2 * segments["direct_distance_estimate"]
    asked = (segments["segment_fare"] / usual).groupby(segments["ride_type_key"]).mean()
    assert asked[1] == pytest.approx(0.75, abs=0.01) and asked[2] == pytest.approx(1.0, abs=0.01)


@pytest.mark.slow
def test_every_slice_has_values(small_fleet: Warehouse) -> None:
    pack = load_pack("rideshare")
    for dimension in pack.dimensions:
        asked = [m.name for m in pack.metrics.values() if dimension in m.by and not m.hidden]
        rows = small_fleet.metric(*(f"rideshare.{name}" for name in asked), by=dimension, grain="all").rows
        assert len({row[dimension] for row in rows} - {None}) >= 2, dimension
        assert [name for name in asked if all(row[name] is None for row in rows)] == [], dimension


@pytest.mark.slow
def test_what_is_planted_is_found(planted: Warehouse, made: Simulation) -> None:
    truth = made.truth
    one = lambda name, **asked: planted.metric(f"rideshare.{name}", **asked).rows  # noqa: E731
    # Detours are highest where planted, and the metric by city says so.
    detours = {row["city"]: row["average_detour_time_per_rider"] for row in one("average_detour_time_per_rider", by="city")}
    assert max(detours, key=detours.__getitem__) == truth["detour"]["city"]
    # A discount of a quarter; a mile on a detour costs less still.
    (row,) = one("carpool_fare_discount")
    assert 0.25 <= row["carpool_fare_discount"] < 0.40
    # Riders cancel more where they wait longer.
    late = one("carpool_rider_cancellation_rate", by="city", since=truth["cancellations"]["surge_from"])
    found = {row["city"]: row["carpool_rider_cancellation_rate"] for row in late}
    assert max(found, key=found.__getitem__) == truth["cancellations"]["city"]
    # Drivers who opt in earn more, of each ride and by more rides; the others do not.
    change = {row["carpool_drivers"]: row["driver_earnings_change_after_opt_in"]
              for row in one("driver_earnings_change_after_opt_in", by="carpool_drivers")}  # fmt: skip
    assert change["opted in"] > truth["opt_in"]["effect"] > 0.1 > change["not opted in"]
    # More price-sensitive riders take Carpool more often, in the order of the chances planted.
    shares = {row["rider_price_sensitivity"]: row["carpool_share_of_journeys"]
              for row in one("carpool_share_of_journeys", by="rider_price_sensitivity")}  # fmt: skip
    assert shares["high"] > shares["medium"] > shares["low"]
    assert one("carpool_rider_csat", by="ride_type")


@pytest.mark.slow
def test_the_launch_is_found(planted: Warehouse, made: Simulation) -> None:
    answer = planted.analyze("rideshare.carpool_launch_effect")
    assert answer.extras["low"] < made.truth["carpool_launch"]["effect"] < answer.extras["high"]
    assert answer.extras["low"] > 0
    assert len(answer.extras["zones_left_out"]) == 8


@pytest.mark.slow
def test_the_price_test_is_found(planted: Warehouse, made: Simulation) -> None:
    rows = planted.experiment("rideshare.carpool_price_test").rows
    share, score = (
        next(row for row in rows if row["metric"] == name) for name in ("carpool_share_of_journeys", "carpool_rider_csat")
    )
    # The chance planted holds where Carpool runs: in three quarters of the zones by then.
    assert share["ci_low"] > 0 and share["ci_high"] < 1.5 * made.truth["carpool_price_test"]["effect"]
    assert score["role"] == "guardrail" and score["ci_low"] > -0.3


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_planted() -> None:
    made = simulate(days=63, scale=0.4, seed=9, clean=True, effects={"launches": 1.0})
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(made.tables, pack="rideshare")
        assert warehouse.build("rideshare").ok
        answer = warehouse.analyze("rideshare.carpool_launch_effect")
        assert answer.extras["low"] < 0 < answer.extras["high"]
        readout = warehouse.experiment("rideshare.carpool_price_test")
        (share,) = [row for row in readout.rows if row["metric"] == "carpool_share_of_journeys"]
        assert share["ci_low"] < 0 < share["ci_high"]


def panel(weeks: int, launch: int | None) -> dict[str, Any]:
    """Twenty zones, a hundred bookings a week each; from day `launch` on, ten of them have Carpool and ten more."""
    rows: list[tuple[int, str, str]] = []
    for zone in range(20):
        for day in range(7 * weeks):
            moment = pd.Timestamp(2024, 1, 1) + pd.Timedelta(days=day, hours=12)
            pooled = launch is not None and zone < 10 and day >= launch
            rows += [(zone, str(moment), "Regular")] * (14 + (zone + day) % 3) + [(zone, str(moment), "Carpool")] * (5 * pooled)
    zone, at, kind = (list(column) for column in zip(*rows, strict=True))
    return {"request_id": range(len(zone)), "pickup_location_key": zone, "request_timestamp": at, "requested_ride_type": kind}


def test_launch_by_hand_and_refusals() -> None:
    """Of 105 bookings a week about 15 a day: five more a day are a third more, whatever day of the week it began on."""
    import pyarrow as pa

    with prodsense.warehouse.open(":memory:") as warehouse:
        places = pa.table({"location_key": range(20), "city": ["A"] * 20, "zone": [f"z{n}" for n in range(20)]})
        warehouse.ingest(places, table="rideshare.dim_location")
        warehouse.ingest(pa.table(panel(8, 24)), table="rideshare.fact_ride_requests")
        warehouse.build("rideshare", only=[f"rideshare.{m}" for m in ("request_links", "rides", "drivers", "bookings")])
        answer = warehouse.analyze("rideshare.carpool_launch_effect")
        assert answer.extras["effect"] == pytest.approx(1 / 3, abs=0.01)
        with pytest.raises(UsageError, match="nothing to compare"):
            warehouse.analyze("rideshare.carpool_launch_effect", as_of="2024-01-20")
