"""One test for each thing that a naive version of the carpool model gets wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pack_kit import required_columns

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("rideshare")


@pytest.fixture(scope="module")
def changed(built_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The tiny fleet with more rides and requests: 106 ends; user 6 drives 200; 201 has the keys of another day."""
    path = tmp_path_factory.mktemp("changed") / "fleet.duckdb"
    shutil.copy(built_fleet, path)
    rides = {
        "ride_id": [106, 200, 201], "driver_user_key": [13, 6, None], "ride_type_key": [1, 1, 3],
        "start_timestamp": ["2024-01-17 10:00:00", "2024-01-18 21:00:00", "2024-01-16 23:50:00"],
        "end_timestamp": ["2024-01-17 10:30:00", "2024-01-18 21:20:00", "2024-01-17 00:25:00"],
        "total_duration": [1800, None, None], "date_key": [None, None, 20240117], "time_key": [None, None, 2350],
    }  # fmt: skip
    asked = {
        "request_id": [600, 700, 701, 702, 703], "rider_user_key": [5, 7, 7, 7, 5], "ride_id": [117, *[None] * 4],
        "request_timestamp": ["2024-02-01 12:10:00", "2024-01-18 19:40:00", "2024-01-18 19:50:00",
                              "2024-01-18 17:00:00", "2024-01-18 19:55:00"],
        "requested_ride_type": ["Regular", *["Premium"] * 4], "cancelled_by": [None, None, "rider", None, None],
    }  # fmt: skip
    with prodsense.warehouse.open(path) as warehouse:
        warehouse.ingest(pa.table(rides), table="rideshare.fact_rides")
        warehouse.ingest(pa.table(asked), table="rideshare.fact_ride_requests")
        assert warehouse.build("rideshare").ok
        yield warehouse


def number(warehouse: Warehouse, name: str, **asked: Any) -> Any:
    (row,) = warehouse.metric(f"rideshare.{name}", grain="all", **asked).rows
    return row[name]


def by(warehouse: Warehouse, name: str, dimension: str, **asked: Any) -> dict[Any, Any]:
    rows = warehouse.metric(f"rideshare.{name}", by=dimension, grain="all", **asked).rows
    return {row[dimension]: row[name] for row in rows}


def test_units_are_stated() -> None:
    units = {name: {c.name: c.unit for c in PACK.tables[name].columns.values()} for name in PACK.tables}
    assert units["fact_rides"] | {"ride_id": ""} == units["fact_rides"]
    assert {n: units["fact_rides"][n] for n in ("total_duration", "total_distance", "total_fare")} == {
        "total_duration": "seconds", "total_distance": "miles", "total_fare": "currency",
    }  # fmt: skip
    assert units["fact_ride_segments"]["direct_duration_estimate"] == "seconds"


def test_only_keys_are_required() -> None:
    required = required_columns(PACK)
    assert required == {
        "dim_users": {"user_key"}, "dim_location": {"location_key"}, "dim_ride_type": {"ride_type_key"},
        "dim_vehicle": {"vehicle_key"}, "dim_date": {"date_key"}, "dim_time": {"time_key"}, "fact_rides": {"ride_id"},
        "fact_ride_segments": {"ride_segment_id"}, "fact_ride_requests": {"request_id"}, "fact_driver_sessions": set(),
        "fact_driver_earnings": set(), "support_tickets": set(), "survey_responses": set(),
        "experiment_assignments": {"user_key", "variant"},
    }  # fmt: skip


def test_riders_never_repeat_ride_totals(fleet: Warehouse) -> None:
    """Ride 101 has three riders, and its 30 of fares and 14 miles count once, however it is sliced."""
    day = {"since": "2024-01-15", "until": "2024-01-16"}
    assert number(fleet, "platform_take_rate", where="ride_type = 'Carpool'", **day) == 7.5 / 30
    assert number(fleet, "passengers_per_vehicle_mile", where="ride_type = 'Carpool'", **day) == 20 / 14
    # Asking rides for a rider's attribute would repeat them: refused, not wrong.
    with pytest.raises(UsageError, match="cannot be sliced by rider_demographics"):
        fleet.metric("rideshare.platform_take_rate", by="rider_demographics")
    # Where it is allowed, rides are counted distinct: the three riders of 101 are one ride of each group.
    shares = by(fleet, "carpool_ride_penetration", "rider_price_sensitivity", **day)
    assert shares == {"high": 1 / 2, "low": 1, "price_sensitive": 1}


def test_a_ride_without_segments_is_a_ride_of_its_type(fleet: Warehouse) -> None:
    day = {"since": "2024-01-18", "until": "2024-01-19", "where": "city = 'Lakeside'"}
    assert by(fleet, "total_ride_volume", "ride_type", **day) == {"Carpool": 1, "Regular": 1}
    assert by(fleet, "fares_per_driver_trip", "ride_type", **day) == {"Carpool": None, "Regular": 1}
    (broken,) = fleet.policies("rideshare.completed_rides_have_segments")[0].violations.rows
    assert broken["ride_id"] == 112


def test_only_completed_rides_count(fleet: Warehouse, changed: Warehouse) -> None:
    """With its end, 106 counts, with its segment and the payment it had already; so do the two new rides."""
    (before,), (after,) = (
        w.metric("rideshare.total_ride_volume", "rideshare.driver_earnings_per_hour", grain="all").rows for w in (fleet, changed)
    )
    assert before == {"total_ride_volume": 16, "driver_earnings_per_hour": pytest.approx(211.5 / (27_600 / 3600))}
    assert after == {"total_ride_volume": 19, "driver_earnings_per_hour": pytest.approx(220.5 / (29_400 / 3600))}


def test_days_and_hours_are_those_of_the_start(fleet: Warehouse) -> None:
    """104 starts at ten to midnight and ends on the next day; its rider's second journey begins at five past."""
    assert by(fleet, "total_ride_volume", "hour_of_day")[23] == 1
    rows = fleet.metric("rideshare.daily_active_carpool_riders").rows
    assert {str(r["period"]): r["daily_active_carpool_riders"] for r in rows}["2024-01-17"] == 1
    assert by(fleet, "average_detour_time_per_rider", "day_of_week")["Wednesday"] == 0
    # A ride without a start is dated by its end less its driving time.
    assert by(fleet, "total_ride_volume", "hour_of_day", since="2024-01-20", until="2024-01-21") == {8: 1, 12: 1, 13: 1}


def test_keys_of_dates_are_those_of_the_start(fleet: Warehouse, changed: Warehouse) -> None:
    assert fleet.policies("rideshare.ride_keys_match_start")[0].holds
    (broken,) = changed.policies("rideshare.ride_keys_match_start")[0].violations.rows
    assert (broken["ride_id"], broken["violation"]) == (201, "date_key is not the day of the start")


def test_riders_are_placed_by_their_own_pickup(fleet: Warehouse) -> None:
    """101 starts Downtown, its third rider gets in Uptown; the ride itself is one of Downtown."""
    day = {"since": "2024-01-15", "until": "2024-01-16"}
    assert by(fleet, "daily_active_carpool_riders", "zone", **day) == {"Downtown": 2, "Uptown": 1}
    assert by(fleet, "total_ride_volume", "zone", **day) == {"Downtown": 1, "Airport": 1}
    assert by(fleet, "average_detour_time_per_rider", "route_corridor", **day) == {
        "Downtown -> Airport": 15, "Downtown -> Uptown": 20, "Uptown -> Airport": 0,
    }  # fmt: skip


def test_one_person_may_ride_and_drive(changed: Warehouse) -> None:
    """User 6 rides in 108 and drives 200: as a driver with a rating, as a rider with demographics."""
    assert by(changed, "daily_active_carpool_drivers", "driver_rating", since="2024-01-18")["4.8-5.0"] > 0
    assert by(changed, "daily_active_carpool_riders", "rider_demographics", since="2024-01-18")["45-54, male"] > 0


def test_a_rider_with_two_journeys_shares_with_nobody(fleet: Warehouse) -> None:
    rows = {row["ride_id"]: row for row in fleet.query("rideshare.riders_sharing_a_ride").rows}
    assert (rows[104]["rider_count"], rows[104]["is_shared"]) == (1, False)
    assert (rows[103]["rider_count"], rows[103]["is_shared"]) == (1, False)  # Carpool, but alone
    assert by(fleet, "revenue_per_carpool_ride", "matched_passengers_in_batch")[3] == 7.5


def test_internal_users_are_left_out(fleet: Warehouse) -> None:
    """The ride of the test driver, and of the ride 108 the internal rider: who rode along is there."""
    rides = {row["ride_id"]: row for row in fleet.show("rideshare.rides", limit=None).rows}
    assert 107 not in rides and (rides[108]["riders"], rides[108]["segments"]) == (1, 1)
    assert {row["request_id"] for row in fleet.show("rideshare.bookings", limit=None).rows}.isdisjoint({511, 512})
    assert by(fleet, "carpool_rider_csat", "zone")["Uptown"] is None  # only the internal rider scored 108


def test_requests_are_linked_whatever_day_they_came(changed: Warehouse) -> None:
    """A trip booked four days ahead waits from the request on; the link is found though the days differ."""
    assert by(changed, "pickup_wait_time", "ride_type", since="2024-02-05")["Regular"] == (600 + 4 * 86_400) / 2


def test_requests_without_a_ride_are_linked_by_rider_and_time(changed: Warehouse) -> None:
    """Rider 7 asked at 19:40 and rode at 20:00; a cancelled request and one of three hours before led to nothing."""
    assert by(changed, "pickup_wait_time", "ride_type")["Premium"] == 1200
    links = changed.show("rideshare.request_links", where="request_id >= 700", limit=None).rows
    assert [(row["ride_segment_id"], row["request_id"]) for row in links if row["is_of_segment"]] == [(12, 700)]


@pytest.mark.slow
def test_sessions_without_times_still_give_a_rate_and_waits() -> None:
    """Only seconds online are known: they count whole, and waits are those between rides of one day."""
    rides = {
        "ride_id": [1, 2, 3], "driver_user_key": [7, 7, 7], "ride_type_key": [1, 1, 2],
        "start_timestamp": ["2024-01-01 08:00:00", "2024-01-01 09:00:00", "2024-01-02 09:00:00"],
        "end_timestamp": ["2024-01-01 08:30:00", "2024-01-01 09:30:00", "2024-01-02 09:30:00"],
    }  # fmt: skip
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(pa.table({"ride_type_key": [1, 2], "ride_type_name": ["Carpool", "Regular"]}),
                         table="rideshare.dim_ride_type")  # fmt: skip
        warehouse.ingest(pa.table(rides), table="rideshare.fact_rides")
        warehouse.ingest(
            pa.table({"ride_segment_id": [1, 2, 3], "ride_id": [1, 2, 3], "rider_user_key": [1, 2, 3],
                      "segment_pickup_timestamp": rides["start_timestamp"],
                      "segment_dropoff_timestamp": rides["end_timestamp"]}),
            table="rideshare.fact_ride_segments",
        )  # fmt: skip
        warehouse.ingest(pa.table({"driver_user_key": [7, 7], "online_seconds": [7200, 3600]}),
                         table="rideshare.fact_driver_sessions")  # fmt: skip
        warehouse.build("rideshare")
        assert number(warehouse, "driver_utilisation_rate") == 5400 / 10_800
        assert number(warehouse, "driver_idle_time_between_fares") == 30


def test_nothing_loaded_is_unknown_not_zero(own_fleet: Warehouse) -> None:
    own_fleet.engine.execute("DELETE FROM rideshare.support_tickets")
    own_fleet.engine.execute("DELETE FROM rideshare.fact_driver_earnings")
    assert number(own_fleet, "carpool_complaint_rate") is None
    assert number(own_fleet, "complaints_safety_concern") is None
    assert number(own_fleet, "driver_earnings_per_hour") is None
